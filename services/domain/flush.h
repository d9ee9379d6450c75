/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying what is noted in memory into the store: uses of tokens, of APIs and of secret keys, and security events. */
#ifndef DOMAIN_FLUSH_H
#define DOMAIN_FLUSH_H

#include "base/clock.h"
#include "domain/group.h"
#include "memory/memory.h"
#include "store/store.h"

struct flush;

/* All is borrowed. `group` is told now and then that this process is there; NULL: nobody else writes to the store.
 * `interval`: see settings_flush_pause. */
struct flush *flush_new(struct memory *memory, struct store *store, struct clock *clock, struct group *group,
                        int64_t interval);
void flush_free(struct flush *flush); /* after flush_wait; NULL is fine */

/* What a flush is for. */
enum flush_extent {
    FLUSH_NEWS,  /* a read: nothing is written unless there is something new for it (memory_note_news) */
    FLUSH_NOTED, /* a write that counts tokens: nothing is written unless anything was noted */
    FLUSH_ALL,   /* a change of the idle timeout: with uses that are not worth a write yet (settings_use_step) */
    FLUSH_ROUND, /* every few seconds: also that this process is there, and what time has passed */
};

/* Calls done (may be NULL) when all that was noted before this call is in the store, but for uses of tokens that are
 * not worth a write yet (settings_use_step), and refusals that are counted until their minute is over
 * (memory/audit_queue.h); not STATUS_OK: not all of it is, and what is not will be stored later. More than a thousand
 * uses, or five hundred rows of usage, are stored in parts, so that whoever issues or revokes does not wait for all of
 * them. Reads and writes that are queued from done on see what was stored. */
void flush_begin(struct flush *flush, enum flush_extent extent, store_done_fn *done, void *arg);

/* The last one: refusals that are still being counted are stored, too. */
void flush_begin_last(struct flush *flush);

/* Waits for the end of all that have begun. */
void flush_wait(struct flush *flush);

/* Tokens of memory that the store does not have: they were half alive, gone after a restart and unknown to other
 * replicas. One was ended by another replica a moment ago, or lost, by a failover or by somebody's hand. Counts them,
 * and says it. */
void flush_note_missing(struct flush *flush, int64_t count);

/* How many since the start. */
uint64_t flush_tokens_missing(struct flush *flush);

#endif
