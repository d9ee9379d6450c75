/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/background.h"

#include "base/must.h"
#include "domain/group.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct background {
    struct background_parts parts;
    pthread_t round_thread, follow_thread;
    bool is_running;
    atomic_bool is_stopping;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_flushed; /* the round's flush is over, like this */
    enum status flushed;
};

/* True when it is time to stop. */
static bool pause_for(struct background *background, int64_t milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += milliseconds % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&background->lock);
    int result = 0;
    while (!atomic_load(&background->is_stopping) && result == 0)
        result = pthread_cond_timedwait(&background->wake, &background->lock, &until);
    pthread_mutex_unlock(&background->lock);
    return atomic_load(&background->is_stopping);
}

/* A store_done_fn, on a thread of the store. */
static void flush_known(enum status status, void *arg)
{
    struct background *background = arg;
    pthread_mutex_lock(&background->lock);
    background->is_flushed = true;
    background->flushed = status;
    pthread_cond_broadcast(&background->wake);
    pthread_mutex_unlock(&background->lock);
}

/* Waits for its end: nothing may be removed by what the store says of uses while it does not know them all. */
static enum status flush_and_wait(struct background *background)
{
    background->is_flushed = false;
    flush_begin(background->parts.flush, FLUSH_ROUND, flush_known, background);
    pthread_mutex_lock(&background->lock);
    while (!background->is_flushed)
        pthread_cond_wait(&background->wake, &background->lock);
    enum status status = background->flushed;
    pthread_mutex_unlock(&background->lock);
    return status;
}

/* Who has not heard of the others for so long may take for dead what they have given more time. */
static bool may_reap(const struct background *background)
{
    struct follow *follow = background->parts.follow;
    return follow == NULL || (follow_age(follow) < REAP_DEAD_FOR && group_is_first(follow_group(follow)));
}

void background_round(struct background *background, struct reaped *ret_reaped)
{
    *ret_reaped = (struct reaped){0};
    if (flush_and_wait(background) != STATUS_OK || !may_reap(background))
        return;
    if (reap_round(background->parts.reap, ret_reaped) != STATUS_OK)
        *ret_reaped = (struct reaped){0};
    ret_reaped->is_behind |= archive_round(background->parts.archive);
}

static int64_t pause_between(struct background *background)
{
    struct settings settings = memory_settings_shortest(background->parts.memory);
    return settings_flush_pause(&settings, background->parts.flush_interval) / 1000;
}

/* The first thread. */
static void *do_rounds(void *arg)
{
    struct background *background = arg;
    int64_t pause = pause_between(background);
    while (!pause_for(background, pause)) {
        struct reaped reaped;
        background_round(background, &reaped);
        pause = pause_between(background);
        if (reaped.is_behind)
            pause = pause / 20 + 1;
    }
    return NULL;
}

/* The second thread. */
static void *do_follow(void *arg)
{
    struct background *background = arg;
    while (!atomic_load(&background->is_stopping))
        follow_once(background->parts.follow);
    return NULL;
}

struct background *background_new(const struct background_parts *parts)
{
    struct background *background = must(calloc(1, sizeof *background));
    background->parts = *parts;
    pthread_mutex_init(&background->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&background->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    return background;
}

void background_start(struct background *background)
{
    bool is_started = pthread_create(&background->round_thread, NULL, do_rounds, background) == 0;
    if (background->parts.follow != NULL)
        is_started = is_started && pthread_create(&background->follow_thread, NULL, do_follow, background) == 0;
    if (!is_started)
        abort();
    background->is_running = true;
}

void background_stop(struct background *background)
{
    if (background == NULL || !background->is_running)
        return;
    pthread_mutex_lock(&background->lock);
    atomic_store(&background->is_stopping, true);
    pthread_cond_broadcast(&background->wake);
    pthread_mutex_unlock(&background->lock);
    pthread_join(background->round_thread, NULL);
    if (background->parts.follow != NULL)
        pthread_join(background->follow_thread, NULL);
    background->is_running = false;
}

void background_free(struct background *background)
{
    if (background == NULL)
        return;
    pthread_cond_destroy(&background->wake);
    pthread_mutex_destroy(&background->lock);
    free(background);
}
