/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin.h"
#include "base/log.h"
#include "confirm.h"
#include "output.h"
#include "records/schema.h"
#include "report.h"
#include "store/floor.h"
#include "text.h"
#include "time_format.h"

#define SECOND INT64_C(1000000)

static const struct view clock_view = {
    .columns = COLUMNS({"Has certainly passed", "floor", NULL, 0}, {"Database's clock", "databaseClock", NULL, 0},
                       {"This machine's clock", "clock", NULL, 0}, {"The clock is behind by", "behind", NULL, 0}),
    .value_keys = KEYS("floor", "clock"),
};

struct looking {
    bool is_shared;
    int64_t floor, database, wall, lower; /* microseconds; lower < 0: only look */
};

static enum status look(struct store_tx *tx, void *arg)
{
    struct looking *looking = arg;
    TRY(floor_read(tx, &looking->floor));
    return looking->is_shared ? store_now(tx, &looking->database) : STATUS_OK;
}

static enum status lower(struct store_tx *tx, void *arg)
{
    struct looking *looking = arg;
    TRY(floor_lower(tx, looking->lower));
    return look(tx, arg);
}

static void set_time(json_t *object, const char *key, int64_t time)
{
    char text[TIME_TEXT_MAX];
    instant_format(time / SECOND, 0, text);
    if (text[0] == '\0') /* beyond the year 9999 */
        snprintf(text, sizeof text, "%lld s since 1970", (long long)(time / SECOND));
    json_object_set_new(object, key, time == 0 ? json_null() : json_string(text));
}

static void print_clocks(const struct context *context, const struct looking *looking)
{
    json_t *object = text_must(json_object());
    int64_t behind = looking->floor - looking->wall;
    char text[TIME_TEXT_MAX];
    set_time(object, "floor", looking->floor);
    if (looking->is_shared)
        set_time(object, "databaseClock", looking->database);
    set_time(object, "clock", looking->wall);
    duration_format(behind / SECOND, text);
    if (behind >= SECOND)
        json_object_set_new(object, "behind", json_string(text));
    output_record(context, object, &clock_view);
    json_decref(object);
}

static enum exit_code lower_floor(struct context *context, struct store *store, struct looking *looking)
{
    if (looking->floor <= looking->lower) {
        fputs("gatehouse admin clock: what the store remembers is no later than that. Nothing was changed.\n", stderr);
        return context->exit_code = EXIT_REFUSED;
    }
    if (option_value(&context->arguments, OPTION_YES) == NULL) {
        fputs("Tokens that were used before a time that is taken back may live longer than their idle timeout.\n",
              stderr);
        if (!confirm_word(context, "lower"))
            return context->exit_code;
    }
    enum status status = store_write_wait(store, lower, looking);
    if (status != STATUS_OK)
        return admin_fail(context, status, "");
    print_clocks(context, looking);
    if (looking->is_shared)
        fputs("gatehouse admin clock: daemons that run on this database keep their time until they are restarted, and "
              "store it again.\nIf any runs, stop all of them and repeat the command.\n",
              stderr);
    return EXIT_DONE;
}

static bool take_time(struct context *context, const struct looking *looking, int64_t *ret_time)
{
    const char *text = option_value(&context->arguments, OPTION_LOWER);
    int64_t seconds = -1;
    *ret_time = looking->wall;
    if (text == NULL || strcmp(text, "now") == 0)
        return true;
    if (instant_parse(text, context->now, TIME_BACK, &seconds) && seconds >= 0) {
        *ret_time = seconds * SECOND;
        return true;
    }
    report_usage(context, "--lower: \"%s\" is not a time; write now, 2027-01-31 or 2027-01-31T12:00:00Z", text);
    return false;
}

enum exit_code run_admin_clock(struct context *context)
{
    char why[256] = "";
    struct store *store = NULL;
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    struct looking looking = {.wall = wall.tv_sec * SECOND + wall.tv_nsec / 1000};
    const struct store_options options = {.url = context->arguments.rest[0], .schema = &records_schema, .readers = 1};
    if (admin_has_password(options.url))
        return report_usage(context, ADMIN_NO_PASSWORD);
    if (!take_time(context, &looking, &looking.lower))
        return context->exit_code;
    log_configure(LOG_LEVEL_ERROR, false);
    enum status status = store_open(&options, &store, why);
    if (status != STATUS_OK)
        return admin_fail(context, status, why);
    looking.is_shared = store_is_shared(store);
    enum exit_code code = EXIT_DONE;
    status = store_read_wait(store, look, &looking);
    if (status != STATUS_OK)
        code = admin_fail(context, status, "");
    else if (option_value(&context->arguments, OPTION_LOWER) != NULL)
        code = lower_floor(context, store, &looking);
    else
        print_clocks(context, &looking);
    store_close(store);
    return code;
}
