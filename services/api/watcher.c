/* SPDX-License-Identifier: Apache-2.0 */
/* One stream of Watch: its life, what it is told, and whether its caller still may. */
#include "api/watcher.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

#define USE_MOST (10 * CLOCK_SECOND) /* between two uses of the caller's token by a stream that pings */

/* References */

struct watcher *watcher_find(struct watch *watch, const struct call *call)
{
    struct watcher *watcher = NULL;
    pthread_mutex_lock(&watch->lock);
    HASH_FIND_PTR(watch->watchers, &call, watcher);
    if (watcher != NULL)
        watcher->references++;
    pthread_mutex_unlock(&watch->lock);
    return watcher;
}

void watcher_hold(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->watch->lock);
    watcher->references++;
    pthread_mutex_unlock(&watcher->watch->lock);
}

void watcher_release(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->watch->lock);
    bool is_last = --watcher->references == 0;
    pthread_mutex_unlock(&watcher->watch->lock);
    if (!is_last)
        return;
    watcher->closure(NULL, watcher->call);
    pthread_mutex_destroy(&watcher->lock);
    free(watcher->client_id);
    free(watcher);
}

/* It ends as what stands in its call says, OK if nothing does: only the first who says so is heard. */
void watcher_take_out(struct watcher *watcher)
{
    struct watch *watch = watcher->watch;
    pthread_mutex_lock(&watcher->lock);
    bool is_first = !watcher->is_over, has_lease = watcher->has_begun;
    watcher->is_over = true;
    pthread_mutex_unlock(&watcher->lock);
    if (!is_first)
        return;
    pthread_mutex_lock(&watch->lock);
    HASH_DEL(watch->watchers, watcher);
    watch->count--;
    if (has_lease)
        watch->lapsed = clock_steady(watch->api->domain->clock);
    pthread_mutex_unlock(&watch->lock);
    watcher_release(watcher);
}

void watcher_fail(struct watcher *watcher, enum status status, const char *reason, const char *message)
{
    pthread_mutex_lock(&watcher->lock);
    if (!watcher->is_over)
        (void)!call_fail(watcher->call, status, reason, "%s", message);
    pthread_mutex_unlock(&watcher->lock);
    watcher_take_out(watcher);
}

void watcher_fail_unavailable(struct watcher *watcher, const char *reason, int64_t retry_ms, const char *message)
{
    pthread_mutex_lock(&watcher->lock);
    if (!watcher->is_over)
        (void)!call_fail_retry(watcher->call, STATUS_UNAVAILABLE, reason, retry_ms, message);
    pthread_mutex_unlock(&watcher->lock);
    watcher_take_out(watcher);
}

/* Telling; under the watcher's lock. */

static void tell(struct watcher *watcher, Gatehouse__V1__WatchResponse *response)
{
    Gatehouse__V1__Position position;
    response->position = answer_position(&position, watcher->position);
    watcher->closure(&response->base, watcher->call);
}

void watcher_tell_reset(struct watcher *watcher, Gatehouse__V1__WatchResetCause cause,
                        Google__Protobuf__Duration *lease)
{
    Gatehouse__V1__WatchResponse response = GATEHOUSE__V1__WATCH_RESPONSE__INIT;
    Gatehouse__V1__WatchReset reset = GATEHOUSE__V1__WATCH_RESET__INIT;
    reset.cause = cause;
    response.kind_case = GATEHOUSE__V1__WATCH_RESPONSE__KIND_RESET;
    response.reset = &reset;
    response.lease = lease;
    tell(watcher, &response);
    atomic_fetch_add(&watcher->watch->resets[cause], 1);
    watcher->must_check = true; /* what ended the caller's right may be among what is not told */
    if (watcher->has_ping)      /* W6: its pong comes after the reset, and behind nothing that is no more */
        watcher->ping_target = watcher->position.revision;
}

void watcher_tell_resumed(struct watcher *watcher, Google__Protobuf__Duration *lease)
{
    Gatehouse__V1__WatchResponse response = GATEHOUSE__V1__WATCH_RESPONSE__INIT;
    Gatehouse__V1__WatchResumed resumed = GATEHOUSE__V1__WATCH_RESUMED__INIT;
    response.kind_case = GATEHOUSE__V1__WATCH_RESPONSE__KIND_RESUMED;
    response.resumed = &resumed;
    response.lease = lease;
    tell(watcher, &response);
    atomic_fetch_add(&watcher->watch->resumed, 1);
}

static bool concerns_caller(const struct watcher *watcher, const struct ring_event *event)
{
    switch (event->kind) {
    case RING_TOKEN:
        return token_key_equal(&event->token, &watcher->token);
    case RING_CREDENTIAL:
        return strcmp(event->client_id, watcher->client_id) == 0;
    case RING_PURGE:
    case RING_ALL:
        break;
    }
    return true;
}

static void tell_events(struct watcher *watcher, const struct watch_batch *batch)
{
    for (size_t i = 0; i < batch->count && !watcher->must_check; i++)
        watcher->must_check = concerns_caller(watcher, &batch->events[i]);
    watcher->call->stream->send(watcher->call, batch->told);
}

