/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include "base/must.h"
#include "cache.h"
#include "pings.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/support/alloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { JITTER_MS = 100, JITTER_MOST_MS = 5000 };
#define SILENCE_LEAST (4 * MEMORY_SECOND)
#define REFUSED \
    (10 * MEMORY_SECOND) /* before it is asked for a token again: failures are counted against its address */

struct watch_tag {
    struct tag tag; /* first */
    struct watch *watch;
};

struct watch {
    struct gatehouse *gatehouse;
    struct memory *memory;
    int64_t asked; /* the lease */
    atomic_bool is_stopping;
    bool is_stopped;      /* under the connection's lock */
    _Atomic int64_t wake; /* when the next stream begins; INT64_MAX: when there is a token */
    atomic_bool has_none; /* of a token, for that */
    unsigned failures;    /* since a ping was answered */

    /* One stream. */
    grpc_channel *channel;
    grpc_call *call; /* NULL: there is none */
    struct watch_tag sent, received, ended;
    unsigned under_way; /* batches */
    bool is_sending, is_cancelled, has_begun, has_first;
    uint64_t token_number;
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *incoming;
    grpc_status_code status;
    grpc_slice message;
    int64_t lease, heard;
    struct pings pings;

    _Atomic uint64_t streams, resets[4];
};

static void on_sent(struct tag *tag);
static void on_received(struct tag *tag);
static void on_ended(struct tag *tag);

struct watch *gatehouse_watch_new(struct gatehouse *gatehouse, struct memory *memory, int64_t lease)
{
    struct watch *watch = must(calloc(1, sizeof *watch));
    watch->gatehouse = gatehouse;
    watch->memory = memory;
    watch->asked = lease;
    watch->sent = (struct watch_tag){{on_sent}, watch};
    watch->received = (struct watch_tag){{on_received}, watch};
    watch->ended = (struct watch_tag){{on_ended}, watch};
    grpc_metadata_array_init(&watch->initial);
    grpc_metadata_array_init(&watch->trailing);
    return watch;
}

void gatehouse_watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    grpc_metadata_array_destroy(&watch->initial);
    grpc_metadata_array_destroy(&watch->trailing);
    free(watch);
}

static struct watch *watch_of(struct tag *tag)
{
    return ((struct watch_tag *)tag)->watch;
}

static void cancel(struct watch *watch)
{
    if (watch->call != NULL && !watch->is_cancelled)
        grpc_call_cancel(watch->call, NULL);
    watch->is_cancelled = true;
}

/* C7: a random time up to `most`, so that those who lost one server do not come to the next together. */
static int64_t jitter(int64_t most_ms)
{
    uint32_t number = 0;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = (uint32_t)gatehouse_cache_clock() * 2654435761u;
    return most_ms * 1000 * number / UINT32_MAX;
}

static int64_t backoff(unsigned failures)
{
    int64_t most = failures > 6 ? JITTER_MOST_MS : INT64_C(100) << failures;
    return jitter(most < JITTER_MOST_MS ? most : JITTER_MOST_MS);
}

/* Batches */

static void start_batch(struct watch *watch, struct watch_tag *tag, const grpc_op *ops, size_t count)
{
    watch->under_way++;
    TSAN_RELEASE(&tag->tag);
    if (grpc_call_start_batch(watch->call, ops, count, &tag->tag, NULL) != GRPC_CALL_OK)
        abort();
}

static void send_message(struct watch *watch, const Gatehouse__V1__WatchRequest *request, grpc_metadata *metadata,
                         size_t metadata_count)
{
    grpc_slice slice = grpc_slice_malloc(gatehouse__v1__watch_request__get_packed_size(request));
    gatehouse__v1__watch_request__pack(request, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_op ops[2] = {{.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer},
                      {.op = GRPC_OP_SEND_INITIAL_METADATA,
                       .data.send_initial_metadata = {.count = metadata_count, .metadata = metadata}}};
    watch->is_sending = true;
    start_batch(watch, &watch->sent, ops, watch->has_begun ? 1 : 2);
    grpc_byte_buffer_destroy(buffer);
    grpc_slice_unref(slice);
}

static void receive(struct watch *watch, bool is_first)
{
    grpc_op ops[2] = {
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &watch->incoming},
        {.op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &watch->initial}};
    start_batch(watch, &watch->received, ops, is_first ? 2 : 1);
}

static void await_end(struct watch *watch)
{
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                  .data.recv_status_on_client = {.trailing_metadata = &watch->trailing,
                                                 .status = &watch->status,
                                                 .status_details = &watch->message}};
    start_batch(watch, &watch->ended, &op, 1);
}

