/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where several replicas write to one store, what is in memory is behind by what the others did. A replica follows the
 * change log: it hears of a change at once, and asks for the log's head several times in a lease.
 *
 * The bound: who answers from memory at time t has read the log at a time after t - lease, so that whatever was
 * acknowledged before that is known. When the lease has run out, and always if `strict`, the log is read first, call by
 * call (follow_refresh); where the store cannot be read, there is no answer.
 *
 * Each look compares what is known with the log (news.h). After a failover that lost commits, or a restored backup, it
 * finds another history, and everything that was in memory is replaced.
 */
#ifndef DOMAIN_FOLLOW_H
#define DOMAIN_FOLLOW_H

#include "base/clock.h"
#include "domain/group.h"
#include "rules/change.h"
#include "store/store.h"

struct memory;
struct follow;

struct follow_options {
    struct group_self self;
    bool is_strict;
    int64_t confirmed; /* memory holds the state of a read that began after this (clock_steady) */
};

/* All is borrowed. */
struct follow *follow_new(struct memory *memory, struct store *store, struct clock *clock,
                          const struct follow_options *options);
void follow_free(struct follow *follow); /* NULL is fine */

/* Tells the group that this process serves, and that it does no more (NULL is fine); both wait for the store. */
enum status follow_start(struct follow *follow);
void follow_leave(struct follow *follow);

/* Waits for news, at most a quarter of the lease, then looks at the log once. What the thread does all the time. */
void follow_once(struct follow *follow);

/* A change of this process's own is committed, and about to be obeyed in memory; then follow_end_own is to be called.
 * The next looks will see whether the log has it. False: its revision is none that comes next here. Either the log was
 * read beyond it already, and what is known is newer; or this is another history, and nothing that is known can be
 * compared with it. A look will tell, and until then nothing is answered from memory. */
bool follow_begin_own(struct follow *follow, struct position position);
void follow_end_own(struct follow *follow);

/* The processes of the same store, and their longest lease. */
struct group *follow_group(struct follow *follow);

/* May calls be answered from memory? NULL (a store of one's own): always. */
bool follow_is_current(struct follow *follow);

/* Was the log read within the lease, whether or not that is enough to answer from memory? Whoever has waited for a
 * look, or for anything since, asks this. */
bool follow_has_lease(struct follow *follow);

/* Could the log be read lately? For readiness and metrics; microseconds since. */
int64_t follow_age(struct follow *follow);

/* How often everything was replaced since the start, for metrics: because this was another history, or because the log
 * no longer reached back. */
struct follow_resets {
    uint64_t history, cut;
};
/* How often all was forgotten, by cause; for metrics. */
struct follow_resets follow_resets(struct follow *follow);

/* Reads what the others did until now, puts it into memory, and calls done, on a thread of the store. Callers who come
 * while one is being read share the next reading. */
void follow_refresh(struct follow *follow, store_done_fn *done, void *arg);

#endif
