/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that carries what is noted in memory into the store, every few seconds and in one transaction, and removes
 * from the store what is dead: tokens, ended secret keys, old usage, deleted credentials past their retention. A few at
 * a time, so that nobody waits for it.
 */
#ifndef DOMAIN_FLUSHER_H
#define DOMAIN_FLUSHER_H

#include "domain/domain.h"

struct flusher;

/* interval_ms -1: no thread; only flusher_flush and flusher_reap. */
struct flusher *flusher_new(struct domain *domain, int64_t interval_ms);
void flusher_stop(struct flusher *flusher); /* joins the thread, after a last flush */
void flusher_free(struct flusher *flusher);

/* Calls done (may be NULL) when all that was noted before this call is in the store; not STATUS_OK: not all of it is,
 * and what is not will be stored later. More than a thousand uses are stored in parts, so that whoever issues or
 * revokes does not wait for all of them. */
void flusher_flush(struct flusher *flusher, store_done_fn *done, void *arg);

/* One round of removing, waiting for its end; all that was noted must be flushed. Returns how many tokens were looked
 * at and removed. */
enum status flusher_reap(struct flusher *flusher, int *ret_seen, int *ret_removed);

/* What the thread does every few seconds: looks at the clock, flushes, and if all is stored, removes. */
void flusher_round(struct flusher *flusher, int *ret_removed);

/* Tokens of memory that the store does not have: they were half alive, gone after a restart and unknown to other
 * replicas. One was ended by another replica a moment ago, or lost, by a failover or by somebody's hand. Counts them,
 * and says it. */
void flusher_note_missing(struct flusher *flusher, int64_t count);

/* How many since the start. */
uint64_t flusher_tokens_missing(struct flusher *flusher);

/* A secret key was used. */
void flusher_note_secret(struct flusher *flusher, int64_t secret_id, int64_t now);

#endif
