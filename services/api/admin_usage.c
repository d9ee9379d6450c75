/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: usage and the audit log. */
#include "api/admin.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAY (24 * USAGE_HOUR)

static enum status read_grouping(struct call *call, const Gatehouse__V1__QueryUsageRequest *request,
                                 struct usage_query *query)
{
    bool is_by_hour = false, is_by_day = false;
    if (request->n_group_by == 0)
        query->by_credential = query->by_api = true;
    for (size_t i = 0; i < request->n_group_by; i++)
        switch (request->group_by[i]) {
        case GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_CREDENTIAL:
            query->by_credential = true;
            break;
        case GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_API:
            query->by_api = true;
            break;
        case GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_HOUR:
            is_by_hour = true;
            break;
        case GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_DAY:
            is_by_day = true;
            break;
        case GATEHOUSE__V1__USAGE_GROUPING__USAGE_GROUPING_UNSPECIFIED:
        case _GATEHOUSE__V1__USAGE_GROUPING_IS_INT_SIZE:
            break; /* the contract lets nobody through with these */
        }
    if (is_by_hour && is_by_day)
        return call_fail_field(call, "group_by", "INVALID_FIELD", "group_by names both the hour and the day");
    query->period = is_by_hour ? USAGE_HOUR : is_by_day ? DAY : 0;
    return STATUS_OK;
}

struct usage_listing {
    struct admin_call *admin;
    int size;
    bool has_more;
    Gatehouse__V1__QueryUsageResponse *response;
};

static enum status add_usage(const struct usage_total *total, void *arg)
{
    struct usage_listing *listing = arg;
    if (listing->response->n_rows == (size_t)listing->size)
        listing->has_more = true;
    else
        listing->response->rows[listing->response->n_rows++] = admin_usage_row(listing->admin, total);
    return STATUS_OK;
}

static enum status read_usage_query(struct admin_call *admin, const Gatehouse__V1__QueryUsageRequest *request,
                                    struct usage_query *query)
{
    struct call *call = admin_fails(admin);
    query->start = read_time(request->start_time, admin->work.now - 30 * DAY);
    query->end = read_time(request->end_time, admin->work.now + USAGE_HOUR);
    TRY(read_grouping(call, request, query));
    query->start -= query->start % USAGE_HOUR;
    query->api = request->api;
    query->by_uses = request->order_by_uses;
    if (request->client_id[0] == '\0')
        return STATUS_OK;
    struct credential *credential = NULL;
    TRY(admin_load(admin, request->client_id, &credential));
    query->credential_id = credential->id;
    return STATUS_OK;
}

/* What a page token is good for: the same question. */
static const char *usage_key(struct admin_call *admin, const Gatehouse__V1__QueryUsageRequest *request,
                             const struct usage_query *query)
{
    return arena_format(&admin->arena, "%s\n%s\n%" PRId64 "\n%d%d%d\n%" PRId64, request->client_id, request->api,
                        request->start_time == NULL ? 0 : query->start, query->by_credential, query->by_api,
                        query->by_uses, query->period);
}

enum status query_usage(struct admin_call *admin)
{
    const Gatehouse__V1__QueryUsageRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__QueryUsageResponse, gatehouse__v1__query_usage_response__init);
    struct usage_listing listing = {.admin = admin, .response = response};
    struct usage_query query = {.api = ""};
    const char *cursor = NULL;
    listing.size = page_size(request->page_size);
    TRY(read_usage_query(admin, request, &query));
    const char *key = usage_key(admin, request, &query);
    TRY(page_read(admin, request->page_token, key, &cursor));
    query.offset = strtoll(cursor, NULL, 10);
    query.limit = listing.size + 1;
    response->rows = arena_array(&admin->arena, Gatehouse__V1__UsageRow *, (size_t)listing.size);
    TRY(usage_row_query(admin->work.tx, &query, add_usage, &listing));
    if (listing.has_more)
        response->next_page_token =
            page_make(admin, key, arena_format(&admin->arena, "%" PRId64, query.offset + listing.size));
    return STATUS_OK;
}

struct audit_listing {
    struct admin_call *admin;
    int size;
    bool has_more;
    Gatehouse__V1__ListAuditEventsResponse *response;
};

