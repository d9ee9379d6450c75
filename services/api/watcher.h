/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of Watch share: watcher.c (one stream), watch_begin.c (its messages), watch.c (all of them). */
#ifndef API_WATCHER_H
#define API_WATCHER_H

#include "api/internal.h"
#include "api/watch.h"
#include "api/watch_batch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

#define LEASE_MOST (10 * CLOCK_SECOND) /* of any process, whatever its setting */

/* One stream. Whoever works on it holds a reference; the call ends when nobody does. */
struct watcher {
    struct watch *watch;
    struct call *call;
    ProtobufCClosure closure;
    int64_t ends; /* clock_steady, as all times here */
    int64_t lease;
    bool has_since;
    struct position since;

    /* Under the watch's lock. */
    UT_hash_handle hh; /* by call, until it is to end */
    unsigned references;

    pthread_mutex_t lock; /* guards what follows */
    bool has_begun;       /* the first answer was given */
    int64_t begun;        /* when */
    int64_t reached;      /* the revision that the cache has obeyed, as its last ping says */
    bool is_over;
    struct ring_cursor cursor;
    struct position position; /* where the cursor is */
    bool has_ping;            /* one is not answered yet */
    int64_t ping_number;
    int64_t ping_target; /* the revision behind which its pong comes */
    int64_t credit, credited;
    bool must_check, is_checking; /* the caller's right */
    bool has_token;
    struct token_key token;
    char *client_id; /* the caller's name; NULL: it is not known yet */
    int64_t checked, used, pinged;
};

struct watch {
    struct api *api;
    struct ring *ring;
    int64_t lease;
    int64_t started;
    struct watch_batches batches;
    _Atomic size_t wait_count;
    pthread_mutex_t lock; /* guards what follows; is taken before a watcher's, if both are */
    struct watcher *watchers;
    size_t count;
    struct watch_wait *waits;
    int64_t lapsed; /* when the last stream ended whose client may still hold a lease */
    bool is_running;
    pthread_t thread;
    _Atomic bool is_stopping;
    _Atomic uint64_t begun, resumed, pings, resets[4];
};

/* Finding out who the caller of a stream is: when it begins, and again and again. It is large, and soon over. */
struct watcher_calling {
    struct calling calling; /* first: it is what caller_resolve gives back */
    struct watcher *watcher;
};

/* watcher.c: a stream's life, and what it is told. From any thread that holds a reference. */

/* The stream of a call, with a reference; NULL: it has ended. */
struct watcher *watcher_find(struct watch *watch, const struct call *call);
void watcher_hold(struct watcher *watcher);
/* Whoever is the last ends the call. */
void watcher_release(struct watcher *watcher);

/* Finds out who its caller is. `done` gets a struct watcher_calling, with the reference of whoever calls this; both are
 * its own to give up. is_look: it is no use of the caller's token. */
void watcher_resolve(struct watcher *watcher, bool is_look, caller_done_fn *done);

/* It ends as what stands in its call says, OK if nothing does: only the first who says so is heard. */
void watcher_take_out(struct watcher *watcher);
void watcher_fail(struct watcher *watcher, enum status status, const char *reason, const char *message);
void watcher_fail_unavailable(struct watcher *watcher, const char *reason, int64_t retry_ms, const char *message);

/* The first answer (W4). Under the watcher's lock. */
void watcher_tell_reset(struct watcher *watcher, Gatehouse__V1__WatchResetCause cause,
                        Google__Protobuf__Duration *lease);
void watcher_tell_resumed(struct watcher *watcher, Google__Protobuf__Duration *lease);

/* All that is new and fits: events, resets, the pong that is due. */
void watcher_serve(struct watcher *watcher);

/* watch.c: begins the thread, with the first stream. Under the watch's lock. */
void watch_start(struct watch *watch);

#endif
