/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/audit_queue.h"

#include "base/must.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 1000 };

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

struct queued {
    struct audit_event event; /* its strings follow, in `text` */
    int64_t count;
    char text[1024];
};

struct audit_queue {
    pthread_mutex_t lock;
    struct queued *events[QUEUE_MAX];
    size_t count;
    int64_t lost;
};

struct audit_queue *audit_queue_new(void)
{
    struct audit_queue *queue = must(calloc(1, sizeof *queue));
    pthread_mutex_init(&queue->lock, NULL);
    return queue;
}

void audit_queue_free(struct audit_queue *queue)
{
    if (queue == NULL)
        return;
    for (size_t i = 0; i < queue->count; i++)
        free(queue->events[i]);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

static const char *keep(struct queued *queued, size_t *used, const char *text)
{
    char *to = queued->text + *used;
    size_t room = sizeof queued->text - *used;
    if (room < 2)
        return "";
    *used += utf8_copy(to, room < 257 ? room : 257, text_of(text)) + 1;
    return to;
}

static bool is_same(const struct audit_event *a, const struct audit_event *b)
{
    return strcmp(text_of(a->action), text_of(b->action)) == 0 &&
           strcmp(text_of(a->subject), text_of(b->subject)) == 0 && strcmp(text_of(a->peer), text_of(b->peer)) == 0 &&
           strcmp(text_of(a->actor), text_of(b->actor)) == 0 && strcmp(text_of(a->outcome), text_of(b->outcome)) == 0;
}

static void enqueue(struct audit_queue *queue, const struct audit_event *event)
{
    /* Equal events come in a row: looking at the last few is enough. */
    for (size_t i = queue->count; i-- > 0 && queue->count - i <= 16;)
        if (is_same(&queue->events[i]->event, event)) {
            queue->events[i]->count++;
            return;
        }
    struct queued *queued = queue->count < QUEUE_MAX ? calloc(1, sizeof *queued) : NULL;
    if (queued == NULL) {
        queue->lost++;
        return;
    }
    size_t used = 0;
    queued->count = 1;
    queued->event.at = event->at;
    queued->event.actor = keep(queued, &used, event->actor);
    queued->event.action = keep(queued, &used, event->action);
    queued->event.subject = keep(queued, &used, event->subject);
    queued->event.peer = keep(queued, &used, event->peer);
    queued->event.request_id = keep(queued, &used, event->request_id);
    queued->event.outcome = keep(queued, &used, event->outcome);
    queued->event.detail = keep(queued, &used, event->detail);
    queue->events[queue->count++] = queued;
}

void audit_queue_add(struct audit_queue *queue, const struct audit_event *event)
{
    pthread_mutex_lock(&queue->lock);
    enqueue(queue, event);
    pthread_mutex_unlock(&queue->lock);
}

static char *describe(struct arena *arena, const struct queued *queued, int64_t lost)
{
    char *detail = arena_text(arena, queued->event.detail);
    if (queued->count > 1)
        detail = arena_format(arena, "%s; %" PRId64 " times", detail, queued->count);
    if (lost > 0)
        detail = arena_format(arena, "%s; %" PRId64 " events before this one were not kept", detail, lost);
    return detail;
}

size_t audit_queue_gather(struct audit_queue *queue, struct arena *arena, struct audit_event **ret_events)
{
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->count;
    struct audit_event *events = arena_array(arena, struct audit_event, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct queued *queued = queue->events[i];
        events[i] = (struct audit_event){
            .at = queued->event.at,
            .actor = arena_text(arena, queued->event.actor),
            .action = arena_text(arena, queued->event.action),
            .subject = arena_text(arena, queued->event.subject),
            .peer = arena_text(arena, queued->event.peer),
            .request_id = arena_text(arena, queued->event.request_id),
            .outcome = arena_text(arena, queued->event.outcome),
            .detail = describe(arena, queued, i + 1 == count ? queue->lost : 0),
        };
        free(queued);
    }
    if (count > 0)
        queue->lost = 0;
    queue->count = 0;
    pthread_mutex_unlock(&queue->lock);
    *ret_events = events;
    return count;
}
