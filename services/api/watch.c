/* SPDX-License-Identifier: Apache-2.0 */
#include "api/watch.h"

#include "api/internal.h"
#include "base/log.h"
#include "base/must.h"
#include "domain/follow.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

enum { EVENTS_MAX = 128 }; /* in a message, which is 16 KiB then */
#define AGE_LEAST (600 * CLOCK_SECOND)
#define AGE_SPREAD (180 * CLOCK_SECOND)
#define SWEEP CLOCK_SECOND           /* between two looks at the caller's right */
#define USE_MOST (10 * CLOCK_SECOND) /* between two uses of the caller's token by a stream that pings */
#define REST_LEAST (2 * CLOCK_SECOND / 1000)
#define REST_MOST (CLOCK_SECOND / 10)
#define SPREAD (CLOCK_SECOND / 200)    /* at a drain, between one client's return and the next's */
#define LEASE_MOST (10 * CLOCK_SECOND) /* of any process, whatever its setting */
#define PING_COST (CLOCK_SECOND / WATCH_PINGS)

/* One stream. Whoever works on it holds a reference; the call ends when nobody does. */
struct watcher {
    struct calling calling; /* first: it is what caller_resolve gives back */
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
    char client_id[CREDENTIAL_NAME_MAX + 1];
    int64_t checked, used, pinged;
};

struct watch {
    struct api *api;
    struct ring *ring;
    int64_t lease;
    int64_t started;
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

/* References */

static struct watcher *find(struct watch *watch, const struct call *call)
{
    struct watcher *watcher = NULL;
    pthread_mutex_lock(&watch->lock);
    HASH_FIND_PTR(watch->watchers, &call, watcher);
    if (watcher != NULL)
        watcher->references++;
    pthread_mutex_unlock(&watch->lock);
    return watcher;
}

static void hold(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->watch->lock);
    watcher->references++;
    pthread_mutex_unlock(&watcher->watch->lock);
}

static void release(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->watch->lock);
    bool is_last = --watcher->references == 0;
    pthread_mutex_unlock(&watcher->watch->lock);
    if (!is_last)
        return;
    watcher->closure(NULL, watcher->call);
    pthread_mutex_destroy(&watcher->lock);
    free(watcher);
}

/* It ends as what stands in its call says, OK if nothing does: only the first who says so is heard. */
static void take_out(struct watcher *watcher)
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
    release(watcher);
}

static void end_failed(struct watcher *watcher, enum status status, const char *reason, const char *message)
{
    pthread_mutex_lock(&watcher->lock);
    if (!watcher->is_over)
        (void)!call_fail(watcher->call, status, reason, "%s", message);
    pthread_mutex_unlock(&watcher->lock);
    take_out(watcher);
}

static void end_unavailable(struct watcher *watcher, const char *reason, int64_t retry_ms, const char *message)
{
    pthread_mutex_lock(&watcher->lock);
    if (!watcher->is_over)
        (void)!call_fail_retry(watcher->call, STATUS_UNAVAILABLE, reason, retry_ms, message);
    pthread_mutex_unlock(&watcher->lock);
    take_out(watcher);
}

/* Telling; under the watcher's lock. */

static void tell(struct watcher *watcher, Gatehouse__V1__WatchResponse *response)
{
    Gatehouse__V1__Position position;
    response->position = answer_position(&position, watcher->position);
    watcher->closure(&response->base, watcher->call);
}

static void tell_reset(struct watcher *watcher, Gatehouse__V1__WatchResetCause cause, Google__Protobuf__Duration *lease)
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

static void tell_resumed(struct watcher *watcher, Google__Protobuf__Duration *lease)
{
    Gatehouse__V1__WatchResponse response = GATEHOUSE__V1__WATCH_RESPONSE__INIT;
    Gatehouse__V1__WatchResumed resumed = GATEHOUSE__V1__WATCH_RESUMED__INIT;
    response.kind_case = GATEHOUSE__V1__WATCH_RESPONSE__KIND_RESUMED;
    response.resumed = &resumed;
    response.lease = lease;
    tell(watcher, &response);
    atomic_fetch_add(&watcher->watch->resumed, 1);
}

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

