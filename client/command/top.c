/* SPDX-License-Identifier: Apache-2.0 */
/* The live view of who calls which API. A rate is the difference of two looks at the same sums. */
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"
#include "credential.h"
#include "list.h"
#include "object.h"
#include "pages.h"
#include "report.h"
#include "screen.h"
#include "text.h"
#include "time_format.h"
#include "usage.h"

enum { ROWS_MAX = 1000, DEFAULT_INTERVAL_MS = 2000, DEFAULT_SINCE = 3600 };

struct view_of_use {
    Gatehouse__V1__QueryUsageRequest request;
    json_t *before; /* "client ID, api": uses at the look before; NULL: this is the first */
    double before_time;
    double total_rate;
    int64_t since;
};

static char *format_rate(const json_t *, const json_t *value, int64_t)
{
    return json_real_value(value) > 0 ? text_format("%.1f", json_real_value(value)) : text_copy("");
}

static const struct view rows_view = {
    .columns = COLUMNS({"CALLS/S", "callsPerSecond", format_rate, COLUMN_RIGHT},
                       {"CALLS", "allowed", usage_column_uses, COLUMN_RIGHT}, {"REFUSED", "denied", NULL, COLUMN_RIGHT},
                       {"LAST", "lastUseTime", column_time, 0}, {"CREDENTIAL", "credentialName", NULL, COLUMN_TRUNCATE},
                       {"API", "api", NULL, 0}),
    .value_keys = KEYS("clientId", "api", "allowed", "denied"),
};

static double monotonic_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int64_t uses(const json_t *row)
{
    return object_integer(row, "allowed") + object_integer(row, "denied");
}

/* Adds "callsPerSecond" to each row, and remembers the sums for the next look. */
static void add_rates(struct view_of_use *view, json_t *rows)
{
    json_t *sums = text_must(json_object());
    double now = monotonic_time();
    size_t i;
    json_t *row;
    view->total_rate = 0;
    json_array_foreach(rows, i, row)
    {
        TEXT_FREE char *key = text_format("%s\n%s", json_string_value(json_object_get(row, "clientId")),
                                          json_string_value(json_object_get(row, "api")));
        json_object_set_new(sums, key, json_integer(uses(row)));
        if (view->before == NULL) {
            continue; /* no rate yet */
        }
        double more = (double)(uses(row) - json_integer_value(json_object_get(view->before, key)));
        double rate = more > 0 && now > view->before_time ? more / (now - view->before_time) : 0;
        json_object_set_new(row, "callsPerSecond", json_real(rate));
        view->total_rate += rate;
    }
    json_decref(view->before);
    view->before = sums;
    view->before_time = now;
}

/* The busiest now first; then those with the most calls. */
static int compare(const void *a, const void *b)
{
    const json_t *row_a = *(json_t *const *)a, *row_b = *(json_t *const *)b;
    double rate_a = json_real_value(json_object_get(row_a, "callsPerSecond"));
    double rate_b = json_real_value(json_object_get(row_b, "callsPerSecond"));
    if (rate_a != rate_b)
        return rate_a < rate_b ? 1 : -1;
    return (uses(row_a) < uses(row_b)) - (uses(row_a) > uses(row_b));
}

static json_t *sorted(const json_t *rows)
{
    size_t count = json_array_size(rows);
    json_t **order = text_must(calloc(count + 1, sizeof *order));
    for (size_t i = 0; i < count; i++)
        order[i] = json_array_get(rows, i);
    qsort(order, count, sizeof *order, compare);
    json_t *result = text_must(json_array());
    for (size_t i = 0; i < count; i++)
        json_array_append(result, order[i]);
    free(order);
    return result;
}

/* NULL: reported. */
static json_t *look(struct context *context, struct view_of_use *view)
{
    MESSAGE_FREE Gatehouse__V1__QueryUsageResponse *response = admin_invoke(context, "QueryUsage", &view->request);
    if (response == NULL)
        return NULL;
    json_t *rows = text_must(json_array());
    for (size_t i = 0; i < response->n_rows; i++)
        json_array_append_new(rows, object_from(context, response->rows[i]));
    context->now = (int64_t)time(NULL);
    add_rates(view, rows);
    json_t *order = sorted(rows);
    json_decref(rows);
    return order;
}

static void format_local(int64_t seconds, const char *format, char text[static TIME_TEXT_MAX])
{
    struct tm tm;
    time_t time = (time_t)seconds;
    text[0] = '\0';
    if (localtime_r(&time, &tm) != NULL)
        strftime(text, TIME_TEXT_MAX, format, &tm);
}

