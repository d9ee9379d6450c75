/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "output.h"
#include "report.h"
#include "store/sqlite_backup.h"
#include "text.h"

static const struct view backup_view = {
    .columns = COLUMNS({"File", "file", NULL, 0}, {"Bytes", "bytes", NULL, 0}, {"Credentials", "credentials", NULL, 0},
                       {"Tokens", "tokens", NULL, 0}),
    .value_keys = KEYS("file"),
};

static bool show_bytes(void *arg, int64_t done, int64_t total)
{
    TEXT_FREE char *done_text = text_format("%.1f MB", (double)done / 1e6);
    TEXT_FREE char *total_text = text_format("%.1f MB", (double)total / 1e6);
    return progress_show(arg, NULL, done_text, total_text, total == 0 ? 0 : (int)(done * 100 / total));
}

enum exit_code run_admin_backup(struct context *context)
{
    static const char scheme[] = "sqlite:";
    const char *from = option_value(&context->arguments, OPTION_FROM);
    char why[256] = "";
    struct progress progress;
    struct sqlite_backup backup;
    if (from == NULL)
        return report_usage(context, "say which store, as the daemon's setting does: --from=sqlite:FILE");
    if (strncmp(from, "postgres", strlen("postgres")) == 0)
        return report_usage(context, "PostgreSQL has its own tools for this, such as pg_dump and pg_basebackup");
    if (strncmp(from, scheme, strlen(scheme)) != 0)
        return report_usage(context, "--from: \"%s\" is not sqlite:FILE", from);
    const struct sqlite_backup_options options = {
        .source = from + strlen(scheme),
        .destination = context->arguments.rest[0],
        .overwrite = option_value(&context->arguments, OPTION_OVERWRITE) != NULL,
        .progress = show_bytes,
        .arg = &progress,
    };
    progress_begin(&progress, "backing up");
    enum status status = sqlite_backup(&options, &backup, why);
    progress_end(&progress);
    if (status != STATUS_OK)
        return admin_fail(context, status, why);
    json_t *object =
        text_must(json_pack("{s:s, s:I, s:I, s:I}", "file", options.destination, "bytes", (json_int_t)backup.bytes,
                            "credentials", (json_int_t)backup.credentials, "tokens", (json_int_t)backup.tokens));
    output_record(context, object, &backup_view);
    json_decref(object);
    return EXIT_DONE;
}
