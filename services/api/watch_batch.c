/* SPDX-License-Identifier: Apache-2.0 */
#include "api/watch_batch.h"

#include "api/internal.h"
#include "base/must.h"

#include <stdlib.h>
#include <string.h>

struct event_message {
    Gatehouse__V1__WatchEvent event;
    Gatehouse__V1__Position position;
    char accessor[TOKEN_ACCESSOR_LEN + 1];
};

static void make_event(struct event_message *message, struct ring_event *from)
{
    Gatehouse__V1__WatchEvent *event = &message->event;
    gatehouse__v1__watch_event__init(event);
    event->position = answer_position(&message->position, from->position);
    event->kind = GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_ALL;
    if (from->kind == RING_TOKEN) {
        event->kind = GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_TOKEN;
        token_key_format(&from->token, message->accessor);
        event->accessor = message->accessor;
    } else if (from->kind == RING_CREDENTIAL) {
        event->kind = GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_CREDENTIAL;
        event->client_id = from->client_id;
    }
}

/* `batch` has its events. */
static struct call_packed *pack(struct watch_batch *batch)
{
    Gatehouse__V1__WatchResponse response = GATEHOUSE__V1__WATCH_RESPONSE__INIT;
    Gatehouse__V1__WatchEvents list = GATEHOUSE__V1__WATCH_EVENTS__INIT;
    Gatehouse__V1__Position position;
    struct event_message messages[WATCH_BATCH_EVENTS];
    Gatehouse__V1__WatchEvent *each[WATCH_BATCH_EVENTS];
    for (size_t i = 0; i < batch->count; i++) {
        make_event(&messages[i], &batch->events[i]);
        each[i] = &messages[i].event;
    }
    list.n_events = batch->count;
    list.events = each;
    response.kind_case = GATEHOUSE__V1__WATCH_RESPONSE__KIND_EVENTS;
    response.events = &list;
    response.position = answer_position(&position, batch->position);
    return call_pack(&response.base);
}

void watch_batches_init(struct watch_batches *batches)
{
    *batches = (struct watch_batches){};
    pthread_mutex_init(&batches->lock, NULL);
}

/* Under the lock, or where nobody else is. */
static void let_go(struct watch_batch *batch)
{
    if (batch == NULL || --batch->references > 0)
        return;
    call_packed_release(batch->told);
    free(batch);
}

void watch_batches_done(struct watch_batches *batches)
{
    for (size_t i = 0; i < WATCH_BATCHES_RECENT; i++)
        let_go(batches->recent[i]);
    pthread_mutex_destroy(&batches->lock);
}

void watch_batch_release(struct watch_batches *batches, struct watch_batch *batch)
{
    pthread_mutex_lock(&batches->lock);
    let_go(batch);
    pthread_mutex_unlock(&batches->lock);
}

/* Held; NULL: nobody was told of what follows this place. */
static struct watch_batch *find(struct watch_batches *batches, const struct ring_cursor *from)
{
    struct watch_batch *found = NULL;
    pthread_mutex_lock(&batches->lock);
    for (size_t i = 0; i < WATCH_BATCHES_RECENT && found == NULL; i++) {
        struct watch_batch *batch = batches->recent[i];
        if (batch != NULL && batch->from.generation == from->generation && batch->from.revision == from->revision)
            found = batch;
    }
    if (found != NULL)
        found->references++;
    pthread_mutex_unlock(&batches->lock);
    return found;
}

/* Held by the caller and, in the oldest one's place, by the batches. */
static void keep(struct watch_batches *batches, struct watch_batch *batch)
{
    batch->references = 2;
    pthread_mutex_lock(&batches->lock);
    size_t place = batches->next++ % WATCH_BATCHES_RECENT;
    let_go(batches->recent[place]);
    batches->recent[place] = batch;
    pthread_mutex_unlock(&batches->lock);
}

static struct watch_batch *make(const struct ring_event *events, size_t count)
{
    struct watch_batch *batch = must(malloc(sizeof *batch));
    batch->count = count;
    batch->position = events[count - 1].position;
    memcpy(batch->events, events, count * sizeof *events);
    batch->told = pack(batch);
    return batch;
}

enum ring_reading watch_batch_read(struct watch_batches *batches, struct ring *ring, struct ring_cursor *cursor,
                                   struct position *position, struct watch_batch **ret_batch,
                                   enum ring_cause *ret_cause)
{
    struct ring_event events[WATCH_BATCH_EVENTS];
    struct ring_cursor from = *cursor;
    size_t count = 0;
    /* W6: of a ring that was restarted nothing is told but that. */
    struct watch_batch *batch = ring_is_current(ring, cursor) ? find(batches, cursor) : NULL;
    if (batch == NULL) {
        enum ring_reading reading = ring_read(ring, cursor, position, events, WATCH_BATCH_EVENTS, &count, ret_cause);
        if (reading != RING_EVENTS_READ)
            return reading;
        batch = make(events, count);
        batch->from = from;
        batch->to = *cursor;
        keep(batches, batch);
    }
    *cursor = batch->to;
    *position = batch->position;
    *ret_batch = batch;
    return RING_EVENTS_READ;
}
