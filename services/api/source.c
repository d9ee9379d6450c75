/* SPDX-License-Identifier: Apache-2.0 */
/* Uses from outside a credential's networks: what is said of them. */
#include "api/internal.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

void source_note_outside(struct api *api, const struct call *call, const struct outside *outside)
{
    struct memory *memory = api->domain->memory;
    bool is_refused = outside->verdict == SOURCE_REFUSED;
    char peer[ADDRESS_TEXT_MAX], normal[API_MAX + 1], detail[API_MAX + 64];
    int64_t count = source_uses_outside(memory->sources, outside->credential_id, outside->verdict, outside->count,
                                        clock_steady(api->domain->clock));
    if (count == 0)
        return;
    snprintf(peer, sizeof peer, "%s", call->peer);
    if (outside->source->kind == SOURCE_ADDRESS)
        address_format(&outside->source->address, peer);
    usage_normalise(outside->api, normal);
    snprintf(detail, sizeof detail, "%s; uses since the last such event: %" PRId64, normal, count);
    log_write(LOG_LEVEL_WARN, is_refused ? "source_address_refused" : "source_address_observed", "request_id",
              call->request_id, "peer", peer, "client_id", outside->client_id, "count", log_number(count).text, NULL);
    const struct audit_event event = {
        .at = clock_now(api->domain->clock),
        .actor = outside->client_id,
        .action = is_refused ? "SourceAddressRefused" : "SourceAddressObserved",
        .subject = outside->client_id,
        .peer = peer,
        .request_id = call->request_id,
        .outcome = status_name(is_refused ? STATUS_PERMISSION_DENIED : STATUS_OK),
        .detail = detail,
    };
    audit_queue_add(memory->audit, &event);
    memory_note_news(memory);
}

void source_note_introspection(struct api *api, const struct call *call, const struct introspection *introspection)
{
    if (introspection->verdict != SOURCE_WITHIN && introspection->is_use)
        source_note_outside(api, call,
                            &(struct outside){.verdict = introspection->verdict,
                                              .credential_id = introspection->credential_id,
                                              .client_id = introspection->client_id,
                                              .source = &introspection->source,
                                              .api = introspection->api,
                                              .count = introspection->use_count});
}

enum status source_fail(struct call *call)
{
    return call_fail(call, STATUS_PERMISSION_DENIED, "SOURCE_ADDRESS_REFUSED",
                     "the credential may not be used from this address");
}
