/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue.h"

#include "base/clock.h"

#include <time.h>

void queue_init(struct queue *queue, size_t max)
{
    *queue = (struct queue){.max = max};
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void queue_done(struct queue *queue)
{
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->mutex);
}

static void append(struct job_list *to, const struct job_list *from)
{
    if (to->last == NULL)
        to->first = from->first;
    else
        to->last->next = from->first;
    to->last = from->last;
    to->count += from->count;
}

bool queue_push(struct queue *queue, struct job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&queue->mutex);
    bool fits = !queue->is_closed && queue->waiting.count < queue->max;
    if (fits)
        append(&queue->waiting, &(struct job_list){job, job, 1});
    bool is_enough = queue->waiting.count >= queue->wanted;
    pthread_mutex_unlock(&queue->mutex);
    if (fits && is_enough)
        pthread_cond_signal(&queue->changed);
    return fits;
}

void queue_append(struct queue *queue, struct job_list *list)
{
    if (list->count == 0)
        return;
    pthread_mutex_lock(&queue->mutex);
    append(&queue->waiting, list);
    pthread_mutex_unlock(&queue->mutex);
    pthread_cond_signal(&queue->changed);
    *list = (struct job_list){0};
}

void queue_gather(struct queue *queue, size_t more, size_t max, int64_t until)
{
    const struct timespec end = {until / CLOCK_SECOND, until % CLOCK_SECOND * 1000};
    pthread_mutex_lock(&queue->mutex);
    size_t enough = queue->waiting.count + more < max ? queue->waiting.count + more : max;
    while (queue->waiting.count == 0 && !queue->is_closed)
        pthread_cond_wait(&queue->changed, &queue->mutex);
    queue->wanted = enough;
    int result = 0;
    while (queue->waiting.count < enough && !queue->is_closed && result == 0)
        result = pthread_cond_timedwait(&queue->changed, &queue->mutex, &end);
    queue->wanted = 0;
    pthread_mutex_unlock(&queue->mutex);
}

struct job_list queue_take(struct queue *queue, size_t share, size_t max)
{
    pthread_mutex_lock(&queue->mutex);
    while (queue->waiting.count == 0 && !queue->is_closed)
        pthread_cond_wait(&queue->changed, &queue->mutex);
    struct job_list taken = {0};
    size_t count = (queue->waiting.count + share - 1) / share;
    if (count > max)
        count = max;
    if (count > 0) {
        taken = (struct job_list){queue->waiting.first, queue->waiting.first, count};
        for (size_t i = 1; i < count; i++)
            taken.last = taken.last->next;
        queue->waiting.first = taken.last->next;
        queue->waiting.count -= count;
        if (queue->waiting.first == NULL)
            queue->waiting.last = NULL;
        taken.last->next = NULL;
    }
    bool is_more = queue->waiting.count > 0;
    pthread_mutex_unlock(&queue->mutex);
    if (is_more) /* one signal may have stood for many jobs */
        pthread_cond_signal(&queue->changed);
    return taken;
}

bool job_is_waited_for(struct job *job)
{
    job->status = job->waits == NULL ? STATUS_OK : job->waits(job->waiter);
    return job->status == STATUS_OK;
}

struct job_list job_list_drop(struct job_list *jobs)
{
    struct job_list kept = {0}, dropped = {0};
    for (struct job *job = jobs->first, *next; job != NULL; job = next) {
        next = job->next;
        job->next = NULL;
        append(job_is_waited_for(job) ? &kept : &dropped, &(struct job_list){job, job, 1});
    }
    *jobs = kept;
    return dropped;
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->is_closed = true;
    pthread_mutex_unlock(&queue->mutex);
    pthread_cond_broadcast(&queue->changed);
}
