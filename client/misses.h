/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What memory cannot answer is asked of the server: a few at a time by calls of their own, and what comes meanwhile
 * together, by BatchIntrospect. C8: a miss goes with a call that is not sent yet, never with one that is under way.
 */
#ifndef MISSES_H
#define MISSES_H

#include "internal.h"
#include "memory.h"

struct misses;

/* Both are borrowed: what is answered is learnt by `memory`. */
struct misses *gatehouse_misses_new(struct gatehouse *gatehouse, struct memory *memory);
/* All are answered. NULL is fine. */
void gatehouse_misses_free(struct misses *misses);

/* Any thread. The request is legal, and its key is `key`; for the rest as a service_start_fn. */
void gatehouse_misses_ask(struct misses *misses, const struct memory_key *key,
                          const Gatehouse__V1__IntrospectRequest *request, ProtobufCClosure closure,
                          struct gatehouse_call *call, void *closure_data, unsigned how);

/* The connection's thread: sends what has waited for long enough; returns when the next will have. */
int64_t gatehouse_misses_run(struct misses *misses, int64_t now);

/* An answer to a call that was sent at `sent`. */
void gatehouse_misses_learn(struct memory *memory, const struct memory_key *key,
                            const Gatehouse__V1__IntrospectResponse *response, int64_t sent);

/* How many went together with others. */
uint64_t gatehouse_misses_batched(const struct misses *misses);

#endif
