/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses that were answered from memory and that the server does not know yet, by token, api and required roles (C9). Any
 * thread; a lock of its own. Times as in memory.h.
 */
#ifndef USES_H
#define USES_H

#include "memory.h"

enum { USES_MAX = 8192, USES_REPORT_MAX = 100, USES_COUNT_MAX = 1000000 };

struct uses;

/* In a report it belongs to whoever has taken it. */
struct use {
    char *token, *api;
    size_t required_count;
    char **required;
    int64_t last, idle_timeout;
    uint64_t count; /* at most USES_COUNT_MAX in a report */
    struct use *next;
};

/* `secret`: random. */
struct uses *gatehouse_uses_new(size_t max, const struct siphash_key *secret);
/* NULL is fine; what was taken must have come back. */
void gatehouse_uses_free(struct uses *uses);

/* false: there is no room; the server must be asked. *ret_must_wake: the thread that reports sleeps for too long. */
bool gatehouse_uses_note(struct uses *uses, const Gatehouse__V1__IntrospectRequest *request, const struct hit *hit,
                         bool *ret_must_wake);

/* Once one is due they are all reported. Takes up to USES_REPORT_MAX of them; NULL: nothing is due. */
struct use *gatehouse_uses_take(struct uses *uses, int64_t now);
/* The server was not reached: again, at `due`. Those that are too old to mean anything are lost. */
void gatehouse_uses_return(struct uses *uses, struct use *taken, int64_t now, int64_t due);
/* It was; of `lost` of them the server wanted to know nothing. */
void gatehouse_uses_done(struct uses *uses, struct use *taken, uint64_t lost);

/* All that there are become due. */
void gatehouse_uses_flush(struct uses *uses);
/* Waits until all are reported, for a time by CLOCK_MONOTONIC. */
void gatehouse_uses_await(struct uses *uses, int64_t microseconds);

/* The thread sleeps until `wake`, or until the first is due; when is that? */
int64_t gatehouse_uses_plan(struct uses *uses, int64_t wake);
void gatehouse_uses_stats(struct uses *uses, struct gatehouse_cache_stats *stats);

#endif
