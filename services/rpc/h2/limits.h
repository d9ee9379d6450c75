/* SPDX-License-Identifier: Apache-2.0 */
/* What is met when somebody wants too much: rates, counts, and one line in the log for a burst of it. */
#ifndef RPC_H2_LIMITS_H
#define RPC_H2_LIMITS_H

#include "rpc/server.h"

#include <stdatomic.h>

/* So many a second, and four times as many at once. */
struct h2_rate {
    int64_t left;   /* in millionths */
    int64_t filled; /* when */
};
/* So many a second, and as many at once. */
void h2_rate_init(struct h2_rate *rate, int a_second, int64_t now);
/* One more may come than else. */
void h2_rate_give(struct h2_rate *rate);
/* One more. False: that is too many. */
bool h2_rate_take(struct h2_rate *rate, int a_second, int64_t now);

struct h2_limits {
    atomic_uint_least64_t met[RPC_LIMIT_COUNT];
    atomic_uint_least64_t told[RPC_LIMIT_COUNT];   /* of those that were met */
    atomic_int_least64_t told_at[RPC_LIMIT_COUNT]; /* 0: never */
};

/* Counts it, and says so in the log where it did not for a while. why: NULL for none. Returns whether it said so. */
bool h2_limits_met(struct h2_limits *limits, enum rpc_limit limit, const char *peer, const char *why, int64_t now);

#endif