static enum status add_event(const struct audit_event *event, void *arg)
{
    struct audit_listing *listing = arg;
    struct arena *arena = &listing->admin->arena;
    if (listing->response->n_events == (size_t)listing->size) {
        listing->has_more = true;
        return STATUS_OK;
    }
    Gatehouse__V1__AuditEvent *message = arena_new(arena, Gatehouse__V1__AuditEvent);
    gatehouse__v1__audit_event__init(message);
    message->sequence = event->sequence;
    message->event_time = admin_time(listing->admin, event->at);
    message->actor = arena_text(arena, event->actor);
    message->action = arena_text(arena, event->action);
    message->subject = arena_text(arena, event->subject);
    message->peer = arena_text(arena, event->peer);
    message->request_id = arena_text(arena, event->request_id);
    message->outcome = arena_text(arena, event->outcome);
    message->detail = arena_text(arena, event->detail);
    struct token_key hash;
    static_assert(sizeof hash.bytes == SHA256_BYTES);
    memcpy(hash.bytes, event->hash, SHA256_BYTES);
    message->hash = arena_alloc(arena, TOKEN_ACCESSOR_LEN + 1);
    token_key_format(&hash, message->hash);
    listing->response->events[listing->response->n_events++] = message;
    return STATUS_OK;
}

static const char *spell(struct arena *arena, const char *name)
{
    if (strlen(name) > CLIENT_ID_TEXT_MAX)
        return name;
    char *spelled = arena_alloc(arena, CLIENT_ID_TEXT_MAX + 1);
    client_id_spell(name, spelled);
    return spelled;
}

static enum status read_audit_filter(struct admin_call *admin, const char *text, struct audit_filter *ret_filter)
{
    static const char *const allowed[] = {
        "actor=", "action=", "subject=", "peer=", "outcome=", "time<", "time>", "detail:", NULL};
    enum { NAMES = 2 }; /* of those below, which may be client IDs */
    struct filter filter;
    struct call *call = admin_fails(admin);
    TRY(filter_parse(call, &admin->arena, text, allowed, &filter));
    const struct {
        const char *field;
        const char **value;
    } texts[] = {
        {"actor", &ret_filter->actor}, {"subject", &ret_filter->subject}, {"action", &ret_filter->action},
        {"peer", &ret_filter->peer},   {"outcome", &ret_filter->outcome}, {"detail", &ret_filter->detail},
    };
    for (size_t i = 0; i < filter.count; i++) {
        const struct filter_term *term = &filter.terms[i];
        for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++)
            if (strcmp(term->field, texts[j].field) == 0)
                *texts[j].value = j < NAMES ? spell(&admin->arena, term->value) : term->value;
        int64_t *time = term->op == '<' ? &ret_filter->before : &ret_filter->after;
        if (strcmp(term->field, "time") == 0 && !filter_time(term->value, time))
            return call_fail_field(call, "filter", "INVALID_FIELD", "filter: time wants a time of RFC 3339");
    }
    return STATUS_OK;
}

enum status list_audit_events(struct admin_call *admin)
{
    const Gatehouse__V1__ListAuditEventsRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__ListAuditEventsResponse, gatehouse__v1__list_audit_events_response__init);
    struct audit_listing listing = {.admin = admin, .response = response};
    struct audit_filter filter = {.after = INT64_MIN, .before = INT64_MAX, .below = INT64_MAX};
    const char *cursor = NULL;
    listing.size = page_size(request->page_size);
    TRY(read_audit_filter(admin, request->filter, &filter));
    TRY(page_read(admin, request->page_token, request->filter, &cursor));
    if (cursor[0] != '\0')
        filter.below = strtoll(cursor, NULL, 10);
    filter.limit = listing.size + 1;
    response->events = arena_array(&admin->arena, Gatehouse__V1__AuditEvent *, (size_t)listing.size);
    TRY(audit_list(admin->work.tx, &filter, add_event, &listing));
    if (listing.has_more)
        response->next_page_token =
            page_make(admin, request->filter,
                      arena_format(&admin->arena, "%" PRId64, response->events[response->n_events - 1]->sequence));
    return STATUS_OK;
}

enum status verify_audit_log(struct admin_call *admin)
{
    RESPOND(Gatehouse__V1__VerifyAuditLogResponse, gatehouse__v1__verify_audit_log_response__init);
    TRY(audit_verify(admin->work.tx, &response->events_checked, &response->first_broken_sequence));
    response->intact = response->first_broken_sequence == 0;
    return STATUS_OK;
}
