/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where several replicas write to one store, what is in memory is behind by what the others did. A replica follows the
 * change log: it hears of a change at once, and asks for the log's head several times in a lease.
 *
 * The bound: who answers from memory at time t has read the log at a time after t - lease, so that whatever was
 * acknowledged before that is known. When the lease has run out, and always if `strict`, the log is read first, call by
 * call (replica_refresh); where the store cannot be read, there is no answer.
 *
 * Each look compares what is known with the log (news.h). After a failover that lost commits, or a restored backup, it
 * finds another history, and everything that was in memory is replaced.
 */
#ifndef DOMAIN_REPLICA_H
#define DOMAIN_REPLICA_H

#include "domain/position.h"
#include "store/store.h"

struct domain;
struct replica;

struct group;

struct replica_options {
    int64_t lease; /* microseconds */
    bool is_strict;
    bool has_thread; /* that follows; without it, replica_follow does (tests) */
};

/* The directory holds the state of a read that began after `confirmed` (clock_steady). */
struct replica *replica_new(struct domain *domain, const struct replica_options *options, int64_t confirmed);

/* Tells the group, and follows from then on. */
enum status replica_start(struct replica *replica);
void replica_free(struct replica *replica); /* NULL is fine */

/* Waits for news, at most a quarter of the lease, then looks at the log once. What the thread does all the time. */
void replica_follow(struct replica *replica);

/* A change of this process's own is committed, and about to be obeyed in memory; then replica_end_own is to be called.
 * The next looks will see whether the log has it. False: its revision is none that comes next here. Either the log was
 * read beyond it already, and what is known is newer; or this is another history, and nothing that is known can be
 * compared with it. A look will tell, and until then nothing is answered from memory. */
bool replica_begin_own(struct replica *replica, struct position position);
void replica_end_own(struct replica *replica);

/* The processes of the same store, and their longest lease. */
struct group *replica_group(struct replica *replica);

/* May calls be answered from memory? NULL (a store of one's own): always. */
bool replica_is_current(struct replica *replica);

/* The same, strict or not: was the log read within the lease? */
bool replica_has_lease(struct replica *replica);

/* Could the log be read lately? For readiness and metrics; microseconds since. */
int64_t replica_age(struct replica *replica);

/* How often everything was replaced since the start, for metrics: because this was another history, or because the log
 * no longer reached back. */
struct replica_resets {
    uint64_t history, cut;
};
struct replica_resets replica_resets(struct replica *replica);

/* Reads what the others did until now, puts it into memory, and calls done, on a thread of the store. Callers who come
 * while one is being read share the next reading. */
void replica_refresh(struct replica *replica, store_done_fn *done, void *arg);

#endif
