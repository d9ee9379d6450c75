/* SPDX-License-Identifier: Apache-2.0 */
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <inttypes.h>
#include <unistd.h>

#include "connection.h"
#include "credential.h"
#include "pages.h"
#include "text.h"
#include "time_format.h"
#include "usage.h"

enum {
    TABLE_LIMIT = 100, /* the log has no end; its newest part is what one looks for */
    VERIFIED_AT_ONCE = 100000,
};

static const struct view events_view = {
    .columns = COLUMNS({"NO", "sequence", NULL, COLUMN_RIGHT}, {"TIME", "eventTime", column_clock, 0},
                       {"ACTOR", "actor", NULL, COLUMN_TRUNCATE}, {"ACTION", "action", NULL, 0},
                       {"SUBJECT", "subject", NULL, COLUMN_TRUNCATE}, {"FROM", "peer", NULL, COLUMN_IF_FITS},
                       {"OUTCOME", "outcome", NULL, 0}, {"DETAIL", "detail", NULL, COLUMN_WRAP},
                       {"REQUEST ID", "requestId", NULL, COLUMN_IF_WIDE}, {"HASH", "hash", NULL, COLUMN_IF_WIDE}),
    .value_keys = KEYS("sequence", "eventTime", "actor", "action", "subject", "outcome"),
};

static const struct view verified_view = {
    .columns = COLUMNS({"Intact", "intact", NULL, 0}, {"Events checked", "eventsChecked", NULL, 0},
                       {"From event", "firstSequence", NULL, 0}),
    .value_keys = KEYS("intact"),
};

static bool add_time(struct context *context, char **filter, enum option_id id, char operator)
{
    int64_t seconds;
    char text[TIME_TEXT_MAX];
    if (!usage_take_time(context, id, &seconds))
        return false;
    if (option_value(&context->arguments, id) == NULL)
        return true;
    instant_format(seconds, 0, text);
    return filter_add(context, filter, "time", operator, text);
}

/* The log has IDs of who and what; a credential's name stands for its own. */
static bool add_term(struct context *context, char **filter, const char *field, char operator, enum option_id option)
{
    const char *value = option_value(&context->arguments, option);
    TEXT_FREE char *id = NULL;
    if (option != OPTION_MATCH_ACTOR && option != OPTION_MATCH_SUBJECT)
        return filter_add(context, filter, field, operator, value);
    return target_find_id(context, value, &id) && filter_add(context, filter, field, operator, id);
}

static char *list_filter(struct context *context)
{
    static const struct {
        enum option_id option;
        const char *field;
        char operator;
    } terms[] = {{OPTION_MATCH_ACTOR, "actor", '='},     {OPTION_MATCH_ACTION, "action", '='},
                 {OPTION_MATCH_SUBJECT, "subject", '='}, {OPTION_MATCH_PEER, "peer", '='},
                 {OPTION_MATCH_OUTCOME, "outcome", '='}, {OPTION_MATCH_TEXT, "detail", ':'}};
    char *filter = NULL;
    bool is_good = true;
    for (size_t i = 0; is_good && i < sizeof terms / sizeof terms[0]; i++)
        is_good = add_term(context, &filter, terms[i].field, terms[i].operator, terms[i].option);
    if (!is_good || !add_time(context, &filter, OPTION_SINCE, '>') || !add_time(context, &filter, OPTION_UNTIL, '<')) {
        text_free(&filter);
        return NULL;
    }
    filter_add_own(context, &filter);
    return filter == NULL ? text_copy("") : filter;
}

enum exit_code run_audit_list(struct context *context)
{
    Gatehouse__V1__ListAuditEventsRequest request = GATEHOUSE__V1__LIST_AUDIT_EVENTS_REQUEST__INIT;
    struct pages pages = {.method = "ListAuditEvents",
                          .request = &request,
                          .items = "events",
                          .view = &events_view,
                          .nothing = "No event."};
    TEXT_FREE char *filter = list_filter(context);
    int64_t otherwise = context->format == OUTPUT_TABLE ? TABLE_LIMIT : 0; /* a program wants all of it */
    if (filter == NULL)
        return context->exit_code;
    if (!pages_limit(context, OPTION_LIMIT, otherwise, &pages.limit))
        return EXIT_USAGE;
    request.filter = filter;
    return pages_print(context, &pages);
}

/* Part by part, so that no call takes long and no administrator waits for it. NULL: it failed. */
static Gatehouse__V1__VerifyAuditLogResponse *verify_all(struct context *context)
{
    Gatehouse__V1__VerifyAuditLogRequest request = GATEHOUSE__V1__VERIFY_AUDIT_LOG_REQUEST__INIT;
    TEXT_FREE char *token = text_copy("");
    int64_t checked = 0;
    request.page_size = VERIFIED_AT_ONCE;
    for (;;) {
        request.page_token = token;
        Gatehouse__V1__VerifyAuditLogResponse *response = admin_invoke(context, "VerifyAuditLog", &request);
        if (response == NULL)
            return NULL;
        checked += response->events_checked;
        response->events_checked = checked;
        text_free(&token);
        token = text_copy(response->next_page_token);
        if (token[0] == '\0') {
            if (checked > VERIFIED_AT_ONCE && isatty(STDERR_FILENO))
                fprintf(stderr, "\r\033[K");
            response->total_size = 0; /* it was for this */
            return response;
        }
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\r%" PRId64 " of %" PRId64 "\033[K", checked, response->total_size);
        protobuf_c_message_free_unpacked(&response->base, NULL);
    }
}

enum exit_code run_audit_verify(struct context *context)
{
    MESSAGE_FREE Gatehouse__V1__VerifyAuditLogResponse *response = verify_all(context);
    if (response == NULL)
        return context->exit_code;
    output_message(context, response, NULL, &verified_view);
    if (response->intact)
        return EXIT_DONE;
    fprintf(stderr,
            "gatehouse: the audit log was altered: its chain breaks at event %" PRId64 ".\n"
            "Compare with a backup from before; `gatehouse audit list` shows the events around it.\n",
            response->first_broken_sequence);
    return EXIT_REFUSED;
}
