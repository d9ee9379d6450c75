/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of one loop: a heap, the earliest first. */
#ifndef RPC_H2_TIMER_H
#define RPC_H2_TIMER_H

#include <stddef.h>
#include <stdint.h>

struct h2_timer {
    int64_t due;  /* CLOCK_MONOTONIC, microseconds */
    size_t place; /* in the heap, from 1; 0: not set */
    void (*run)(struct h2_timer *timer);
};

struct h2_timers {
    struct h2_timer **heap; /* from 1 */
    size_t count, room;
};

/* Sets it, or sets it anew. */
void h2_timer_set(struct h2_timers *timers, struct h2_timer *timer, int64_t due);
void h2_timer_clear(struct h2_timers *timers, struct h2_timer *timer);

/* INT64_MAX: none is set. */
int64_t h2_timers_next(const struct h2_timers *timers);

/* Runs all that are due; each is cleared before it runs. */
void h2_timers_run(struct h2_timers *timers, int64_t now);

/* Frees the heap, not what stands in it. */
void h2_timers_done(struct h2_timers *timers);

#endif
