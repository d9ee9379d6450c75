/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/ring.h"

#include "base/clock.h"
#include "base/must.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct held {
    struct ring_event event;
    int64_t at; /* clock_monotonic */
};

struct ring {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct held *held;        /* RING_EVENTS; that of revision r is at r % RING_EVENTS */
    struct position base;     /* just before the first */
    struct position last;     /* of the last one, or the base */
    enum ring_cause cause;    /* of the last restart */
    uint64_t generation;      /* counts restarts */
    uint64_t changes, events; /* of any sort; ever */
};

struct ring *ring_new(void)
{
    struct ring *ring = must(calloc(1, sizeof *ring));
    ring->held = must(calloc(RING_EVENTS, sizeof *ring->held));
    pthread_mutex_init(&ring->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&ring->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return ring;
}

void ring_free(struct ring *ring)
{
    if (ring == NULL)
        return;
    pthread_cond_destroy(&ring->changed);
    pthread_mutex_destroy(&ring->lock);
    free(ring->held);
    free(ring);
}

static struct held *held_at(const struct ring *ring, int64_t revision)
{
    return &ring->held[revision % RING_EVENTS];
}

static void note_change(struct ring *ring)
{
    ring->changes++;
    pthread_cond_broadcast(&ring->changed);
}

static void restart(struct ring *ring, struct position position, enum ring_cause cause)
{
    ring->base = ring->last = position;
    ring->cause = cause;
    ring->generation++;
    note_change(ring);
}

void ring_restart(struct ring *ring, struct position position, enum ring_cause cause)
{
    pthread_mutex_lock(&ring->lock);
    restart(ring, position, cause);
    pthread_mutex_unlock(&ring->lock);
}

void ring_add(struct ring *ring, const struct ring_event *event)
{
    int64_t now = clock_monotonic();
    pthread_mutex_lock(&ring->lock);
    if (event->position.revision != ring->last.revision + 1) { /* W5 */
        restart(ring, event->position, RING_IS_CUT);
    } else {
        if (ring->last.revision - ring->base.revision == RING_EVENTS) /* the oldest gives way */
            ring->base = held_at(ring, ring->base.revision + 1)->event.position;
        *held_at(ring, event->position.revision) = (struct held){*event, now};
        ring->last = event->position;
        ring->events++;
        note_change(ring);
    }
    pthread_mutex_unlock(&ring->lock);
}

struct position ring_position(struct ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    struct position position = ring->last;
    pthread_mutex_unlock(&ring->lock);
    return position;
}

/* Under the lock. */
static enum ring_place place(const struct ring *ring, struct position position)
{
    if (position.revision > ring->last.revision)
        return RING_IS_AHEAD;
    if (position.revision < ring->base.revision)
        return RING_IS_BEHIND;
    struct position ours =
        position.revision == ring->base.revision ? ring->base : held_at(ring, position.revision)->event.position;
    bool is_named = position.change_id != 0 || position.revision == 0; /* W1 */
    return is_named && position_equal(ours, position) ? RING_HAS_IT : RING_IS_OTHER;
}

enum ring_place ring_find(struct ring *ring, struct position position)
{
    pthread_mutex_lock(&ring->lock);
    enum ring_place found = place(ring, position);
    pthread_mutex_unlock(&ring->lock);
    return found;
}

bool ring_begin(struct ring *ring, struct position *position, struct ring_cursor *ret_cursor)
{
    pthread_mutex_lock(&ring->lock);
    bool has_it = place(ring, *position) == RING_HAS_IT;
    if (!has_it)
        *position = ring->last;
    *ret_cursor = (struct ring_cursor){ring->generation, position->revision};
    pthread_mutex_unlock(&ring->lock);
    return has_it;
}

bool ring_is_current(struct ring *ring, const struct ring_cursor *cursor)
{
    pthread_mutex_lock(&ring->lock);
    bool is_current = cursor->generation == ring->generation;
    pthread_mutex_unlock(&ring->lock);
    return is_current;
}

/* Under the lock: to the ring's own position. */
static void move_to_end(const struct ring *ring, struct ring_cursor *cursor, struct position *position)
{
    *cursor = (struct ring_cursor){ring->generation, ring->last.revision};
    *position = ring->last;
}

enum ring_reading ring_read(struct ring *ring, struct ring_cursor *cursor, struct position *position,
                            struct ring_event *events, size_t max, size_t *ret_count, enum ring_cause *ret_cause)
{
    enum ring_reading reading = RING_NOTHING_NEW;
    size_t count = 0;
    pthread_mutex_lock(&ring->lock);
    if (cursor->generation != ring->generation) {
        reading = RING_WAS_RESTARTED;
        *ret_cause = ring->cause;
        move_to_end(ring, cursor, position);
    } else if (cursor->revision < ring->base.revision) {
        reading = RING_WAS_LOST;
        move_to_end(ring, cursor, position);
    } else {
        while (count < max && cursor->revision < ring->last.revision)
            events[count++] = held_at(ring, ++cursor->revision)->event;
        if (count > 0) {
            reading = RING_EVENTS_READ;
            *position = events[count - 1].position;
        }
    }
    pthread_mutex_unlock(&ring->lock);
    *ret_count = count;
    return reading;
}

void ring_wait(struct ring *ring, uint64_t *seen, int64_t until)
{
    const struct timespec end = {until / CLOCK_SECOND, until % CLOCK_SECOND * 1000};
    int result = 0;
    pthread_mutex_lock(&ring->lock);
    while (ring->changes == *seen && result == 0)
        result = pthread_cond_timedwait(&ring->changed, &ring->lock, &end);
    *seen = ring->changes;
    pthread_mutex_unlock(&ring->lock);
}

void ring_wake(struct ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    note_change(ring);
    pthread_mutex_unlock(&ring->lock);
}

void ring_describe(struct ring *ring, struct ring_state *ret_state)
{
    pthread_mutex_lock(&ring->lock);
    *ret_state = (struct ring_state){.position = ring->last, .events = ring->events, .restarts = ring->generation};
    ret_state->held = (size_t)(ring->last.revision - ring->base.revision);
    if (ret_state->held > 0)
        ret_state->oldest = held_at(ring, ring->base.revision + 1)->at;
    pthread_mutex_unlock(&ring->lock);
}
