/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What streams of Watch are told of the ring, made once for all that stand at the same place: in a storm of revocations
 * there are hundreds of them, and a message has 128 events.
 */
#ifndef API_WATCH_BATCH_H
#define API_WATCH_BATCH_H

#include "call/call.h"
#include "memory/ring.h"

#include <pthread.h>

enum {
    WATCH_BATCH_EVENTS = 128,  /* in a message, which is 16 KiB then */
    WATCH_BATCHES_RECENT = 16, /* that are kept: a stream is told half as many at a time at the most */
};

/* The events between two places. It does not change; whoever holds it may read it. */
struct watch_batch {
    struct ring_cursor from, to;
    struct position position; /* at its end */
    size_t count;
    struct ring_event events[WATCH_BATCH_EVENTS];
    struct call_packed *told; /* the WatchResponse that says so */
    unsigned references;      /* under the lock */
};

/* Those that were made last. */
struct watch_batches {
    pthread_mutex_t lock;
    struct watch_batch *recent[WATCH_BATCHES_RECENT];
    size_t next; /* whose place is given to the next one */
};

/* There are none. */
void watch_batches_init(struct watch_batches *batches);
/* Nobody holds one. */
void watch_batches_done(struct watch_batches *batches);

/* RING_EVENTS_READ: the cursor and the position moved on over *ret_batch, which is to be released. Else as ring_read.
 */
enum ring_reading watch_batch_read(struct watch_batches *batches, struct ring *ring, struct ring_cursor *cursor,
                                   struct position *position, struct watch_batch **ret_batch,
                                   enum ring_cause *ret_cause);
void watch_batch_release(struct watch_batches *batches, struct watch_batch *batch);

#endif
