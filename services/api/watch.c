/* SPDX-License-Identifier: Apache-2.0 */
/* All streams of Watch: the thread that serves them, and who waits for all of them (everywhere). */
#include "api/watcher.h"

#include "base/must.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define SWEEP CLOCK_SECOND /* between two looks at the caller's right */
#define REST_LEAST (2 * CLOCK_SECOND / 1000)
#define REST_MOST (CLOCK_SECOND / 10)

/* What the clock brings. */
static void sweep(struct watcher *watcher, int64_t now)
{
    pthread_mutex_lock(&watcher->lock);
    bool is_due = watcher->has_begun && watcher->has_token && now - watcher->checked >= SWEEP;
    watcher->must_check = watcher->must_check || is_due;
    pthread_mutex_unlock(&watcher->lock);
    if (now >= watcher->ends)
        watcher_take_out(watcher);
}

static size_t hold_all(struct watch *watch, struct watcher ***ret_watchers)
{
    size_t count = 0;
    pthread_mutex_lock(&watch->lock);
    *ret_watchers = must(malloc((watch->count + 1) * sizeof **ret_watchers));
    for (struct watcher *watcher = watch->watchers; watcher != NULL; watcher = watcher->hh.next) {
        watcher->references++;
        (*ret_watchers)[count++] = watcher;
    }
    pthread_mutex_unlock(&watch->lock);
    return count;
}

static void serve_all(struct watch *watch)
{
    struct watcher **watchers;
    size_t count = hold_all(watch, &watchers);
    int64_t now = clock_steady(watch->api->domain->clock);
    for (size_t i = 0; i < count; i++) {
        sweep(watchers[i], now);
        watcher_serve(watchers[i]);
        watcher_release(watchers[i]);
    }
    free(watchers);
}

/* Ten times as long as the round took: what comes meanwhile goes out together. */
static void rest(int64_t took)
{
    int64_t pause = 9 * took;
    pause = pause < REST_LEAST ? REST_LEAST : pause > REST_MOST ? REST_MOST : pause;
    struct timespec left = {pause / CLOCK_SECOND, pause % CLOCK_SECOND * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        ;
}

/* Waiting for all */

/* E1: a ping says what its cache has obeyed. Who had a lease and has none of these streams now may hold it still, and
 * so may who was granted one by the process before this one. Under the lock. */
static bool have_all_reached(struct watch *watch, const struct watch_wait *wait)
{
    if (watch->lapsed + watch->lease > wait->begun || watch->started + LEASE_MOST > wait->begun)
        return false;
    for (struct watcher *watcher = watch->watchers; watcher != NULL; watcher = watcher->hh.next) {
        pthread_mutex_lock(&watcher->lock);
        bool is_behind = watcher->has_begun && watcher->begun <= wait->begun && watcher->reached < wait->revision;
        pthread_mutex_unlock(&watcher->lock);
        if (is_behind)
            return false;
    }
    return true;
}

/* Those that are over. */
static struct watch_wait *take_waits(struct watch *watch)
{
    struct watch_wait *over = NULL;
    pthread_mutex_lock(&watch->lock);
    int64_t now = clock_steady(watch->api->domain->clock);
    for (struct watch_wait **at = &watch->waits; *at != NULL;) {
        struct watch_wait *wait = *at;
        if (now >= wait->deadline || (wait->is_for_all && have_all_reached(watch, wait))) {
            *at = wait->next;
            wait->next = over;
            over = wait;
            atomic_fetch_sub(&watch->wait_count, 1);
        } else {
            at = &wait->next;
        }
    }
    pthread_mutex_unlock(&watch->lock);
    return over;
}

static void end_waits(struct watch *watch)
{
    for (struct watch_wait *wait = take_waits(watch), *next; wait != NULL; wait = next) {
        next = wait->next;
        wait->done(wait);
    }
}

/* By clock_monotonic: when there is something to do, whatever comes. */
static int64_t next_round(struct watch *watch)
{
    int64_t pause = SWEEP;
    pthread_mutex_lock(&watch->lock);
    int64_t now = clock_steady(watch->api->domain->clock);
    for (const struct watch_wait *wait = watch->waits; wait != NULL; wait = wait->next)
        if (wait->deadline - now < pause)
            pause = wait->deadline > now ? wait->deadline - now : 0;
    pthread_mutex_unlock(&watch->lock);
    return clock_monotonic() + pause;
}

void watch_round(struct watch *watch)
{
    serve_all(watch);
    end_waits(watch);
}

/* The watch's thread, from the first stream to watch_free. */
static void *serve_forever(void *arg)
{
    struct watch *watch = arg;
    uint64_t seen = 0;
    while (!atomic_load(&watch->is_stopping)) {
        ring_wait(watch->ring, &seen, next_round(watch));
        int64_t begin = clock_monotonic();
        watch_round(watch);
        rest(clock_monotonic() - begin);
    }
    return NULL;
}

/* With the first stream. Under the lock. */
void watch_start(struct watch *watch)
{
    if (watch->is_running)
        return;
    if (pthread_create(&watch->thread, NULL, serve_forever, watch) != 0)
        abort();
    pthread_setname_np(watch->thread, "watch");
    watch->is_running = true;
}

/* All of them */

struct watch *watch_new(struct api *api, int64_t lease)
{
    struct watch *watch = must(calloc(1, sizeof *watch));
    watch->api = api;
    watch->ring = api->domain->memory->ring;
    watch->lease = lease;
    watch->started = clock_steady(api->domain->clock);
    watch->lapsed = INT64_MIN / 2;
    watch_batches_init(&watch->batches);
    pthread_mutex_init(&watch->lock, NULL);
    return watch;
}

void watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    atomic_store(&watch->is_stopping, true);
    ring_wake(watch->ring);
    if (watch->is_running)
        pthread_join(watch->thread, NULL);
    watch_batches_done(&watch->batches);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

void watch_wait(struct watch *watch, struct watch_wait *wait)
{
    if (wait->is_for_all) {
        int64_t own = wait->begun + watch->lease, before = watch->started + LEASE_MOST;
        wait->deadline = own > before ? own : before;
    }
    pthread_mutex_lock(&watch->lock);
    watch_start(watch);
    wait->next = watch->waits;
    watch->waits = wait;
    atomic_fetch_add(&watch->wait_count, 1);
    pthread_mutex_unlock(&watch->lock);
    ring_wake(watch->ring);
}

void watch_describe(struct watch *watch, struct watch_state *ret_state)
{
    struct watcher **watchers;
    size_t count = hold_all(watch, &watchers);
    int64_t last = ring_position(watch->ring).revision;
    *ret_state = (struct watch_state){.watchers = count,
                                      .begun = atomic_load(&watch->begun),
                                      .resumed = atomic_load(&watch->resumed),
                                      .pings = atomic_load(&watch->pings)};
    for (size_t i = 0; i < 4; i++)
        ret_state->resets[i] = atomic_load(&watch->resets[i]);
    for (size_t i = 0; i < count; i++) {
        pthread_mutex_lock(&watchers[i]->lock);
        int64_t lag = watchers[i]->has_begun ? last - watchers[i]->cursor.revision : 0;
        pthread_mutex_unlock(&watchers[i]->lock);
        if (lag > ret_state->lag)
            ret_state->lag = lag;
        watcher_release(watchers[i]);
    }
    free(watchers);
}
