/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/timer.h"

#include "base/must.h"

#include <stdlib.h>

static void put(struct h2_timers *timers, size_t place, struct h2_timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place;
}

/* Moves a timer to where it belongs, up or down. */
static void sift(struct h2_timers *timers, size_t place, struct h2_timer *timer)
{
    for (; place > 1 && timers->heap[place / 2]->due > timer->due; place /= 2)
        put(timers, place, timers->heap[place / 2]);
    for (;;) {
        size_t child = 2 * place;
        if (child < timers->count && timers->heap[child + 1]->due < timers->heap[child]->due)
            child++;
        if (child > timers->count || timers->heap[child]->due >= timer->due)
            break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, timer);
}

void h2_timer_set(struct h2_timers *timers, struct h2_timer *timer, int64_t due)
{
    timer->due = due;
    if (timer->place != 0) {
        sift(timers, timer->place, timer);
        return;
    }
    if (timers->count + 1 >= timers->room) {
        timers->room = timers->room == 0 ? 64 : 2 * timers->room;
        timers->heap = must(realloc(timers->heap, timers->room * sizeof(struct h2_timer *)));
    }
    sift(timers, ++timers->count, timer);
}

void h2_timer_clear(struct h2_timers *timers, struct h2_timer *timer)
{
    size_t place = timer->place;
    if (place == 0)
        return;
    struct h2_timer *last = timers->heap[timers->count--];
    timer->place = 0;
    if (last != timer)
        sift(timers, place, last);
}

int64_t h2_timers_next(const struct h2_timers *timers)
{
    return timers->count == 0 ? INT64_MAX : timers->heap[1]->due;
}

void h2_timers_run(struct h2_timers *timers, int64_t now)
{
    while (timers->count > 0 && timers->heap[1]->due <= now) {
        struct h2_timer *timer = timers->heap[1];
        h2_timer_clear(timers, timer);
        timer->run(timer);
    }
}

void h2_timers_done(struct h2_timers *timers)
{
    free(timers->heap);
}
