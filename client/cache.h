/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AuthService with a memory: one more service in front of the channel's. It asks memory.h first, counts what was
 * answered in uses.h and reports that, and keeps the stream of watch.h.
 */
#ifndef CACHE_H
#define CACHE_H

#include "internal.h"
#include "memory.h"

struct cache;

/* CLOCK_BOOTTIME in microseconds: nobody sets it, and it runs while the machine sleeps (C2). */
int64_t gatehouse_cache_clock(void);

/* The number of a method of AuthService. */
unsigned gatehouse_auth_method(const char *name);

/* NULL: the options ask for none. */
struct cache *gatehouse_cache_new(struct gatehouse *gatehouse, const struct gatehouse_options *options);
void gatehouse_cache_free(struct cache *cache);
struct service *gatehouse_cache_service(struct cache *cache);
struct service *gatehouse_cache_admin(struct cache *cache); /* CredentialAdmin, changes.h */

/* gatehouse_check from memory: a request that its caller may make. false: nothing is set; ask AuthService. */
bool gatehouse_cache_check(struct cache *cache, const Gatehouse__V1__IntrospectRequest *request,
                           struct gatehouse_check *check);

/* What memory says of one entry of a batch: a message of one's own. NULL: the server is to be asked; then
 * *ret_is_learnt says whether its answer may be given to gatehouse_cache_learn, under *ret_key. It is counted as a hit
 * or a miss. */
Gatehouse__V1__IntrospectResponse *gatehouse_cache_look(struct cache *cache,
                                                        const Gatehouse__V1__IntrospectRequest *request,
                                                        const struct gatehouse_call *call, struct memory_key *ret_key,
                                                        bool *ret_is_learnt);
void gatehouse_cache_learn(struct cache *cache, const struct memory_key *key,
                           const Gatehouse__V1__IntrospectResponse *response, int64_t sent);

/* The connection's thread: does what is due; returns when to look again, by gpr's monotonic clock. */
gpr_timespec gatehouse_cache_run(struct cache *cache);
/* The connection has a token now, or could get none. */
void gatehouse_cache_token(struct cache *cache, bool has_token);
/* Before the connection is closed: reports what is left, for a second at most, and ends the stream. */
void gatehouse_cache_close(struct cache *cache);

#endif
