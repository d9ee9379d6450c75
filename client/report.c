/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include "base/must.h"
#include "cache.h"
#include "misses.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <stdlib.h>

#define RETRY MEMORY_SECOND
#define RETRY_AT_CLOSE (MEMORY_SECOND / 10)

struct report {
    struct gatehouse_call call;
    struct reporting *reporting;
    int64_t sent;
    struct use *uses;
    size_t count;
    Gatehouse__V1__BatchIntrospectEntry entries[USES_REPORT_MAX], *pointers[USES_REPORT_MAX];
    Google__Protobuf__Duration ago[USES_REPORT_MAX];
    char peers[USES_REPORT_MAX][ADDRESS_TEXT_MAX];
};

/* `used_ago` by the age when it is sent. One that is older than the idle timeout slides nothing, and counts all the
 * same. */
static void write_entry(struct report *report, const struct use *use, size_t i)
{
    int64_t age = report->sent - use->last;
    age = age < use->idle_timeout ? age : use->idle_timeout;
    gatehouse_duration_init(&report->ago[i]);
    report->ago[i].seconds = age / MEMORY_SECOND;
    report->ago[i].nanos = (int32_t)(age % MEMORY_SECOND * 1000);
    Gatehouse__V1__BatchIntrospectEntry *entry = &report->entries[i];
    gatehouse__v1__batch_introspect_entry__init(entry);
    entry->token = use->token;
    entry->api = use->api;
    entry->n_required_roles = use->required_count;
    entry->required_roles = use->required;
    entry->use_count = (int32_t)use->count;
    entry->used_ago = &report->ago[i];
    if (use->peer.kind == SOURCE_ADDRESS) {
        address_format(&use->peer.address, report->peers[i]);
        entry->peer = report->peers[i];
    }
    report->pointers[i] = entry;
}

/* Refused where its networks were changed meanwhile: counted as that. */
static bool is_taken(const Gatehouse__V1__IntrospectResponse *response)
{
    return response != NULL && response->error == NULL &&
           (response->active || response->refusal != GATEHOUSE__V1__USE_REFUSAL__USE_REFUSAL_UNSPECIFIED);
}

/* The answers are as good as any others: they move `until`, which no hit does. Returns how many uses were not taken. */
static uint64_t learn_all(struct report *report, const Gatehouse__V1__BatchIntrospectResponse *response)
{
    uint64_t lost = 0;
    const struct use *use = report->uses;
    size_t count = response != NULL ? response->n_responses : 0;
    for (size_t i = 0; use != NULL; i++, use = use->next) {
        const Gatehouse__V1__IntrospectResponse *one = i < count ? response->responses[i] : NULL;
        if (!is_taken(one))
            lost += use->count;
        if (one == NULL || one->error != NULL)
            continue;
        struct memory_key key = gatehouse_memory_key(report->reporting->memory, use->token);
        gatehouse_misses_learn(report->reporting->memory, &key, one, report->sent);
    }
    return lost;
}

/* What the server refuses it will refuse again. */
static bool is_refused(enum gatehouse_status status)
{
    return status == GATEHOUSE_INVALID_ARGUMENT || status == GATEHOUSE_PERMISSION_DENIED ||
           status == GATEHOUSE_UNAUTHENTICATED || status == GATEHOUSE_UNIMPLEMENTED;
}

static void on_reported(const ProtobufCMessage *response, void *data)
{
    struct report *report = data;
    struct reporting *reporting = report->reporting;
    int64_t now = gatehouse_cache_clock();
    int64_t retry = atomic_load(&reporting->is_closing) ? RETRY_AT_CLOSE : RETRY;
    if (response != NULL || is_refused(report->call.status))
        gatehouse_uses_done(reporting->uses, report->uses,
                            learn_all(report, (const Gatehouse__V1__BatchIntrospectResponse *)response));
    else
        gatehouse_uses_return(reporting->uses, report->uses, now, now + retry);
    free(report);
}

void gatehouse_report_send(struct reporting *reporting, struct use *uses)
{
    Gatehouse__V1__BatchIntrospectRequest request = GATEHOUSE__V1__BATCH_INTROSPECT_REQUEST__INIT;
    struct report *report = must(calloc(1, sizeof *report));
    int64_t time = INT64_MAX;
    report->reporting = reporting;
    report->uses = uses;
    report->sent = gatehouse_cache_clock();
    for (const struct use *use = uses; use != NULL; use = use->next) {
        write_entry(report, use, report->count++);
        int64_t most = gatehouse_uses_report_time(use->idle_timeout);
        time = most < time ? most : time;
    }
    request.n_requests = report->count;
    request.requests = report->pointers;
    report->call.timeout_ms = time / 1000 > 0 ? time / 1000 : 1;
    /* Not tried again by the call itself: each try must say the age anew. */
    gatehouse_invocation_start(reporting->gatehouse->auth, gatehouse_auth_method("BatchIntrospect"), &request.base,
                               on_reported, &report->call, report, INVOKE_ONCE);
}
