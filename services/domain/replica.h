/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where several replicas write to one store, what is in memory is behind by what the others did. A replica follows the
 * change log: it hears of a change at once, and asks for the log's head several times in a lease.
 *
 * The bound: who answers from memory at time t has read the log at a time after t - lease, so that whatever was
 * acknowledged before that is known. When the lease has run out, and always if `strict`, the log is read first, call by
 * call (replica_refresh); where the store cannot be read, there is no answer.
 */
#ifndef DOMAIN_REPLICA_H
#define DOMAIN_REPLICA_H

#include "store/store.h"

struct domain;
struct replica;

struct replica_options {
    int64_t lease; /* microseconds */
    bool is_strict;
    bool has_thread; /* that follows; without it, replica_follow does (tests) */
};

/* The directory holds the state of a read that began after `confirmed` (clock_steady). */
struct replica *replica_new(struct domain *domain, const struct replica_options *options, int64_t confirmed);
void replica_free(struct replica *replica); /* NULL is fine */

/* Waits for news, at most a quarter of the lease, then looks at the log once. What the thread does all the time. */
void replica_follow(struct replica *replica);

/* May calls be answered from memory? NULL (a store of one's own): always. */
bool replica_is_current(struct replica *replica);

/* Could the log be read lately? For readiness and metrics; microseconds since. */
int64_t replica_age(struct replica *replica);

/* Reads what the others did until now, puts it into memory, and calls done, on a thread of the store. Callers who come
 * while one is being read share the next reading. */
void replica_refresh(struct replica *replica, store_done_fn *done, void *arg);

#endif
