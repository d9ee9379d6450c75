/* SPDX-License-Identifier: Apache-2.0 */
#include "usage.h"

#include <gatehouse/v1/credential_admin.pb-c.h>
#include <inttypes.h>
#include <string.h>

#include "connection.h"
#include "credential.h"
#include "object.h"
#include "pages.h"
#include "report.h"
#include "text.h"
#include "time_format.h"

enum { GROUPINGS_MAX = 4, COLUMNS_MAX = 11, KEYS_MAX = 8 };

char *usage_column_uses(const json_t *object, const json_t *, int64_t)
{
    return text_format("%" PRId64, object_integer(object, "allowed") + object_integer(object, "denied"));
}

static char *format_hour(const json_t *object, const json_t *value, int64_t now)
{
    char *text = column_clock(object, value, now);
    if (strlen(text) > strlen("2027-01-31 12:00"))
        text[strlen("2027-01-31 12:00")] = '\0';
    return text;
}

static char *format_day(const json_t *, const json_t *value, int64_t)
{
    TEXT_FREE char *text = text_copy(json_is_string(value) ? json_string_value(value) : "");
    text[strcspn(text, "T")] = '\0'; /* the server's days are days in UTC */
    return text_copy(text);
}

bool usage_take_time(struct context *context, enum option_id id, int64_t *ret_seconds)
{
    const char *text = option_value(&context->arguments, id);
    if (text == NULL || instant_parse(text, context->now, TIME_BACK, ret_seconds))
        return true;
    report_usage(context, "--%s: \"%s\" is not a time; write 24h, 30d, 2027-01-31 or 2027-01-31T12:00:00Z",
                 option_row(id)->name, text);
    return false;
}

/* Nothing of 0. */
static char *format_observed(const json_t *object, const json_t *, int64_t)
{
    int64_t count = object_integer(object, "observed");
    return count == 0 ? text_copy("") : text_format("%" PRId64, count);
}

/* The view follows the grouping. */
struct grouping {
    Gatehouse__V1__UsageGrouping groups[GROUPINGS_MAX];
    size_t count;
    struct column columns[COLUMNS_MAX];
    const char *keys[KEYS_MAX];
    struct view view;
};

static bool group_by(struct grouping *grouping, const char *word)
{
    static const struct {
        const char *word;
        Gatehouse__V1__UsageGrouping group;
    } words[] = {{"credential", GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_CREDENTIAL},
                 {"api", GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_API},
                 {"hour", GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_HOUR},
                 {"day", GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_DAY}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i].word) != 0)
            continue;
        for (size_t j = 0; j < grouping->count; j++) {
            if (grouping->groups[j] == words[i].group)
                return true;
        }
        grouping->groups[grouping->count++] = words[i].group;
        return true;
    }
    return false;
}

static void make_view(struct grouping *grouping)
{
    size_t columns = 0, keys = 0;
    for (size_t i = 0; i < grouping->count; i++) {
        bool is_hour = grouping->groups[i] == GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_HOUR;
        if (grouping->groups[i] == GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_CREDENTIAL) {
            grouping->columns[columns++] = (struct column){"CREDENTIAL", "credentialName", NULL, COLUMN_TRUNCATE};
            grouping->columns[columns++] = (struct column){"CLIENT ID", "clientId", NULL, COLUMN_IF_FITS};
            grouping->keys[keys++] = "clientId";
        } else if (grouping->groups[i] == GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_API) {
            grouping->columns[columns++] = (struct column){"API", "api", NULL, 0};
            grouping->keys[keys++] = "api";
        } else {
            grouping->columns[columns++] =
                (struct column){is_hour ? "HOUR" : "DAY", "startTime", is_hour ? format_hour : format_day, 0};
            grouping->keys[keys++] = "startTime";
        }
    }
    grouping->columns[columns++] = (struct column){"CALLS", "allowed", usage_column_uses, COLUMN_RIGHT};
    grouping->columns[columns++] = (struct column){"REFUSED", "denied", NULL, COLUMN_RIGHT};
    grouping->columns[columns++] =
        (struct column){"OBSERVED", "observed", format_observed, COLUMN_RIGHT | COLUMN_IF_ANY};
    grouping->columns[columns++] = (struct column){"FIRST USE", "firstUseTime", column_time, COLUMN_IF_FITS};
    grouping->columns[columns] = (struct column){"LAST USE", "lastUseTime", column_time, COLUMN_IF_FITS};
    grouping->keys[keys++] = "allowed";
    grouping->keys[keys] = "denied";
    grouping->view = (struct view){.columns = grouping->columns, .value_keys = grouping->keys};
}

static bool take_grouping(struct context *context, struct grouping *grouping)
{
    const struct words *words = &context->arguments.words;
    bool is_time = false;
    for (size_t i = 0; i < words->count; i++) {
        bool is_hour_or_day = strcmp(words->items[i], "hour") == 0 || strcmp(words->items[i], "day") == 0;
        if (!group_by(grouping, words->items[i]) || (is_time && is_hour_or_day)) {
            report_usage(context, "--by: \"%s\" is none of credential, api, hour, day, of hour and day one",
                         words->items[i]);
            return false;
        }
        is_time = is_time || is_hour_or_day;
    }
    if (grouping->count == 0) {
        group_by(grouping, "credential");
        group_by(grouping, "api");
    }
    make_view(grouping);
    return true;
}

enum exit_code run_usage_query(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    const char *credential = option_value(arguments, OPTION_CREDENTIAL);
    bool is_top = option_value(arguments, OPTION_TOP) != NULL;
    TARGET_DONE struct target target = {0};
    struct grouping grouping = {0};
    Google__Protobuf__Timestamp since = GOOGLE__PROTOBUF__TIMESTAMP__INIT, until = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Gatehouse__V1__QueryUsageRequest request = GATEHOUSE__V1__QUERY_USAGE_REQUEST__INIT;
    struct pages pages = {.method = "QueryUsage", .request = &request, .items = "rows", .nothing = "No use."};
    if (!take_grouping(context, &grouping) || !usage_take_time(context, OPTION_SINCE, &since.seconds) ||
        !usage_take_time(context, OPTION_UNTIL, &until.seconds) ||
        !pages_limit(context, is_top ? OPTION_TOP : OPTION_LIMIT, 0, &pages.limit))
        return EXIT_USAGE;
    if (credential != NULL && !target_find(context, credential, false, &target))
        return context->exit_code;
    message_set_string(&request.client_id, target.client_id);
    message_set_string(&request.api, option_value(arguments, OPTION_MATCH_API));
    request.start_time = option_value(arguments, OPTION_SINCE) == NULL ? NULL : &since;
    request.end_time = option_value(arguments, OPTION_UNTIL) == NULL ? NULL : &until;
    request.group_by = grouping.groups;
    request.n_group_by = grouping.count;
    message_set_string(&request.api_contains, option_value(arguments, OPTION_PART_OF_API));
    request.include_internal = option_value(arguments, OPTION_INTERNAL) != NULL;
    request.order =
        is_top ? GATEHOUSE__V1__USAGE_ORDER__USAGE_ORDER_CALLS : GATEHOUSE__V1__USAGE_ORDER__USAGE_ORDER_UNSPECIFIED;
    pages.view = &grouping.view;
    pages.is_cut = is_top; /* asking for the first ten, one knows that there are more */
    return pages_print(context, &pages);
}
