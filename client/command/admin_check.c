/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "output.h"
#include "report.h"
#include "store/sqlite_check.h"
#include "text.h"

static const struct view check_view = {
    .columns = COLUMNS({"File", "file", NULL, 0}, {"Intact", "intact", NULL, 0}),
    .value_keys = KEYS("file"),
};

static bool goes_on(void *arg)
{
    return progress_show(arg, NULL, "reading", "all of it", 0);
}

enum exit_code run_admin_check(struct context *context)
{
    static const char scheme[] = "sqlite:";
    const char *store = context->arguments.rest[0];
    char why[256] = "";
    struct progress progress;
    if (strncmp(store, "postgres", strlen("postgres")) == 0)
        return report_usage(context, "PostgreSQL has its own tools for this, such as pg_amcheck");
    if (strncmp(store, scheme, strlen(scheme)) != 0)
        return report_usage(context, "\"%s\" is not sqlite:FILE", store);
    const struct sqlite_check_options options = {.path = store + strlen(scheme), .goes_on = goes_on, .arg = &progress};
    progress_begin(&progress, "checking");
    enum status status = sqlite_check(&options, why);
    progress_end(&progress);
    if (status != STATUS_OK)
        return admin_fail(context, status, why);
    json_t *object = text_must(json_pack("{s:s, s:b}", "file", options.path, "intact", 1));
    output_record(context, object, &check_view);
    json_decref(object);
    return EXIT_DONE;
}