static char *frame(const struct context *context, const struct view_of_use *view, const json_t *rows, bool is_live)
{
    char clock[TIME_TEXT_MAX], since[TIME_TEXT_MAX], rate[TIME_TEXT_MAX] = "";
    int64_t hour = view->since - view->since % 3600; /* the server counts by the hour */
    format_local(context->now, "%H:%M:%S", clock);
    format_local(hour, context->now - hour < 86400 ? "%H:%M" : "%Y-%m-%d %H:%M", since);
    int64_t sum = 0;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) sum += uses(row);
    if (json_is_real(json_object_get(json_array_get(rows, 0), "callsPerSecond")))
        snprintf(rate, sizeof rate, ", now %.1f/s", view->total_rate);
    TEXT_FREE char *table = json_array_size(rows) == 0 ? text_copy("Nobody called anything.\n")
                                                       : table_text(rows, &rows_view, context->now);
    return text_format("%s  calls since %s: %" PRId64 "%s%s\n\n%s", clock, since, sum, rate,
                       is_live ? "  (q ends)" : "", table);
}

static enum exit_code print_once(struct context *context, struct view_of_use *view)
{
    json_t *rows = look(context, view);
    if (rows == NULL)
        return context->exit_code;
    if (context->format == OUTPUT_TABLE) {
        TEXT_FREE char *text = frame(context, view, rows, false);
        fputs(text, stdout);
    } else {
        struct list list;
        size_t i;
        json_t *row;
        if (!list_begin(&list, context, &rows_view, "rows")) {
            json_decref(rows);
            return EXIT_USAGE;
        }
        json_array_foreach(rows, i, row) list_add(&list, row);
        list_end(&list, "");
    }
    json_decref(rows);
    return EXIT_DONE;
}

static enum exit_code watch(struct context *context, struct view_of_use *view, int64_t interval_ms)
{
    struct screen screen;
    if (!screen_open(&screen))
        return report_usage(context, "standard input is not a terminal; use --once");
    double next = monotonic_time();
    json_t *rows = NULL;
    enum exit_code code = EXIT_DONE;
    for (bool goes_on = true; goes_on;) {
        if (monotonic_time() >= next) { /* and not when only the size has changed */
            json_t *new = look(context, view);
            if (new == NULL) {
                code = context->exit_code;
                break;
            }
            json_decref(rows);
            rows = new;
            next = monotonic_time() + (double)interval_ms / 1000;
        }
        TEXT_FREE char *text = frame(context, view, rows, true);
        screen_draw(text);
        int64_t wait = (int64_t)((next - monotonic_time()) * 1000) + 1;
        goes_on = screen_wait(&screen, wait > 0 ? wait : 0);
    }
    screen_close(&screen);
    json_decref(rows);
    return code;
}

static bool take_interval(struct context *context, int64_t *ret_ms)
{
    const char *text = option_value(&context->arguments, OPTION_INTERVAL);
    int64_t seconds = DEFAULT_INTERVAL_MS / 1000;
    if (text != NULL && (!duration_parse(text, &seconds) || seconds < 1 || seconds > 3600)) {
        report_usage(context, "--interval: \"%s\" is not a duration from 1s to 1h", text);
        return false;
    }
    *ret_ms = seconds * 1000;
    return true;
}

enum exit_code run_top(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    const char *credential = option_value(arguments, OPTION_CREDENTIAL);
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__UsageGrouping groups[] = {GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_CREDENTIAL,
                                             GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_API};
    Google__Protobuf__Timestamp since = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    struct view_of_use view = {.request = GATEHOUSE__V1__QUERY_USAGE_REQUEST__INIT};
    int64_t interval_ms, limit;
    since.seconds = context->now - DEFAULT_SINCE;
    if (!take_interval(context, &interval_ms) || !usage_take_time(context, OPTION_SINCE, &since.seconds) ||
        !pages_limit(context, OPTION_LIMIT, ROWS_MAX, &limit))
        return EXIT_USAGE;
    bool is_live = option_value(arguments, OPTION_ONCE) == NULL && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
    if (is_live && context->format != OUTPUT_TABLE)
        return report_usage(context, "a live view is a table; use --once with -o json or value");
    if (is_live)
        screen_prepare();
    if (credential != NULL && !target_find(context, credential, false, &target))
        return context->exit_code;
    message_set_string(&view.request.client_id, target.client_id);
    view.since = since.seconds;
    view.request.start_time = &since;
    view.request.group_by = groups;
    view.request.n_group_by = sizeof groups / sizeof groups[0];
    view.request.order = GATEHOUSE__V1__USAGE_ORDER__USAGE_ORDER_CALLS;
    view.request.page_size = limit == 0 || limit > ROWS_MAX ? ROWS_MAX : (int32_t)limit;
    enum exit_code code = is_live ? watch(context, &view, interval_ms) : print_once(context, &view);
    json_decref(view.before);
    return code;
}
