/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "base/log.h"
#include "list.h"
#include "output.h"
#include "records/schema.h"
#include "report.h"
#include "store/copy.h"
#include "text.h"

static const struct view copy_view = {
    .columns = COLUMNS({"TABLE", "table", NULL, 0}, {"ROWS", "rows", NULL, COLUMN_RIGHT},
                       {"INSERTED", "inserted", NULL, COLUMN_RIGHT}, {"REMOVED", "removed", NULL, COLUMN_RIGHT},
                       {"DIGEST OF BOTH", "digest", NULL, 0}),
    .value_keys = KEYS("table", "rows", "inserted", "removed", "digest"),
};

static bool show_rows(void *arg, const char *doing, const char *table, int64_t done, int64_t total)
{
    struct progress *progress = arg;
    TEXT_FREE char *done_text = text_format("%" PRId64, done);
    TEXT_FREE char *total_text = text_format("%" PRId64, total);
    progress->doing = doing;
    /* Rows come and go while it runs. */
    return progress_show(progress, table, done_text, total_text, total <= done ? 100 : (int)(done * 100 / total));
}

static void print_tables(struct context *context, const struct copy_result *result)
{
    struct list list;
    if (!list_begin(&list, context, &copy_view, "tables"))
        return; /* it has no --columns */
    for (size_t i = 0; i < result->count; i++) {
        const struct copy_table *table = &result->tables[i];
        TEXT_FREE char *digest = text_format("%016" PRIx64, table->digest);
        json_t *object = text_must(json_pack("{s:s, s:I, s:I, s:I, s:s}", "table", table->name, "rows",
                                             (json_int_t)table->rows, "inserted", (json_int_t)table->inserted,
                                             "removed", (json_int_t)table->removed, "digest", digest));
        list_add(&list, object);
        json_decref(object);
    }
    list_end(&list, "");
}

enum exit_code run_admin_copy(struct context *context)
{
    struct progress progress;
    struct copy_result result;
    char why[256] = "";
    const struct copy_options options = {
        .from = option_value(&context->arguments, OPTION_FROM),
        .to = option_value(&context->arguments, OPTION_TO),
        .schema = &records_schema,
        .progress = show_rows,
        .arg = &progress,
    };
    if (options.from == NULL || options.to == NULL)
        return report_usage(context, "say from which store to which: --from=sqlite:FILE --to=postgresql://…");
    if (strcmp(options.from, options.to) == 0)
        return report_usage(context, "--from and --to are the same store");
    if (admin_has_password(options.from) || admin_has_password(options.to))
        return report_usage(context, ADMIN_NO_PASSWORD);
    log_configure(LOG_LEVEL_ERROR, false);
    progress_begin(&progress, "");
    enum status status = store_copy(&options, &result, why);
    progress_end(&progress);
    if (status != STATUS_OK)
        return admin_fail(context, status, why);
    print_tables(context, &result);
    if (result.is_source_used)
        fputs("gatehouse admin copy: a daemon runs on the source, so this is a first copy and not to be used yet.\n"
              "Stop that daemon and repeat the command: it writes only what has changed since.\n",
              stderr);
    return EXIT_DONE;
}
