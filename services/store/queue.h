/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs of a store and the queues in which they wait for a thread. */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include "store/store.h"

#include <pthread.h>

struct job {
    struct job *next;
    store_fn *fn;
    store_done_fn *done;
    void *arg;
    store_waits_fn *waits; /* see struct store_job */
    const void *waiter;
    bool is_alone;      /* among the writes of all processes */
    enum status status; /* what done will hear */
};

/* Sets the job's status. */
bool job_is_waited_for(struct job *job);

struct job_list {
    struct job *first;
    struct job *last;
    size_t count;
};

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct job_list waiting;
    size_t max;
    size_t wanted; /* so many are worth waking the one who gathers */
    bool is_closed;
};

/* Empty and open; takes at most `max` jobs. */
void queue_init(struct queue *queue, size_t max);
/* It must be empty. */
void queue_done(struct queue *queue);

/* False, and the job stays the caller's: the queue is full or closed. */
bool queue_push(struct queue *queue, struct job *job);

/* Puts the whole list at the end, whatever the maximum; the list is empty afterwards. */
void queue_append(struct queue *queue, struct job_list *list);

/* Waits for jobs; then, until so many more are there than at the call, or `max`, or until `until` (clock_monotonic).
 * For the only thread that takes from the queue. */
void queue_gather(struct queue *queue, size_t more, size_t max, int64_t until);

/* Waits for jobs, and takes a `share`th of what is there, at least one and at most `max`. Empty: closed, and no more
 * to do. */
struct job_list queue_take(struct queue *queue, size_t share, size_t max);

/* Takes those out of `jobs` that nobody waits for any more; each has its status. */
struct job_list job_list_drop(struct job_list *jobs);

/* No new jobs by queue_push. queue_take still gives those that wait. */
void queue_close(struct queue *queue);

#endif
