/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses that were answered from memory and that the server does not know yet (C9): counted without a lock, by token, api
 * and required roles, and reported one by one. Times are microseconds, as in memory.h.
 */
#ifndef USES_H
#define USES_H

#include "gatehouse.h"
#include "rules/source.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { USES_OF_TOKEN_MAX = 512, USES_REPORT_MAX = 100, USES_COUNT_MAX = 1000000 };
#define USES_SECOND INT64_C(1000000)
#define USES_UNREPORTED_MAX (UINT32_C(1) << 31) /* of one question: a count never goes round */

struct uses;
struct question;

/* How often one token was used for one question. Where a token's are (struct use_counts), readers may be. */
struct use_count {
    struct question *_Atomic question; /* NULL: of none yet. What follows is good once it is set */
    _Atomic int64_t last;
    _Atomic uint32_t count;     /* not reported */
    bool is_allowed;            /* does the token carry what the question requires? */
    _Atomic uint8_t peer_state; /* one thread at a time changes peer; the others leave it, for theirs was no later */
    struct use_count *_Atomic next;
    _Atomic uint64_t peer[2]; /* the address of the last use that told one and is not reported, in halves */
    /* Under the lock. */
    struct use_counts *counts;
    struct use_count *next_due;
    char *token; /* its text, while there is something to report */
};

/* Of one token, a part of whatever is kept of it. Zero but for `idle_timeout` and `give_back` at first. */
struct use_counts {
    struct use_count first; /* first: so the usual question needs no other memory */
    int64_t idle_timeout;
    void (*give_back)(struct use_counts *counts);
    /* Under the lock. */
    unsigned more, due;
    bool is_left;
};

/* What is reported: it belongs to whoever has taken it. */
struct use {
    char *token, *api;
    size_t required_count;
    char **required;
    int64_t last, idle_timeout;
    uint64_t count;     /* at most USES_COUNT_MAX */
    struct source peer; /* of the last of them that told one */
    struct use *next;
};

/* A use that is answered from memory is reported after at most this time, by a call of at most that (C9). */
int64_t gatehouse_uses_interval(int64_t idle_timeout);
int64_t gatehouse_uses_report_time(int64_t idle_timeout);

/* At most `max` of them wait. */
struct uses *gatehouse_uses_new(size_t max);
/* NULL is fine; what was taken must have come back. */
void gatehouse_uses_free(struct uses *uses);

/* Any thread, no lock; NULL: this question is new. */
struct use_count *gatehouse_uses_find(struct use_counts *counts, const Gatehouse__V1__IntrospectRequest *request);
/* The question is new: it is legal, and this is its answer. NULL: there is no room, the server must be asked. */
struct use_count *gatehouse_uses_add(struct uses *uses, struct use_counts *counts,
                                     const Gatehouse__V1__IntrospectRequest *request, bool is_allowed);
/* A use: of which token, from where, and when that is. */
struct use_now {
    const char *token;
    const struct source *peer;
    int64_t now;
};
/* The token is used now. No lock but for the first time since a report. false: there is no room. *ret_must_wake: the
 * thread that reports sleeps for too long. */
bool gatehouse_uses_note(struct uses *uses, struct use_count *count, const struct use_now *use, bool *ret_must_wake);
/* Nobody else can have them any more: given back, at once or when what is counted has been taken. */
void gatehouse_uses_leave(struct uses *uses, struct use_counts *counts);

/* Once one is due all are reported that there are by then. Takes up to USES_REPORT_MAX of them; NULL: nothing is due,
 * or so much is under way that what is must come back first. */
struct use *gatehouse_uses_take(struct uses *uses, int64_t now);
/* The server was not reached: again, at `due`. Those that are too old to mean anything are lost. */
void gatehouse_uses_return(struct uses *uses, struct use *taken, int64_t now, int64_t due);
/* It was; of `lost` of them the server wanted to know nothing. */
void gatehouse_uses_done(struct uses *uses, struct use *taken, uint64_t lost);

/* All that there are become due, also those that are to be tried again. */
void gatehouse_uses_flush(struct uses *uses);
/* Waits until all are reported, for a time by CLOCK_MONOTONIC. */
void gatehouse_uses_await(struct uses *uses, int64_t microseconds);

/* The thread sleeps until `wake`, or until the first is due; when is that? */
int64_t gatehouse_uses_plan(struct uses *uses, int64_t wake);
/* The uses; `hits` is how many there were. */
void gatehouse_uses_stats(struct uses *uses, struct gatehouse_cache_stats *stats);

#endif
