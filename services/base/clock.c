/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define SLACK (CLOCK_SECOND / 1000)

struct clock {
    bool is_manual;
    int64_t slack;                /* by so much two readings of a clock that did not jump may differ */
    _Atomic int64_t wall, steady; /* a manual clock's */
    _Atomic int64_t settled_at_0; /* the settled time when the steady clock stood at 0 */
    /* The window in which the wall clock is watched: when it ends, by the steady clock, the settled time moves on by as
     * much as the wall clock was ahead of it at the least. */
    _Atomic int64_t window_end;
    _Atomic int64_t least_ahead;
    atomic_bool has_floor;  /* else settled_at_0 stands for 1970 */
    _Atomic int64_t offset; /* the wall clock over the steady one, when it was noted last */
    _Atomic int64_t jumped; /* since it was right */
    int64_t jumped_at;      /* by the steady clock, the last time */
    _Atomic uint64_t jumps;
    pthread_mutex_t lock; /* for whoever changes any of them */
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

/* Of both clocks at one moment: a thread that is held up between the two reads them again. */
static int64_t read_offset(struct clock *clock)
{
    int64_t before, offset;
    int tries = 10;
    do {
        before = clock_steady(clock);
        offset = read_wall(clock) - before;
    } while (clock_steady(clock) - before > SLACK && --tries > 0);
    return offset;
}

static struct clock *clock_make(int64_t floor, bool is_manual)
{
    struct clock *clock = calloc(1, sizeof *clock);
    if (clock == NULL)
        abort();
    pthread_mutex_init(&clock->lock, NULL);
    clock->is_manual = is_manual;
    clock->slack = is_manual ? 0 : SLACK;
    floor = floor < 0 ? 0 : floor > CLOCK_END ? CLOCK_END : floor;
    clock->wall = floor;
    clock->has_floor = floor > 0;
    clock->offset = read_offset(clock);
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

static void say(enum log_level level, const char *event, int64_t by, const char *message)
{
    log_write(level, event, "seconds", log_number(llabs(by) / CLOCK_SECOND).text, "way", by < 0 ? "back" : "ahead",
              "message", message, NULL);
}

static void note_jump(struct clock *clock)
{
    pthread_mutex_lock(&clock->lock);
    int64_t offset = read_offset(clock), by = offset - clock->offset;
    bool has_jumped = llabs(by) > CLOCK_JUMP; /* else another thread has noted it, or this one was held up */
    bool is_right = llabs(clock->jumped + by) <= CLOCK_JUMP;
    if (has_jumped) {
        clock->offset = offset;
        clock->jumped = is_right ? 0 : clock->jumped + by;
        clock->jumped_at = clock_steady(clock);
        clock->jumps++;
    }
    pthread_mutex_unlock(&clock->lock);
    if (has_jumped && is_right)
        say(LOG_LEVEL_INFO, "clock_right", by, "the wall clock is back where it was before it jumped");
    else if (has_jumped && by > 0)
        say(LOG_LEVEL_WARN, "clock_jumped", by,
            "what would have ended by then counts as ended at once; if the wall clock is wrong, put it right "
            "within ten minutes, and nothing is left of it");
    else if (has_jumped)
        say(LOG_LEVEL_WARN, "clock_jumped", by,
            "nothing lives longer for it: time continues from the last that has certainly passed; if the wall clock "
            "was wrong before for long, see gatehouse admin clock");
}

/* A window is over in which the wall clock was ahead by `least` or more. Returns the jump that has stayed all through
 * it; 0: none. */
static int64_t settle(struct clock *clock, int64_t least)
{
    int64_t stayed = clock->jumped_at <= clock->window_end - CLOCK_SETTLES ? clock->jumped : 0;
    if (stayed != 0)
        clock->jumped = 0;
    if (least > 0) {
        atomic_fetch_add(&clock->settled_at_0, least);
        clock->has_floor = true;
    }
    return stayed;
}

static void watch(struct clock *clock)
{
    int64_t stayed = 0;
    pthread_mutex_lock(&clock->lock);
    int64_t ahead = read_offset(clock) - clock->settled_at_0, steady = clock_steady(clock);
    int64_t least = ahead < clock->least_ahead ? ahead : clock->least_ahead;
    if (steady >= clock->window_end) {
        if (clock->least_ahead != INT64_MAX) { /* a window without a look says nothing */
            least -= clock->slack;
            stayed = settle(clock, least);
            ahead -= least > 0 ? least : 0;
        }
        atomic_store(&clock->window_end, steady + CLOCK_SETTLES);
        least = ahead;
    }
    atomic_store(&clock->least_ahead, least);
    pthread_mutex_unlock(&clock->lock);
    if (stayed != 0)
        say(LOG_LEVEL_WARN, "clock_stays", stayed, "the wall clock has stayed where it jumped to");
}

int64_t clock_now(struct clock *clock)
{
    /* The wall clock first: a thread that is held up between the two then sees it behind, never ahead. */
    int64_t wall = read_wall(clock), steady = clock_steady(clock);
    int64_t settled = atomic_load(&clock->settled_at_0) + steady;
    int64_t ahead = wall - settled, by = wall - steady - atomic_load(&clock->offset);
    if (by > CLOCK_JUMP || by < -CLOCK_JUMP)
        note_jump(clock);
    if (steady >= atomic_load(&clock->window_end) || ahead < atomic_load(&clock->least_ahead) - clock->slack)
        watch(clock);
    return ahead > 0 ? wall : settled;
}

int64_t clock_settled(struct clock *clock)
{
    (void)clock_now(clock); /* looks */
    return clock->has_floor ? atomic_load(&clock->settled_at_0) + clock_steady(clock) : 0;
}

int64_t clock_sober(struct clock *clock)
{
    int64_t now = clock_now(clock), jumped = atomic_load(&clock->jumped);
    int64_t settled = atomic_load(&clock->settled_at_0) + clock_steady(clock);
    if (jumped <= 0)
        return now;
    return now - jumped > settled ? now - jumped : settled;
}

bool clock_has_settled(struct clock *clock)
{
    int64_t ahead = read_offset(clock) - atomic_load(&clock->settled_at_0);
    (void)clock_now(clock); /* looks */
    return atomic_load(&clock->jumped) == 0 && ahead >= -CLOCK_SECOND && ahead < CLOCK_TOLERANCE;
}

int64_t clock_ahead(struct clock *clock)
{
    int64_t ahead = clock_now(clock) - read_wall(clock);
    return ahead < 0 ? 0 : ahead;
}

void clock_describe(struct clock *clock, struct clock_state *ret_state)
{
    int64_t now = clock_now(clock), wall = read_wall(clock), unsettled = now - clock_settled(clock);
    *ret_state = (struct clock_state){
        .wall = wall,
        .ahead = now > wall ? now - wall : 0,
        .unsettled = unsettled > 0 && clock->has_floor ? unsettled : 0,
        .jumped = clock->jumped,
        .jumps = clock->jumps,
    };
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