/* Sending */

static void send_begin(struct watch *watch, grpc_metadata *metadata, size_t count)
{
    Gatehouse__V1__WatchRequest request = GATEHOUSE__V1__WATCH_REQUEST__INIT;
    Gatehouse__V1__WatchBegin begin = GATEHOUSE__V1__WATCH_BEGIN__INIT;
    Gatehouse__V1__Position since = GATEHOUSE__V1__POSITION__INIT;
    Google__Protobuf__Duration lease;
    struct position position;
    gatehouse_duration_init(&lease);
    lease.seconds = watch->asked / MEMORY_SECOND;
    lease.nanos = (int32_t)(watch->asked % MEMORY_SECOND * 1000);
    if (gatehouse_memory_position(watch->memory, &position)) { /* C7 */
        since.revision = position.revision;
        since.change_id = position.change_id;
        begin.since = &since;
    }
    begin.lease = &lease;
    request.kind_case = GATEHOUSE__V1__WATCH_REQUEST__KIND_BEGIN;
    request.begin = &begin;
    send_message(watch, &request, metadata, count);
}

static void send_ping(struct watch *watch, int64_t now)
{
    Gatehouse__V1__WatchRequest request = GATEHOUSE__V1__WATCH_REQUEST__INIT;
    Gatehouse__V1__WatchPing ping = GATEHOUSE__V1__WATCH_PING__INIT;
    Gatehouse__V1__Position reached = GATEHOUSE__V1__POSITION__INIT;
    struct position position;
    if (watch->has_first && gatehouse_memory_position(watch->memory, &position)) { /* C7: what has been applied */
        reached.revision = position.revision;
        reached.change_id = position.change_id;
        ping.reached = &reached;
    }
    request.kind_case = GATEHOUSE__V1__WATCH_REQUEST__KIND_PING;
    request.ping = &ping;
    ping.number = gatehouse_pings_next(&watch->pings, now, watch->lease); /* C2: before it is handed over */
    send_message(watch, &request, NULL, 0);
}

/* Receiving. false: this cannot be. */

static bool read_position(const Gatehouse__V1__WatchResponse *response, struct position *ret_position)
{
    if (response->position == NULL)
        return false;
    *ret_position = (struct position){response->position->revision, response->position->change_id};
    return true;
}

static bool is_reached(struct watch *watch, const struct position *position)
{
    struct position reached;
    return gatehouse_memory_position(watch->memory, &reached) && reached.revision == position->revision &&
           reached.change_id == position->change_id;
}

static bool obey_reset(struct watch *watch, const Gatehouse__V1__WatchReset *reset, const struct position *position)
{
    gatehouse_memory_reset(watch->memory, position);
    unsigned cause = (unsigned)reset->cause < 4 ? (unsigned)reset->cause : 0;
    atomic_fetch_add(&watch->resets[cause], 1);
    gatehouse_pings_hasten(&watch->pings);
    return true;
}

static bool obey_events(struct watch *watch, const Gatehouse__V1__WatchEvents *events, const struct position *position)
{
    for (size_t i = 0; i < events->n_events; i++)
        if (!gatehouse_memory_event(watch->memory, events->events[i]))
            return false;
    gatehouse_pings_hasten(&watch->pings);
    return is_reached(watch, position);
}

static bool obey_pong(struct watch *watch, int64_t number, const struct position *position)
{
    int64_t sent = 0;
    if (!is_reached(watch, position) || !gatehouse_pings_answer(&watch->pings, number, &sent))
        return false;
    watch->failures = 0;
    gatehouse_memory_pong(watch->memory, sent, watch->lease);
    return true;
}

static bool read_lease(struct watch *watch, const Google__Protobuf__Duration *lease)
{
    if (lease == NULL || lease->seconds < 0 || lease->seconds > 3600 || lease->nanos < 0)
        return false;
    int64_t granted = lease->seconds * MEMORY_SECOND + lease->nanos / 1000;
    watch->lease = granted < watch->asked ? granted : watch->asked;
    return granted > 0;
}

