/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

struct clock {
    pthread_mutex_t lock;
    bool is_manual;
    int64_t last;      /* what was told last */
    int64_t monotonic; /* CLOCK_MONOTONIC at that moment */
};

static int64_t read_clock(clockid_t id)
{
    struct timespec time;
    clock_gettime(id, &time);
    return time.tv_sec * CLOCK_SECOND + time.tv_nsec / 1000;
}

int64_t clock_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static struct clock *clock_make(int64_t start, bool is_manual)
{
    struct clock *clock = calloc(1, sizeof *clock);
    if (clock == NULL)
        abort();
    pthread_mutex_init(&clock->lock, NULL);
    clock->is_manual = is_manual;
    clock->last = start;
    clock->monotonic = clock_monotonic();
    return clock;
}

struct clock *clock_new(int64_t floor)
{
    return clock_make(floor, false);
}

struct clock *clock_new_manual(int64_t start)
{
    return clock_make(start, true);
}

void clock_free(struct clock *clock)
{
    if (clock != NULL)
        pthread_mutex_destroy(&clock->lock);
    free(clock);
}

int64_t clock_now(struct clock *clock)
{
    pthread_mutex_lock(&clock->lock);
    if (!clock->is_manual) {
        /* The wall clock first: a thread that is held up between the two must not see it ahead of its time, for this
         * clock would stay ahead ever after. */
        int64_t wall = read_clock(CLOCK_REALTIME);
        int64_t monotonic = clock_monotonic();
        int64_t at_least = clock->last + (monotonic - clock->monotonic);
        clock->last = wall > at_least ? wall : at_least;
        clock->monotonic = monotonic;
    }
    int64_t now = clock->last;
    pthread_mutex_unlock(&clock->lock);
    return now;
}

int64_t clock_ahead(struct clock *clock)
{
    int64_t ahead = clock_now(clock) - read_clock(CLOCK_REALTIME);
    return clock->is_manual || ahead < 0 ? 0 : ahead;
}

void clock_advance(struct clock *clock, int64_t microseconds)
{
    pthread_mutex_lock(&clock->lock);
    if (microseconds > 0)
        clock->last += microseconds;
    pthread_mutex_unlock(&clock->lock);
}