static bool concerns_caller(const struct watcher *watcher, const struct ring_event *event)
{
    switch (event->kind) {
    case RING_TOKEN:
        return crypto_equal(event->token.bytes, watcher->token.bytes, TOKEN_KEY_BYTES);
    case RING_CREDENTIAL:
        return strcmp(event->client_id, watcher->client_id) == 0;
    case RING_PURGE:
    case RING_ALL:
        break;
    }
    return true;
}

static void tell_events(struct watcher *watcher, struct ring_event *events, size_t count)
{
    Gatehouse__V1__WatchResponse response = GATEHOUSE__V1__WATCH_RESPONSE__INIT;
    Gatehouse__V1__WatchEvents list = GATEHOUSE__V1__WATCH_EVENTS__INIT;
    struct event_message messages[EVENTS_MAX];
    Gatehouse__V1__WatchEvent *each[EVENTS_MAX];
    for (size_t i = 0; i < count; i++) {
        make_event(&messages[i], &events[i]);
        each[i] = &messages[i].event;
        watcher->must_check = watcher->must_check || concerns_caller(watcher, &events[i]);
    }
    list.n_events = count;
    list.events = each;
    response.kind_case = GATEHOUSE__V1__WATCH_RESPONSE__KIND_EVENTS;
    response.events = &list;
    tell(watcher, &response);
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
    struct ring_event events[EVENTS_MAX];
    size_t count = 0;
    enum ring_cause cause = RING_IS_CUT;
    switch (ring_read(watcher->watch->ring, &watcher->cursor, &watcher->position, events, EVENTS_MAX, &count, &cause)) {
    case RING_NOTHING_NEW:
        return false;
    case RING_EVENTS_READ:
        tell_events(watcher, events, count);
        return true;
    case RING_WAS_RESTARTED:
        tell_reset(watcher,
                   cause == RING_IS_OF_ANOTHER_HISTORY ? GATEHOUSE__V1__WATCH_RESET_CAUSE__WATCH_RESET_CAUSE_HISTORY
                                                       : GATEHOUSE__V1__WATCH_RESET_CAUSE__WATCH_RESET_CAUSE_BEHIND,
                   NULL);
        return true;
    case RING_WAS_LOST:
        tell_reset(watcher, GATEHOUSE__V1__WATCH_RESET_CAUSE__WATCH_RESET_CAUSE_BEHIND, NULL);
        return true;
    }
    return false;
}

/* The caller's right */

static void right_known(enum status status, struct calling *calling)
{
    struct watcher *watcher = (struct watcher *)calling;
    const struct caller *caller = &calling->caller;
    pthread_mutex_lock(&watcher->lock);
    watcher->is_checking = false;
    pthread_mutex_unlock(&watcher->lock);
    bool has_ended = status == STATUS_OK && !caller->may_introspect; /* what cannot be asked now is asked again soon */
    if (has_ended && caller->is_known)
        end_failed(watcher, STATUS_PERMISSION_DENIED, "CALLER_NOT_ALLOWED",
                   "the caller lacks the role " ROLE_RESOURCE_SERVER " now");
    else if (has_ended)
        end_failed(watcher, STATUS_UNAUTHENTICATED, "CALLER_UNKNOWN", "the caller's token has ended");
    release(watcher);
}

/* Under the watcher's lock: a stream that pings keeps its token alive, one that has fallen silent does not. */
static bool is_use_due(struct watcher *watcher, int64_t now)
{
    struct settings settings = memory_settings(watcher->watch->api->domain->memory);
    int64_t interval = settings.idle_timeout / 10 < USE_MOST ? settings.idle_timeout / 10 : USE_MOST;
    bool is_due = watcher->pinged > watcher->used && now - watcher->used >= interval;
    if (is_due)
        watcher->used = now;
    return is_due;
}

/* With the reference of whoever calls it, which becomes right_known's. */
static void check_right(struct watcher *watcher)
{
    struct api *api = watcher->watch->api;
    int64_t now = clock_steady(api->domain->clock);
    pthread_mutex_lock(&watcher->lock);
    watcher->checked = now;
    watcher->calling.is_look = !is_use_due(watcher, now);
    pthread_mutex_unlock(&watcher->lock);
    caller_resolve(&watcher->calling, api, watcher->call, right_known);
}

/* Serving: from any thread that holds a reference */