static bool obey(struct watch *watch, const Gatehouse__V1__WatchResponse *response)
{
    struct position position;
    bool is_first = !watch->has_first;
    if (!read_position(response, &position) || (is_first && !read_lease(watch, response->lease)))
        return false;
    watch->has_first = true;
    switch (response->kind_case) {
    case GATEHOUSE__V1__WATCH_RESPONSE__KIND_RESUMED: /* proves nothing (C2) */
        return is_first && gatehouse_memory_resumed(watch->memory, &position);
    case GATEHOUSE__V1__WATCH_RESPONSE__KIND_RESET:
        return obey_reset(watch, response->reset, &position);
    case GATEHOUSE__V1__WATCH_RESPONSE__KIND_EVENTS:
        return !is_first && obey_events(watch, response->events, &position);
    case GATEHOUSE__V1__WATCH_RESPONSE__KIND_PONG:
        return !is_first && obey_pong(watch, response->pong->number, &position);
    case GATEHOUSE__V1__WATCH_RESPONSE__KIND__NOT_SET:
    case _GATEHOUSE__V1__WATCH_RESPONSE__KIND__CASE_IS_INT_SIZE:
        break;
    }
    return false;
}

static Gatehouse__V1__WatchResponse *unpack(grpc_byte_buffer *buffer)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return NULL;
    grpc_slice whole = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    Gatehouse__V1__WatchResponse *response =
        gatehouse__v1__watch_response__unpack(NULL, GRPC_SLICE_LENGTH(whole), GRPC_SLICE_START_PTR(whole));
    grpc_slice_unref(whole);
    return response;
}

/* A stream that says what cannot be is not believed in anything: nothing is known any more. */
static void read_message(struct watch *watch)
{
    Gatehouse__V1__WatchResponse *response = unpack(watch->incoming);
    bool is_right = response != NULL && obey(watch, response);
    if (response != NULL)
        gatehouse__v1__watch_response__free_unpacked(response, NULL);
    if (is_right)
        return;
    gatehouse_memory_forget(watch->memory);
    cancel(watch);
}

/* The end */

/* Its token is no good any more: the connection gets another one. */
static void lose_token(struct watch *watch)
{
    struct gatehouse *gatehouse = watch->gatehouse;
    pthread_mutex_lock(&gatehouse->lock);
    if (gatehouse->client_id != NULL && gatehouse->token != NULL && gatehouse->token_number == watch->token_number)
        gatehouse_token_set(gatehouse, NULL);
    pthread_mutex_unlock(&gatehouse->lock);
}

static void read_end(struct watch *watch)
{
    struct gatehouse_call outcome = {.status = (enum gatehouse_status)watch->status};
    for (size_t i = 0; i < watch->trailing.count; i++) {
        const grpc_metadata *entry = &watch->trailing.metadata[i];
        if (grpc_slice_str_cmp(entry->key, "grpc-status-details-bin") == 0)
            gatehouse_error_read_details(&outcome, GRPC_SLICE_START_PTR(entry->value), GRPC_SLICE_LENGTH(entry->value));
    }
    grpc_slice_unref(watch->message);
    if (outcome.status == GATEHOUSE_UNAUTHENTICATED)
        lose_token(watch);
    bool is_planned = outcome.status == GATEHOUSE_OK && watch->has_first;
    watch->failures += is_planned || watch->failures > 16 ? 0 : 1;
    watch->wake = gatehouse_cache_clock() + outcome.retry_after_ms * 1000 +
                  (is_planned ? jitter(JITTER_MS) : backoff(watch->failures));
}

static void finish(struct watch *watch)
{
    if (--watch->under_way > 0)
        return;
    read_end(watch);
    grpc_call_unref(watch->call);
    grpc_channel_destroy(watch->channel);
    watch->call = NULL;
    watch->channel = NULL;
    gatehouse_pings_end(&watch->pings);
    watch->initial.count = watch->trailing.count = 0;
}

static void on_sent(struct tag *tag)
{
    struct watch *watch = watch_of(tag);
    watch->is_sending = false;
    finish(watch);
}

static void on_received(struct tag *tag)
{
    struct watch *watch = watch_of(tag);
    if (watch->incoming != NULL) {
        watch->heard = gatehouse_cache_clock();
        if (!watch->is_cancelled)
            read_message(watch);
        grpc_byte_buffer_destroy(watch->incoming);
        watch->incoming = NULL;
        receive(watch, false);
    }
    finish(watch);
}

static void on_ended(struct tag *tag)
{
    finish(watch_of(tag));
}

/* The beginning */

/* The value of "authorization", "" if there is none; false: one is on its way. */
static bool take_token(struct watch *watch, grpc_slice *ret_value, bool *ret_has)
{
    struct gatehouse *gatehouse = watch->gatehouse;
    pthread_mutex_lock(&gatehouse->lock);
    *ret_has = gatehouse->token != NULL;
    bool must_wait = !*ret_has && gatehouse->client_id != NULL;
    if (must_wait)
        watch->wake = INT64_MAX; /* gatehouse_watch_token sets it */
    watch->has_none = must_wait;
    bool must_renew = must_wait && gatehouse_token_needs_renewal(gatehouse);
    watch->token_number = gatehouse->token_number;
    if (*ret_has)
        *ret_value = grpc_slice_from_copied_string(gatehouse->token);
    pthread_mutex_unlock(&gatehouse->lock);
    if (must_renew)
        gatehouse_token_start_renewal(gatehouse);
    return !must_wait;
}

