/* SPDX-License-Identifier: Apache-2.0 */
/* The pings of a stream: when the next is due, and which of them a pong answers (C2, C7). */
#ifndef PINGS_H
#define PINGS_H

#include "memory.h"

#include <stdatomic.h>

enum { PINGS_KNOWN = 64 };              /* of which the time is remembered */
#define PINGS_REST (10 * MEMORY_SECOND) /* between two while nobody asks the cache: then nothing needs proof */

/* Of the connection's thread. Begins as zeros. */
struct pings {
    int64_t due; /* when the next is to be sent */
    int64_t last;
    bool is_resting;                  /* set by whoever has them: nobody asks the cache */
    int64_t first;                    /* number of this stream's */
    _Atomic int64_t number, answered; /* of the last; any thread reads them */
    int64_t times[PINGS_KNOWN];
};

/* A stream begins: its first ping is due at once. */
void gatehouse_pings_begin(struct pings *pings, int64_t now);

/* The number of the next, which is sent now, under this lease; its time is what gatehouse_cache_clock says in here. */
int64_t gatehouse_pings_next(struct pings *pings, int64_t now, int64_t lease);

/* A caller that waits for `everywhere` shall not wait for the next ping: it is due as soon as the server takes it. */
void gatehouse_pings_hasten(struct pings *pings);

/* A pong has this number. False: it answers none of this stream's that is still unanswered. */
bool gatehouse_pings_answer(struct pings *pings, int64_t number, int64_t *ret_sent);

/* The stream is over: nobody will answer the rest. */
void gatehouse_pings_end(struct pings *pings);

/* Any thread. */
uint64_t gatehouse_pings_unanswered(const struct pings *pings);

#endif