static void serve(struct watcher *watcher)
{
    const struct call_stream *stream = watcher->call->stream;
    bool reads = false, checks = false;
    pthread_mutex_lock(&watcher->lock);
    bool is_served = watcher->has_begun && !watcher->is_over;
    while (is_served && stream->has_room(watcher->call) && tell_more(watcher))
        ;
    /* W7: behind every event and reset up to where the process was when the ping came in. */
    if (is_served && watcher->has_ping && watcher->cursor.revision >= watcher->ping_target &&
        stream->has_room(watcher->call)) {
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
        hold(watcher);
        check_right(watcher);
    }
}

/* What the clock brings. */
static void sweep(struct watcher *watcher, int64_t now)
{
    pthread_mutex_lock(&watcher->lock);
    bool is_due = watcher->has_begun && watcher->has_token && now - watcher->checked >= SWEEP;
    watcher->must_check = watcher->must_check || is_due;
    pthread_mutex_unlock(&watcher->lock);
    if (now >= watcher->ends)
        take_out(watcher);
}

static size_t hold_all(struct watch *watch, struct watcher ***ret_watchers)
{
    size_t count = 0;
    pthread_mutex_lock(&watch->lock);
    *ret_watchers = must(malloc((watch->count + 1) * sizeof **ret_watchers));
    for (struct watcher *watcher = watch->watchers; watcher != NULL; watcher = watcher->hh.next) {
        watcher->references++;
        (*ret_watchers)[count++] = watcher;
    }
    pthread_mutex_unlock(&watch->lock);
    return count;
}

static void serve_all(struct watch *watch)
{
    struct watcher **watchers;
    size_t count = hold_all(watch, &watchers);
    int64_t now = clock_steady(watch->api->domain->clock);
    for (size_t i = 0; i < count; i++) {
        sweep(watchers[i], now);
        serve(watchers[i]);
        release(watchers[i]);
    }
    free(watchers);
}

