/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AuthService.Watch: every stream is a cursor into one ring (memory/ring.h), and one thread tells all of them what is
 * new. Nobody waits for a stream, and one that does not read takes no memory: it finds its cursor where it was.
 *
 * The numbers at the lines are those of the rules (client/README.md).
 */
#ifndef API_WATCH_H
#define API_WATCH_H

#include "call/call.h"
#include "memory/ring.h"

#include <gatehouse/v1/auth.pb-c.h>

enum {
    WATCHERS_MAX = 10000,
    WATCH_PINGS = 64, /* a second, and twice as many at once */
};

struct api;
struct watch;

/* Of every cache: for so long after a ping it answers from memory, in microseconds. */
struct watch *watch_new(struct api *api, int64_t lease);
void watch_free(struct watch *watch); /* when the streams have ended; NULL is fine */

/* A message of a stream. Another status than OK: it is refused, and the closure was not called. */
enum status watch_message(struct watch *watch, struct call *call, const Gatehouse__V1__WatchRequest *request,
                          ProtobufCClosure closure);

/* What is waited for: until `deadline`; or, is_for_all (E1, where this process alone serves), until every cache has
 * obeyed `revision` and all before it, which were in the ring at `begun`. */
struct watch_wait {
    bool is_for_all;
    int64_t revision;
    int64_t begun;
    int64_t deadline; /* clock_steady, as begun; set by watch_wait where it is for all */
    void (*done)(struct watch_wait *wait);
    struct watch_wait *next;
};

/* Calls done later, on the watch's thread. `wait` stays the caller's, and where it is, until then. */
void watch_wait(struct watch *watch, struct watch_wait *wait);

/* What the watch's thread does again and again: tells every stream what is new, and ends the waits that are over. */
void watch_round(struct watch *watch);

/* For metrics. */
struct watch_state {
    size_t watchers;
    int64_t lag; /* changes that the slowest has yet to be told */
    uint64_t begun, resumed, pings;
    uint64_t resets[4]; /* by enum Gatehouse__V1__WatchResetCause */
};
void watch_describe(struct watch *watch, struct watch_state *ret_state);

#endif
