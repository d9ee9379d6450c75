/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many failed authentications there were lately, by address and by client ID. Only failures are counted and only
 * failures are refused: a valid secret is never locked out, whatever others try with its client ID.
 *
 * An address is one IPv4 address or one IPv6 /64. Its own failures are looked at first: once it has used up its share,
 * what it tries counts against no client ID any more, so that nobody can use up the share of others.
 */
#ifndef MEMORY_THROTTLE_H
#define MEMORY_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct throttle;

/* Empty. NULL is fine for throttle_free. */
struct throttle *throttle_new(void);
void throttle_free(struct throttle *throttle);

struct throttle_verdict {
    bool is_allowed;  /* to be told that it failed; else: that there were too many failures */
    int64_t retry_ms; /* when to try again */
    int64_t refused;  /* not 0: write down that so many were refused since this was last said, at most once a minute */
};

/* Notes a failure of `peer`, and of `client_id` unless that is NULL. Not allowed: there were more than 30 in a minute's
 * time. `now` is clock_steady: what a jump of the wall clock left would last. */
struct throttle_verdict throttle_failure(struct throttle *throttle, const char *peer, const char *client_id,
                                         int64_t now);

/* How many were refused in all. From any thread. */
uint64_t throttle_refused(const struct throttle *throttle);

#endif