/* Ten times as long as the round took: what comes meanwhile goes out together. */
static void rest(int64_t took)
{
    int64_t pause = 9 * took;
    pause = pause < REST_LEAST ? REST_LEAST : pause > REST_MOST ? REST_MOST : pause;
    struct timespec left = {pause / CLOCK_SECOND, pause % CLOCK_SECOND * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        ;
}

/* Waiting for all */

/* E1: a ping says what its cache has obeyed. Who had a lease and has none of these streams now may hold it still, and
 * so may who was granted one by the process before this one. Under the lock. */
static bool have_all_reached(struct watch *watch, const struct watch_wait *wait)
{
    if (watch->lapsed + watch->lease > wait->begun || watch->started + LEASE_MOST > wait->begun)
        return false;
    for (struct watcher *watcher = watch->watchers; watcher != NULL; watcher = watcher->hh.next) {
        pthread_mutex_lock(&watcher->lock);
        bool is_behind = watcher->has_begun && watcher->begun <= wait->begun && watcher->reached < wait->revision;
        pthread_mutex_unlock(&watcher->lock);
        if (is_behind)
            return false;
    }
    return true;
}

/* Those that are over. */
static struct watch_wait *take_waits(struct watch *watch)
{
    struct watch_wait *over = NULL;
    pthread_mutex_lock(&watch->lock);
    int64_t now = clock_steady(watch->api->domain->clock);
    for (struct watch_wait **at = &watch->waits; *at != NULL;) {
        struct watch_wait *wait = *at;
        if (now >= wait->deadline || (wait->is_for_all && have_all_reached(watch, wait))) {
            *at = wait->next;
            wait->next = over;
            over = wait;
            atomic_fetch_sub(&watch->wait_count, 1);
        } else {
            at = &wait->next;
        }
    }
    pthread_mutex_unlock(&watch->lock);
    return over;
}

static void end_waits(struct watch *watch)
{
    for (struct watch_wait *wait = take_waits(watch), *next; wait != NULL; wait = next) {
        next = wait->next;
        wait->done(wait);
    }
}

/* By clock_monotonic: when there is something to do, whatever comes. */
static int64_t next_round(struct watch *watch)
{
    int64_t pause = SWEEP;
    pthread_mutex_lock(&watch->lock);
    int64_t now = clock_steady(watch->api->domain->clock);
    for (const struct watch_wait *wait = watch->waits; wait != NULL; wait = wait->next)
        if (wait->deadline - now < pause)
            pause = wait->deadline > now ? wait->deadline - now : 0;
    pthread_mutex_unlock(&watch->lock);
    return clock_monotonic() + pause;
}

static void *serve_forever(void *arg)
{
    struct watch *watch = arg;
    uint64_t seen = 0;
    while (!atomic_load(&watch->is_stopping)) {
        ring_wait(watch->ring, &seen, next_round(watch));
        int64_t begin = clock_monotonic();
        serve_all(watch);
        end_waits(watch);
        rest(clock_monotonic() - begin);
    }
    return NULL;
}

/* With the first stream. Under the lock. */
static void start_thread(struct watch *watch)
{
    if (watch->is_running)
        return;
    if (pthread_create(&watch->thread, NULL, serve_forever, watch) != 0)
        abort();
    pthread_setname_np(watch->thread, "watch");
    watch->is_running = true;
}

/* The first message */

static void answer_first(enum status status, void *arg)
{
    struct watcher *watcher = arg;
    struct watch *watch = watcher->watch;
    if (status != STATUS_OK) {
        end_unavailable(watcher, "STORE_UNAVAILABLE", 1000, "the store cannot be used now");
        release(watcher);
        return;
    }
    Google__Protobuf__Duration lease;
    answer_duration(&lease, watcher->lease);
    pthread_mutex_lock(&watcher->lock);
    watcher->position = watcher->has_since ? watcher->since : (struct position){INT64_MAX, 0};
    bool is_resumed = ring_begin(watch->ring, &watcher->position, &watcher->cursor); /* W4 */
    if (!watcher->is_over && is_resumed)
        tell_resumed(watcher, &lease);
    else if (!watcher->is_over)
        tell_reset(watcher, GATEHOUSE__V1__WATCH_RESET_CAUSE__WATCH_RESET_CAUSE_UNKNOWN_POSITION, &lease);
    watcher->has_begun = true;
    watcher->begun = clock_steady(watch->api->domain->clock);
    pthread_mutex_unlock(&watcher->lock);
    watcher->call->stream->read_next(watcher->call);
    serve(watcher);
    release(watcher);
}

/* W4: only while this replica's lease lasts; and one that knows less than its client looks first. */
static void watcher_known(enum status status, struct calling *calling)
{
    struct watcher *watcher = (struct watcher *)calling;
    struct api *api = calling->api;
    if (status == STATUS_OK && caller_check(api, calling->call, &calling->caller, ROLE_RESOURCE_SERVER) != STATUS_OK) {
        take_out(watcher);
        release(watcher);
        return;
    }
    const struct caller *caller = &calling->caller;
    pthread_mutex_lock(&watcher->lock);
    watcher->has_token = caller->has_token;
    watcher->token = caller->token;
    memcpy(watcher->client_id, caller->name, sizeof watcher->client_id);
    watcher->checked = watcher->used = clock_steady(api->domain->clock);
    pthread_mutex_unlock(&watcher->lock);
    bool is_ahead = watcher->has_since && ring_find(watcher->watch->ring, watcher->since) != RING_HAS_IT;
    if (status != STATUS_OK || current_wait(api, is_ahead, answer_first, watcher))
        answer_first(status, watcher);
}

static void resolve_watcher(enum status status, void *arg)
{
    struct watcher *watcher = arg;
    if (status == STATUS_OK)
        caller_resolve(&watcher->calling, watcher->watch->api, watcher->call, watcher_known);
    else
        answer_first(status, watcher);
}

/* The call's own */

static void on_ready(struct call *call)
{
    struct watcher *watcher = find(call->handler_data, call);
    if (watcher == NULL)
        return;
    serve(watcher);
    release(watcher);
}

/* It is cancelled, or the client has said its last. */
static void on_end(struct call *call)
{
    struct watcher *watcher = find(call->handler_data, call);
    if (watcher == NULL)
        return;
    take_out(watcher);
    release(watcher);
}

static void on_finish(struct call *call)
{
    struct watch *watch = call->handler_data;
    struct watcher *watcher = find(watch, call);
    if (watcher == NULL)
        return;
    uint32_t number;
    crypto_random(&number, sizeof number);
    pthread_mutex_lock(&watch->lock);
    int64_t spread = (int64_t)watch->count * SPREAD;
    pthread_mutex_unlock(&watch->lock);
    int64_t retry = number % (spread < CLOCK_SECOND ? CLOCK_SECOND : spread);
    end_unavailable(watcher, "DRAINING", retry / 1000 + 1, "the server ends this stream: begin another");
    release(watcher);
}

static enum status read_begin(struct watch *watch, struct call *call, const Gatehouse__V1__WatchRequest *request,
                              struct watcher *watcher)
{
    if (call->stream == NULL)
        return call_fail(call, STATUS_UNIMPLEMENTED, "UNKNOWN_METHOD", "Watch is for gRPC");
    if (request->kind_case != GATEHOUSE__V1__WATCH_REQUEST__KIND_BEGIN)
        return call_fail_field(call, "begin", "INVALID_FIELD", "the first message of a stream is begin");
    const Gatehouse__V1__WatchBegin *begin = request->begin;
    watcher->lease = read_duration(begin->lease, watch->lease);
    if (watcher->lease > watch->lease) /* W9 */
        watcher->lease = watch->lease;
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
        start_thread(watch);
        HASH_ADD_PTR(watch->watchers, call, watcher);
        watch->count++;
    }
    pthread_mutex_unlock(&watch->lock);
    return has_room;
}

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

