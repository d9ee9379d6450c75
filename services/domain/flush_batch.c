/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/flush_batch.h"

#include "base/crypto.h"
#include "base/must.h"
#include "records/audit.h"
#include "records/credential.h"
#include "records/limit.h"
#include "records/request.h"
#include "records/usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_AT_ONCE = 500, /* of usage: these wait for nobody's writes, and on a shared store all replicas' for them */
};
#define TOLD_AGAIN (3600 * CLOCK_SECOND)
static const char batch_actor[] = "gatehoused", batch_method[] = "flush";

struct flush_batch *flush_batch_new(const struct usage_delta *deltas, size_t count)
{
    struct flush_batch *batch = must(calloc(1, sizeof *batch));
    uint8_t bytes[FLUSH_BATCH_ID_LEN / 2];
    crypto_random(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(batch->id + 2 * i, 3, "%02x", bytes[i]);
    batch->deltas = must(malloc((count + 1) * sizeof *deltas));
    if (count > 0)
        memcpy(batch->deltas, deltas, count * sizeof *deltas);
    batch->delta_count = count;
    return batch;
}

void flush_batch_free(struct flush_batch *batch)
{
    free(batch->deltas);
    free(batch->observed);
    arena_done(&batch->arena);
    free(batch);
}

bool flush_batch_is_empty(const struct flush_batch *batch)
{
    return batch->delta_count + batch->event_count + batch->observed_count == 0;
}

static enum status tell_observed(struct store_tx *tx, const struct observed_count *observed, int64_t now)
{
    static const char *const what[LIMITS] = {
        [LIMIT_IDLE_TIMEOUT] = "idle timeout",
        [LIMIT_TOKEN_LIFE] = "maximum token lifetime",
        [LIMIT_TOKENS] = "live tokens",
        [LIMIT_TOKENS_PER_HOUR] = "tokens issued an hour",
    };
    struct limit_telling telling;
    char detail[160];
    TRY(limit_row_tell(tx, observed->credential_id, observed->limit, now - TOLD_AGAIN, now, &telling));
    if (!telling.is_due)
        return STATUS_OK;
    bool is_time = observed->limit <= LIMIT_TOKEN_LIFE;
    snprintf(detail, sizeof detail, "%s %" PRId64 "%s, observed only: would have refused %" PRId64 " so far",
             what[observed->limit], is_time ? telling.value / CLOCK_SECOND : telling.value, is_time ? " s" : "",
             telling.count);
    return audit_row_append(tx, &(struct audit_event){.at = now,
                                                      .actor = batch_actor,
                                                      .action = "LimitObserved",
                                                      .subject = telling.client_id,
                                                      .outcome = status_name(STATUS_OK),
                                                      .detail = detail});
}

static enum status store_observed(struct store_tx *tx, const struct flush_batch *batch, int64_t now)
{
    for (size_t i = 0; i < batch->observed_count; i++) {
        const struct observed_count *observed = &batch->observed[i];
        const struct limit_seen seen = {observed->count, observed->first, observed->last};
        TRY(limit_row_add_seen(tx, observed->credential_id, observed->limit, &seen));
        TRY(tell_observed(tx, observed, now));
    }
    return STATUS_OK;
}

enum status flush_batch_store(struct store_tx *tx, const struct flush_batch *batch, struct usage *usage, int64_t now)
{
    const struct request_row mark = {.id = batch->id, .actor = batch_actor, .method = batch_method, .client_id = ""};
    TRY(request_row_insert(tx, &mark, now));
    for (size_t i = 0; i < batch->spent_count; i++)
        TRY(request_row_remove(tx, batch_actor, batch->spent[i]));
    for (size_t i = 0; i < batch->delta_count; i++) {
        const struct usage_delta *delta = &batch->deltas[i];
        char api[API_MAX + 1];
        if (!usage_api(usage, delta->api, api))
            return STATUS_INTERNAL; /* the delta holds its name */
        TRY(usage_row_add(tx, delta, api));
        if (delta->credential_used != 0)
            TRY(credential_row_store_use(tx, delta->credential_id, delta->credential_used));
    }
    TRY(audit_row_append_all(tx, batch->events, batch->event_count));
    return store_observed(tx, batch, now);
}

enum status flush_batch_is_stored(struct store_tx *tx, const struct flush_batch *batch, bool *ret_is_stored)
{
    struct arena arena = {0};
    struct request_row mark = {.id = batch->id, .actor = batch_actor};
    enum status status = request_row_load(tx, &arena, &mark);
    arena_done(&arena);
    *ret_is_stored = status == STATUS_OK;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

void flush_batch_gather(struct memory *memory, int64_t now, int64_t steady, bool is_last, struct flush_batch **batches)
{
    struct usage_delta *deltas = NULL;
    struct flush_batch **link = batches;
    while (*link != NULL)
        link = &(*link)->next;
    size_t count = usage_gather(memory->usage, now, &deltas), at = 0;
    do {
        size_t most = count - at < ROWS_AT_ONCE ? count - at : ROWS_AT_ONCE;
        *link = flush_batch_new(deltas + at, most);
        if (at == 0) {
            (*link)->is_first = true;
            (*link)->event_count =
                audit_queue_gather(memory->audit, &(*link)->arena, steady, is_last, &(*link)->events);
            (*link)->observed_count = observed_gather(memory->observed, ROWS_AT_ONCE, &(*link)->observed);
        }
        link = &(*link)->next;
        at += most;
    } while (at < count);
    free(deltas);
}