static void tell_pong(struct watcher *watcher)
{
    Gatehouse__V1__WatchResponse response = GATEHOUSE__V1__WATCH_RESPONSE__INIT;
    Gatehouse__V1__WatchPong pong = GATEHOUSE__V1__WATCH_PONG__INIT;
    pong.number = watcher->ping_number;
    response.kind_case = GATEHOUSE__V1__WATCH_RESPONSE__KIND_PONG;
    response.pong = &pong;
    tell(watcher, &response);
    watcher->has_ping = false;
}

/* What is new since, one message; false: nothing. */
static bool tell_more(struct watcher *watcher)
{
    struct watch *watch = watcher->watch;
    struct watch_batch *batch = NULL;
    enum ring_cause cause = RING_IS_CUT;
    switch (watch_batch_read(&watch->batches, watch->ring, &watcher->cursor, &watcher->position, &batch, &cause)) {
    case RING_NOTHING_NEW:
        return false;
    case RING_EVENTS_READ:
        tell_events(watcher, batch);
        watch_batch_release(&watch->batches, batch);
        return true;
    case RING_WAS_RESTARTED:
        watcher_tell_reset(watcher,
                           cause == RING_IS_OF_ANOTHER_HISTORY
                               ? GATEHOUSE__V1__WATCH_RESET_CAUSE__WATCH_RESET_CAUSE_HISTORY
                               : GATEHOUSE__V1__WATCH_RESET_CAUSE__WATCH_RESET_CAUSE_BEHIND,
                           NULL);
        return true;
    case RING_WAS_LOST:
        watcher_tell_reset(watcher, GATEHOUSE__V1__WATCH_RESET_CAUSE__WATCH_RESET_CAUSE_BEHIND, NULL);
        return true;
    }
    return false;
}

/* The caller's right */

void watcher_resolve(struct watcher *watcher, bool is_look, caller_done_fn *done)
{
    struct watcher_calling *resolving = must(malloc(sizeof *resolving));
    resolving->watcher = watcher;
    resolving->calling.is_look = is_look;
    resolving->calling.is_read = false;
    caller_resolve(&resolving->calling, watcher->watch->api, watcher->call, done);
}

/* A caller_done_fn, of check_right: with its reference, which it lets go of. On that thread, or one of the store's. */
static void right_known(enum status status, struct calling *calling)
{
    struct watcher *watcher = ((struct watcher_calling *)calling)->watcher;
    const struct caller *caller = &calling->caller;
    pthread_mutex_lock(&watcher->lock);
    watcher->is_checking = false;
    pthread_mutex_unlock(&watcher->lock);
    bool has_ended = status == STATUS_OK && !caller->may_introspect; /* what cannot be asked now is asked again soon */
    if (has_ended && caller->is_known)
        watcher_fail(watcher, STATUS_PERMISSION_DENIED, "CALLER_NOT_ALLOWED",
                     "the caller lacks the role " ROLE_RESOURCE_SERVER " now");
    else if (has_ended && caller->is_outside)
        watcher_fail(watcher, STATUS_PERMISSION_DENIED, "SOURCE_ADDRESS_REFUSED",
                     "the caller's credential may not be used from this address now");
    else if (has_ended)
        watcher_fail(watcher, STATUS_UNAUTHENTICATED, "CALLER_UNKNOWN", "the caller's token has ended");
    watcher_release(watcher);
    free(calling);
}

/* Under the watcher's lock: a stream that pings keeps its token alive, one that has fallen silent does not. */
static bool is_use_due(struct watcher *watcher, int64_t now)
{
    struct settings settings = memory_settings_shortest(watcher->watch->api->domain->memory);
    int64_t interval = settings.idle_timeout / 10 < USE_MOST ? settings.idle_timeout / 10 : USE_MOST;
    bool is_due = watcher->pinged > watcher->used && now - watcher->used >= interval;
    if (is_due)
        watcher->used = now;
    return is_due;
}

/* With the reference of whoever calls it, which becomes right_known's. */
static void check_right(struct watcher *watcher)
{
    int64_t now = clock_steady(watcher->watch->api->domain->clock);
    pthread_mutex_lock(&watcher->lock);
    watcher->checked = now;
    bool is_look = !is_use_due(watcher, now);
    pthread_mutex_unlock(&watcher->lock);
    watcher_resolve(watcher, is_look, right_known);
}

/* Serving: from any thread that holds a reference */

void watcher_serve(struct watcher *watcher)
{
    const struct call_stream *stream = watcher->call->stream;
    bool reads = false, checks = false, is_told_all = false;
    pthread_mutex_lock(&watcher->lock);
    bool is_served = watcher->has_begun && !watcher->is_over;
    while (is_served && !is_told_all && stream->has_room(watcher->call))
        is_told_all = !tell_more(watcher);
    /* W7: behind every event and reset up to where the process was when the ping came in. Not while something is left
     * to be told, whatever the numbers say: those of another history are others. */
    if (is_told_all && watcher->has_ping && watcher->cursor.revision >= watcher->ping_target) {
        tell_pong(watcher);
        reads = true;
    }
    if (is_served && watcher->must_check && watcher->has_token && !watcher->is_checking) {
        watcher->must_check = false;
        watcher->is_checking = checks = true;
    }
    pthread_mutex_unlock(&watcher->lock);
    if (reads)
        stream->read_next(watcher->call);
    if (checks) {
        watcher_hold(watcher);
        check_right(watcher);
    }
}