static void answer_ping(enum status status, void *arg)
{
    struct watcher *watcher = arg;
    if (status == STATUS_OK) {
        pthread_mutex_lock(&watcher->lock);
        watcher->has_ping = true;
        watcher->ping_target = ring_position(watcher->watch->ring).revision;
        pthread_mutex_unlock(&watcher->lock);
        serve(watcher);
    } else {
        end_unavailable(watcher, "STORE_UNAVAILABLE", 1000, "the store cannot be used now");
    }
    release(watcher);
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
        end_failed(watcher, STATUS_RESOURCE_EXHAUSTED, "TOO_MANY_PINGS", "more than 64 pings a second");
        release(watcher);
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
    take_out(watcher);
}

enum status watch_message(struct watch *watch, struct call *call, const Gatehouse__V1__WatchRequest *request,
                          ProtobufCClosure closure)
{
    if (call->handler_data == NULL)
        return begin(watch, call, request, closure);
    struct watcher *watcher = find(watch, call);
    if (watcher == NULL)
        return STATUS_OK; /* it has ended meanwhile */
    if (request->kind_case == GATEHOUSE__V1__WATCH_REQUEST__KIND_PING) {
        ping(watcher, request->ping);
        return STATUS_OK;
    }
    end_misused(watcher);
    release(watcher);
    return STATUS_OK;
}

/* All of them */

struct watch *watch_new(struct api *api, int64_t lease)
{
    struct watch *watch = must(calloc(1, sizeof *watch));
    watch->api = api;
    watch->ring = api->domain->memory->ring;
    watch->lease = lease;
    watch->started = clock_steady(api->domain->clock);
    watch->lapsed = INT64_MIN / 2;
    pthread_mutex_init(&watch->lock, NULL);
    return watch;
}

void watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    atomic_store(&watch->is_stopping, true);
    ring_wake(watch->ring);
    if (watch->is_running)
        pthread_join(watch->thread, NULL);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

void watch_wait(struct watch *watch, struct watch_wait *wait)
{
    if (wait->is_for_all) {
        int64_t own = wait->begun + watch->lease, before = watch->started + LEASE_MOST;
        wait->deadline = own > before ? own : before;
    }
    pthread_mutex_lock(&watch->lock);
    start_thread(watch);
    wait->next = watch->waits;
    watch->waits = wait;
    atomic_fetch_add(&watch->wait_count, 1);
    pthread_mutex_unlock(&watch->lock);
    ring_wake(watch->ring);
}

void watch_describe(struct watch *watch, struct watch_state *ret_state)
{
    struct watcher **watchers;
    size_t count = hold_all(watch, &watchers);
    int64_t last = ring_position(watch->ring).revision;
    *ret_state = (struct watch_state){.watchers = count,
                                      .begun = atomic_load(&watch->begun),
                                      .resumed = atomic_load(&watch->resumed),
                                      .pings = atomic_load(&watch->pings)};
    for (size_t i = 0; i < 4; i++)
        ret_state->resets[i] = atomic_load(&watch->resets[i]);
    for (size_t i = 0; i < count; i++) {
        pthread_mutex_lock(&watchers[i]->lock);
        int64_t lag = watchers[i]->has_begun ? last - watchers[i]->cursor.revision : 0;
        pthread_mutex_unlock(&watchers[i]->lock);
        if (lag > ret_state->lag)
            ret_state->lag = lag;
        release(watchers[i]);
    }
    free(watchers);
}
