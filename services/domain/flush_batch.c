/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/flush_batch.h"

#include "base/crypto.h"
#include "base/must.h"
#include "records/audit.h"
#include "records/credential.h"
#include "records/limit.h"
#include "records/list.h"
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

static const char *word_observed(struct arena *arena, const struct limit_telling *telling)
{
    static const char *const what[LIMITS] = {
        [LIMIT_IDLE_TIMEOUT] = "idle timeout",
        [LIMIT_TOKEN_LIFE] = "maximum token lifetime",
        [LIMIT_TOKENS] = "live tokens",
        [LIMIT_TOKENS_PER_HOUR] = "tokens issued an hour",
    };
    bool is_time = telling->limit <= LIMIT_TOKEN_LIFE;
    return arena_format(arena, "%s %" PRId64 "%s, observed only: would have refused %" PRId64 " so far",
                        what[telling->limit], is_time ? telling->value / CLOCK_SECOND : telling->value,
                        is_time ? " s" : "", telling->count);
}

/* What observed limits of a batch have to say. */
struct telling {
    const struct flush_batch *batch;
    struct arena arena;
    struct limit_telling *due;
    size_t count;
};

/* A limit_telling_fn: of a limit that has seen something in this batch. */
static void add_due(const struct limit_telling *due, void *arg)
{
    struct telling *telling = arg;
    for (size_t i = 0; i < telling->batch->observed_count; i++) {
        const struct observed_count *observed = &telling->batch->observed[i];
        if (observed->credential_id == due->credential_id && observed->limit == due->limit) {
            telling->due[telling->count++] = *due;
            return;
        }
    }
}

static enum status tell_observed(struct store_tx *tx, struct telling *telling, int64_t now)
{
    struct audit_event *events = arena_array(&telling->arena, struct audit_event, telling->count);
    for (size_t i = 0; i < telling->count; i++) {
        const struct limit_telling *due = &telling->due[i];
        TRY(limit_row_told(tx, due->credential_id, due->limit, now));
        events[i] = (struct audit_event){.at = now,
                                         .actor = batch_actor,
                                         .action = "LimitObserved",
                                         .subject = due->client_id,
                                         .outcome = status_name(STATUS_OK),
                                         .detail = word_observed(&telling->arena, due)};
    }
    return audit_row_append_all(tx, events, telling->count);
}

static enum status store_seen(struct store_tx *tx, struct telling *telling, int64_t now)
{
    const struct flush_batch *batch = telling->batch;
    int64_t *ids = arena_array(&telling->arena, int64_t, batch->observed_count);
    telling->due = arena_array(&telling->arena, struct limit_telling, batch->observed_count);
    for (size_t i = 0; i < batch->observed_count; i++) {
        const struct observed_count *observed = &batch->observed[i];
        const struct limit_seen seen = {observed->count, observed->first, observed->last};
        ids[i] = observed->credential_id;
        TRY(limit_row_add_seen(tx, observed->credential_id, observed->limit, &seen));
    }
    TRY(limit_row_untold(tx, list_of_ids(tx, &telling->arena, ids, batch->observed_count), now - TOLD_AGAIN, now,
                         add_due, telling));
    return tell_observed(tx, telling, now);
}

static enum status store_observed(struct store_tx *tx, const struct flush_batch *batch, int64_t now)
{
    struct telling telling = {.batch = batch};
    enum status status = batch->observed_count == 0 ? STATUS_OK : store_seen(tx, &telling, now);
    arena_done(&telling.arena);
    return status;
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
