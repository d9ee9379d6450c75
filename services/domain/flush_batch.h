/* SPDX-License-Identifier: Apache-2.0 */
/* Usage and audit events of a flush, as they are stored together. */
#ifndef DOMAIN_FLUSH_BATCH_H
#define DOMAIN_FLUSH_BATCH_H

#include "base/arena.h"
#include "memory/memory.h"
#include "rules/audit.h"
#include "store/store.h"

enum {
    FLUSH_BATCH_ID_LEN = 32,
    FLUSH_BATCH_SPENT = 8,
};

/* What is added to what the store has, and must not be added twice: it goes with its id, which is left in the store
 * (table `request`) until a later batch takes it out. If nobody can say whether a batch was committed, it is kept, and
 * tried again with the same id. */
struct flush_batch {
    struct flush_batch *next;
    char id[FLUSH_BATCH_ID_LEN + 1];
    bool is_doubtful; /* it may be stored already */
    bool is_first;    /* of its flush: what is not added goes with it */
    struct usage_delta *deltas;
    size_t delta_count;
    struct arena arena; /* of the events */
    struct audit_event *events;
    size_t event_count;
    struct observed_count *observed;
    size_t observed_count;
    char spent[FLUSH_BATCH_SPENT][FLUSH_BATCH_ID_LEN + 1]; /* ids that this one takes out */
    size_t spent_count;
};

/* Is there nothing in it that must not be added twice? */
bool flush_batch_is_empty(const struct flush_batch *batch);

/* With a new id, and a copy of the deltas. */
struct flush_batch *flush_batch_new(const struct usage_delta *deltas, size_t count);
void flush_batch_free(struct flush_batch *batch);

/* Adds it to what the store has, and leaves its id there. `usage` knows the names of its APIs. */
enum status flush_batch_store(struct store_tx *tx, const struct flush_batch *batch, struct usage *usage, int64_t now);

/* Is its id in the store? */
enum status flush_batch_is_stored(struct store_tx *tx, const struct flush_batch *batch, bool *ret_is_stored);

/* Takes what memory has counted, and puts it behind those that are in *batches already: at least one batch, with which
 * the rest of the flush goes. steady: clock_steady. */
void flush_batch_gather(struct memory *memory, int64_t now, int64_t steady, bool is_last, struct flush_batch **batches);

#endif
