/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

struct clock {
    bool is_manual;
    _Atomic int64_t wall, steady; /* a manual clock's */
    _Atomic int64_t settled_at_0; /* the settled time when the steady clock stood at 0 */
    /* The window in which the wall clock is watched: when it ends, by the steady clock, the settled time moves on by as
     * much as the wall clock was ahead of it at the least. */
    _Atomic int64_t window_end;
    _Atomic int64_t least_ahead;
    pthread_mutex_t lock; /* for whoever moves those three */
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

static int64_t read_wall(struct clock *clock)
{
    return clock->is_manual ? atomic_load(&clock->wall) : read_clock(CLOCK_REALTIME);
}

int64_t clock_steady(struct clock *clock)
{
    return clock->is_manual ? atomic_load(&clock->steady) : read_clock(CLOCK_BOOTTIME);
}

static struct clock *clock_make(int64_t floor, bool is_manual)
{
    struct clock *clock = calloc(1, sizeof *clock);
    if (clock == NULL)
        abort();
    pthread_mutex_init(&clock->lock, NULL);
    clock->is_manual = is_manual;
    clock->wall = floor;
    int64_t steady = clock_steady(clock);
    clock->settled_at_0 = floor - steady;
    clock->window_end = steady + CLOCK_SETTLES;
    clock->least_ahead = INT64_MAX;
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

static void watch(struct clock *clock, int64_t steady, int64_t ahead)
{
    pthread_mutex_lock(&clock->lock);
    if (steady >= clock->window_end) {
        int64_t least = ahead < clock->least_ahead ? ahead : clock->least_ahead;
        if (least > 0 && clock->least_ahead != INT64_MAX) { /* a window without a look says nothing */
            atomic_fetch_add(&clock->settled_at_0, least);
            ahead -= least;
        }
        atomic_store(&clock->window_end, steady + CLOCK_SETTLES);
        atomic_store(&clock->least_ahead, ahead);
    } else if (ahead < clock->least_ahead) {
        atomic_store(&clock->least_ahead, ahead);
    }
    pthread_mutex_unlock(&clock->lock);
}

int64_t clock_now(struct clock *clock)
{
    /* The wall clock first: a thread that is held up between the two then sees it behind, never ahead. */
    int64_t wall = read_wall(clock), steady = clock_steady(clock);
    int64_t settled = atomic_load(&clock->settled_at_0) + steady;
    int64_t ahead = wall - settled;
    if (steady >= atomic_load(&clock->window_end) || ahead < atomic_load(&clock->least_ahead))
        watch(clock, steady, ahead);
    return ahead > 0 ? wall : settled;
}

int64_t clock_settled(struct clock *clock)
{
    (void)clock_now(clock); /* looks */
    return atomic_load(&clock->settled_at_0) + clock_steady(clock);
}

int64_t clock_ahead(struct clock *clock)
{
    int64_t ahead = clock_now(clock) - read_wall(clock);
    return ahead < 0 ? 0 : ahead;
}

void clock_advance(struct clock *clock, int64_t microseconds)
{
    atomic_fetch_add(&clock->wall, microseconds);
    atomic_fetch_add(&clock->steady, microseconds);
}

void clock_step(struct clock *clock, int64_t microseconds)
{
    atomic_fetch_add(&clock->wall, microseconds);
}
