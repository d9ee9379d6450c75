/* SPDX-License-Identifier: Apache-2.0 */
/* What the client of a stream of Watch says: begin, and pings. */
#include "api/watcher.h"

#include "base/crypto.h"
#include "base/must.h"

#include <stdlib.h>
#include <string.h>

#define AGE_LEAST (600 * CLOCK_SECOND)
#define AGE_SPREAD (180 * CLOCK_SECOND)
#define SPREAD (CLOCK_SECOND / 200) /* at a drain, between one client's return and the next's */
#define PING_COST (CLOCK_SECOND / WATCH_PINGS)

/* The first message */

/* A store_done_fn, of current_wait: on a thread of the store's; or called at once. With a reference to the watcher,
 * which it lets go of. */
static void answer_first(enum status status, void *arg)
{
    struct watcher *watcher = arg;
    struct watch *watch = watcher->watch;
    if (status != STATUS_OK) {
        watcher_fail_unavailable(watcher, "STORE_UNAVAILABLE", 1000, "the store cannot be used now");
        watcher_release(watcher);
        return;
    }
    Google__Protobuf__Duration lease;
    answer_duration(&lease, watcher->lease);
    pthread_mutex_lock(&watcher->lock);
    watcher->position = watcher->has_since ? watcher->since : (struct position){INT64_MAX, 0};
    bool is_resumed = ring_begin(watch->ring, &watcher->position, &watcher->cursor); /* W4 */
    if (!watcher->is_over && is_resumed)
        watcher_tell_resumed(watcher, &lease);
    else if (!watcher->is_over)
        watcher_tell_reset(watcher, GATEHOUSE__V1__WATCH_RESET_CAUSE__WATCH_RESET_CAUSE_UNKNOWN_POSITION, &lease);
    watcher->has_begun = true;
    watcher->begun = clock_steady(watch->api->domain->clock);
    pthread_mutex_unlock(&watcher->lock);
    watcher->call->stream->read_next(watcher->call);
    watcher_serve(watcher);
    watcher_release(watcher);
}

static void take_caller(struct watcher *watcher, const struct caller *caller)
{
    pthread_mutex_lock(&watcher->lock);
    watcher->has_token = caller->has_token;
    watcher->token = caller->token;
    watcher->client_id = must_copy(caller->name);
    watcher->checked = watcher->used = clock_steady(watcher->watch->api->domain->clock);
    pthread_mutex_unlock(&watcher->lock);
}

/* W4: only while this replica's lease lasts; and one that knows less than its client looks first. */
static void watcher_known(enum status status, struct calling *calling)
{
    struct watcher *watcher = ((struct watcher_calling *)calling)->watcher;
    struct api *api = calling->api;
    bool may =
        status != STATUS_OK || caller_check(api, calling->call, &calling->caller, ROLE_RESOURCE_SERVER) == STATUS_OK;
    if (may)
        take_caller(watcher, &calling->caller);
    free(calling);
    if (!may) {
        watcher_take_out(watcher);
        watcher_release(watcher);
        return;
    }
    bool is_ahead = watcher->has_since && ring_find(watcher->watch->ring, watcher->since) != RING_HAS_IT;
    if (status != STATUS_OK || current_wait(api, is_ahead, answer_first, watcher))
        answer_first(status, watcher);
}

/* A store_done_fn, of current_wait, with answer_first's reference. */
static void resolve_watcher(enum status status, void *arg)
{
    struct watcher *watcher = arg;
    if (status == STATUS_OK)
        watcher_resolve(watcher, false, watcher_known);
    else
        answer_first(status, watcher);
}

/* The call's own */

/* The stream's: there is room again. From any thread. */
static void on_ready(struct call *call)
{
    struct watcher *watcher = watcher_find(call->handler_data, call);
    if (watcher == NULL)
        return;
    watcher_serve(watcher);
    watcher_release(watcher);
}

/* It is cancelled, or the client has said its last. */
static void on_end(struct call *call)
{
    struct watcher *watcher = watcher_find(call->handler_data, call);
    if (watcher == NULL)
        return;
    watcher_take_out(watcher);
    watcher_release(watcher);
}

/* The stream's: the server drains, and the call is to end soon. From any thread. */
static void on_finish(struct call *call)
{
    struct watch *watch = call->handler_data;
    struct watcher *watcher = watcher_find(watch, call);
    if (watcher == NULL)
        return;
    uint32_t number;
    crypto_random(&number, sizeof number);
    pthread_mutex_lock(&watch->lock);
    int64_t spread = (int64_t)watch->count * SPREAD;
    pthread_mutex_unlock(&watch->lock);
    int64_t retry = number % (spread < CLOCK_SECOND ? CLOCK_SECOND : spread);
    watcher_fail_unavailable(watcher, "DRAINING", retry / 1000 + 1, "the server ends this stream: begin another");
    watcher_release(watcher);
}

/* A replica gives no more than the others know of. */
static int64_t longest_lease(const struct watch *watch)
{
    struct follow *follow = watch->api->domain->follow;
    return follow != NULL ? group_cache_lease(follow_group(follow)) : watch->lease;
}

static enum status read_begin(struct watch *watch, struct call *call, const Gatehouse__V1__WatchRequest *request,
                              struct watcher *watcher)
{
    if (call->stream == NULL)
        return call_fail(call, STATUS_UNIMPLEMENTED, "UNKNOWN_METHOD", "Watch is for gRPC");
    if (request->kind_case != GATEHOUSE__V1__WATCH_REQUEST__KIND_BEGIN)
        return call_fail_field(call, "begin", "INVALID_FIELD", "the first message of a stream is begin");
    const Gatehouse__V1__WatchBegin *begin = request->begin;
    int64_t most = longest_lease(watch);
    watcher->lease = read_duration(begin->lease, most);
    if (watcher->lease > most) /* W9 */
        watcher->lease = most;
    watcher->has_since = begin->since != NULL;
    if (watcher->has_since)
        watcher->since = (struct position){begin->since->revision, begin->since->change_id};
    if (watcher->since.revision < 0)
        return call_fail_field(call, "begin.since", "INVALID_FIELD", "a revision is not negative");
    return STATUS_OK;
}