static void begin(struct watch *watch, int64_t now)
{
    struct gatehouse *gatehouse = watch->gatehouse;
    grpc_metadata metadata = {.key = grpc_slice_from_static_string("authorization")};
    bool has_token;
    if (!take_token(watch, &metadata.value, &has_token))
        return;
    watch->channel = gatehouse_channel_new(gatehouse);
    watch->call = grpc_channel_create_call(watch->channel, NULL, 0, gatehouse->queue,
                                           grpc_slice_from_static_string("/gatehouse.v1.AuthService/Watch"), NULL,
                                           gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    watch->is_cancelled = watch->has_first = watch->has_begun = false;
    watch->heard = now;
    gatehouse_pings_begin(&watch->pings, now);
    watch->lease = watch->asked;
    atomic_fetch_add(&watch->streams, 1);
    await_end(watch);
    send_begin(watch, &metadata, has_token ? 1 : 0);
    watch->has_begun = true;
    receive(watch, true);
    if (has_token)
        grpc_slice_unref(metadata.value);
}

void gatehouse_watch_token(struct watch *watch, bool has_token)
{
    if (watch->has_none) /* another call's token is good enough, also while it waits */
        watch->wake = gatehouse_cache_clock() + (has_token ? 0 : REFUSED + jitter(JITTER_MOST_MS));
}

/* The thread */

static void become_stopped(struct watch *watch)
{
    pthread_mutex_lock(&watch->gatehouse->lock);
    watch->is_stopped = true;
    pthread_cond_broadcast(&watch->gatehouse->changed);
    pthread_mutex_unlock(&watch->gatehouse->lock);
}

/* A second call has to wait for a ping, and a server that was silent because nobody spoke to it is not lost. */
static void note_rest(struct watch *watch, int64_t now, bool is_resting)
{
    if (watch->pings.is_resting && !is_resting) {
        watch->heard = now;
        gatehouse_pings_hasten(&watch->pings);
    }
    watch->pings.is_resting = is_resting;
}

int64_t gatehouse_watch_run(struct watch *watch, int64_t now, bool is_resting)
{
    note_rest(watch, now, is_resting);
    bool is_stopping = atomic_load(&watch->is_stopping);
    if (watch->call == NULL && is_stopping) {
        become_stopped(watch);
        return INT64_MAX;
    }
    if (watch->call == NULL && now >= watch->wake)
        begin(watch, now);
    if (watch->call == NULL)
        return watch->wake;
    int64_t silence = 2 * watch->lease > SILENCE_LEAST ? 2 * watch->lease : SILENCE_LEAST;
    if (watch->pings.is_resting)
        silence += 2 * PINGS_REST;
    if (is_stopping || now - watch->heard > silence)
        cancel(watch);
    if (watch->is_cancelled)
        return INT64_MAX; /* its end wakes the thread */
    if (!watch->is_sending && now >= watch->pings.due)
        send_ping(watch, now);
    int64_t ping = watch->is_sending ? INT64_MAX : watch->pings.due;
    return ping < watch->heard + silence ? ping : watch->heard + silence + 1;
}

void gatehouse_watch_stop(struct watch *watch)
{
    struct gatehouse *gatehouse = watch->gatehouse;
    atomic_store(&watch->is_stopping, true);
    pthread_mutex_lock(&gatehouse->lock);
    gatehouse_wake(gatehouse);
    while (!watch->is_stopped)
        pthread_cond_wait(&gatehouse->changed, &gatehouse->lock);
    pthread_mutex_unlock(&gatehouse->lock);
}

void gatehouse_watch_stats(struct watch *watch, struct gatehouse_cache_stats *stats)
{
    stats->streams = watch->streams;
    stats->resets_unknown_position =
        watch->resets[GATEHOUSE__V1__WATCH_RESET_CAUSE__WATCH_RESET_CAUSE_UNKNOWN_POSITION];
    stats->resets_behind = watch->resets[GATEHOUSE__V1__WATCH_RESET_CAUSE__WATCH_RESET_CAUSE_BEHIND];
    stats->resets_history = watch->resets[GATEHOUSE__V1__WATCH_RESET_CAUSE__WATCH_RESET_CAUSE_HISTORY];
    stats->pings_unanswered = gatehouse_pings_unanswered(&watch->pings);
}
