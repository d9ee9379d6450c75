/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: usage. */
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

/* A usage_each_fn, of query_usage. */
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
    query->contains = request->api_contains;
    query->has_internal = request->include_internal;
    query->order = (enum usage_order)request->order; /* the same numbers */
    if (request->client_id[0] == '\0')
        return STATUS_OK;
    struct credential *credential = NULL;
    TRY(admin_load(admin, request->client_id, &credential));
    query->credentials = &credential->id;
    query->credential_count = 1;
    return STATUS_OK;
}

/* What a page token is good for: the same question. */
static const char *usage_key(struct admin_call *admin, const Gatehouse__V1__QueryUsageRequest *request,
                             const struct usage_query *query)
{
    return arena_format(&admin->arena, "%s\n%s\n%s\n%" PRId64 "\n%d%d%d%d\n%" PRId64, request->client_id, request->api,
                        request->api_contains, request->start_time == NULL ? 0 : query->start, query->by_credential,
                        query->by_api, (int)query->order, query->has_internal, query->period);
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