static bool put_in(struct watch *watch, struct watcher *watcher)
{
    pthread_mutex_lock(&watch->lock);
    bool has_room = watch->count < WATCHERS_MAX && !atomic_load(&watch->is_stopping);
    if (has_room) {
        watch_start(watch);
        HASH_ADD_PTR(watch->watchers, call, watcher);
        watch->count++;
    }
    pthread_mutex_unlock(&watch->lock);
    return has_room;
}

/* The first message: makes the watcher, which is freed with its last reference. */
static enum status begin(struct watch *watch, struct call *call, const Gatehouse__V1__WatchRequest *request,
                         ProtobufCClosure closure)
{
    struct watcher read = {.call = call};
    TRY(read_begin(watch, call, request, &read));
    struct watcher *watcher = must(malloc(sizeof *watcher));
    *watcher = read;
    watcher->watch = watch;
    watcher->closure = closure;
    watcher->references = 2; /* the hash's, and that of who answers first */
    uint32_t number;
    crypto_random(&number, sizeof number);
    int64_t now = clock_steady(watch->api->domain->clock);
    watcher->ends = now + AGE_LEAST + number % AGE_SPREAD;
    watcher->credit = 2 * CLOCK_SECOND;
    watcher->credited = now;
    pthread_mutex_init(&watcher->lock, NULL);
    if (!put_in(watch, watcher)) {
        pthread_mutex_destroy(&watcher->lock);
        free(watcher);
        return call_fail(call, STATUS_RESOURCE_EXHAUSTED, "TOO_MANY_WATCHERS", "the server has %d watchers",
                         WATCHERS_MAX);
    }
    atomic_fetch_add(&watch->begun, 1);
    call->handler_data = watch;
    call->on_cancel = on_end;
    call->stream->converse(call, on_end);
    if (call->is_cancelled != NULL && call->is_cancelled(call)) /* before on_cancel was there */
        on_end(call);
    call->stream->on_ready(call, on_ready);
    call->stream->on_finish(call, on_finish);
    if (current_wait(watch->api, false, resolve_watcher, watcher))
        resolve_watcher(STATUS_OK, watcher);
    return STATUS_OK;
}

/* Pings */

/* A store_done_fn, of current_wait: on a thread of the store's; or called at once. With the reference of the ping. */
static void answer_ping(enum status status, void *arg)
{
    struct watcher *watcher = arg;
    if (status == STATUS_OK) {
        pthread_mutex_lock(&watcher->lock);
        watcher->has_ping = true;
        watcher->ping_target = ring_position(watcher->watch->ring).revision;
        pthread_mutex_unlock(&watcher->lock);
        watcher_serve(watcher);
    } else {
        watcher_fail_unavailable(watcher, "STORE_UNAVAILABLE", 1000, "the store cannot be used now");
    }
    watcher_release(watcher);
}

/* Under the watcher's lock. */
static bool is_too_fast(struct watcher *watcher, int64_t now)
{
    watcher->credit += now - watcher->credited;
    watcher->credited = now;
    if (watcher->credit > 2 * CLOCK_SECOND)
        watcher->credit = 2 * CLOCK_SECOND;
    watcher->credit -= PING_COST;
    return watcher->credit < 0;
}

static void ping(struct watcher *watcher, const Gatehouse__V1__WatchPing *message)
{
    struct watch *watch = watcher->watch;
    int64_t now = clock_steady(watch->api->domain->clock);
    bool has_reached = message->reached != NULL &&
                       ring_find(watch->ring, (struct position){message->reached->revision,
                                                                message->reached->change_id}) == RING_HAS_IT;
    pthread_mutex_lock(&watcher->lock);
    if (has_reached)
        watcher->reached = message->reached->revision;
    bool is_fast = is_too_fast(watcher, now);
    watcher->ping_number = message->number;
    watcher->pinged = now;
    pthread_mutex_unlock(&watcher->lock);
    atomic_fetch_add(&watch->pings, 1);
    if (has_reached && atomic_load(&watch->wait_count) > 0)
        ring_wake(watch->ring);
    if (is_fast) {
        watcher_fail(watcher, STATUS_RESOURCE_EXHAUSTED, "TOO_MANY_PINGS", "more than 64 pings a second");
        watcher_release(watcher);
    } else if (current_wait(watcher->watch->api, false, answer_ping, watcher)) { /* W7 */
        answer_ping(STATUS_OK, watcher);
    }
}

static void end_misused(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->lock);
    if (!watcher->is_over)
        (void)!call_fail_field(watcher->call, "ping", "INVALID_FIELD", "every message after the first is a ping");
    pthread_mutex_unlock(&watcher->lock);
    watcher_take_out(watcher);
}

enum status watch_message(struct watch *watch, struct call *call, const Gatehouse__V1__WatchRequest *request,
                          ProtobufCClosure closure)
{
    if (call->handler_data == NULL)
        return begin(watch, call, request, closure);
    struct watcher *watcher = watcher_find(watch, call);
    if (watcher == NULL)
        return STATUS_OK; /* it has ended meanwhile */
    if (request->kind_case == GATEHOUSE__V1__WATCH_REQUEST__KIND_PING) {
        ping(watcher, request->ping);
        return STATUS_OK;
    }
    end_misused(watcher);
    watcher_release(watcher);
    return STATUS_OK;
}
