/* SPDX-License-Identifier: Apache-2.0 */
/* A call from its stub to its closure: attempts, and what lies between them. */
#include "internal.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS_MAX = 6, BACKOFF_MS = 100, BACKOFF_MAX_MS = 1000 };

static void on_done(struct tag *tag);

static void list_add(struct invocation_list *list, struct invocation *invocation)
{
    invocation->previous = NULL;
    invocation->next = list->first;
    if (list->first != NULL)
        list->first->previous = invocation;
    list->first = invocation;
}

static void list_remove(struct invocation_list *list, struct invocation *invocation)
{
    if (invocation->previous != NULL)
        invocation->previous->next = invocation->next;
    else
        list->first = invocation->next;
    if (invocation->next != NULL)
        invocation->next->previous = invocation->previous;
}

void gatehouse_invocation_sleep(struct invocation *invocation, enum state state, gpr_timespec wake)
{
    list_remove(&invocation->owner->running, invocation);
    list_add(&invocation->owner->sleeping, invocation);
    invocation->state = state;
    invocation->wake = wake;
}

void gatehouse_invocation_wake(struct invocation *invocation)
{
    list_remove(&invocation->owner->sleeping, invocation);
    list_add(&invocation->owner->running, invocation);
    invocation->state = STATE_RUNNING;
}

/* NULL: the connection is being closed. */
static struct invocation *take(struct gatehouse *gatehouse, struct gatehouse_call *call)
{
    pthread_mutex_lock(&gatehouse->lock);
    struct invocation *invocation = gatehouse->idle.first;
    if (gatehouse->is_closing && call != &gatehouse->farewell) {
        invocation = NULL;
    } else {
        if (invocation != NULL) {
            list_remove(&gatehouse->idle, invocation);
        } else {
            invocation = calloc(1, sizeof *invocation);
            if (invocation == NULL)
                abort();
            invocation->done.run = on_done;
            invocation->owner = gatehouse;
            grpc_metadata_array_init(&invocation->initial);
            grpc_metadata_array_init(&invocation->trailing);
        }
        gatehouse->active++;
        list_add(&gatehouse->running, invocation);
        invocation->state = STATE_RUNNING;
        invocation->is_cancelled = false;
        invocation->user = call;
        __atomic_store_n(&call->internal, invocation, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&gatehouse->lock);
    return invocation;
}

void gatehouse_invocation_free(struct invocation *invocation)
{
    grpc_metadata_array_destroy(&invocation->initial);
    grpc_metadata_array_destroy(&invocation->trailing);
    free(invocation);
}

void gatehouse_invocation_finish(struct invocation *invocation, ProtobufCMessage *response)
{
    struct gatehouse *gatehouse = invocation->owner;
    pthread_mutex_lock(&gatehouse->lock);
    __atomic_store_n(&invocation->user->internal, NULL, __ATOMIC_RELEASE);
    invocation->user = NULL;
    pthread_mutex_unlock(&gatehouse->lock);
    grpc_slice_unref(invocation->request);
    invocation->closure(response, invocation->closure_data);
    if (response != NULL && !(invocation->how & INVOKE_GIVES_RESPONSE))
        protobuf_c_message_free_unpacked(response, NULL);
    pthread_mutex_lock(&gatehouse->lock);
    list_remove(&gatehouse->running, invocation);
    list_add(&gatehouse->idle, invocation);
    if (--gatehouse->active == 0)
        pthread_cond_broadcast(&gatehouse->changed);
    pthread_mutex_unlock(&gatehouse->lock);
}

void gatehouse_invocation_fail(struct invocation *invocation, enum gatehouse_status status, const char *message)
{
    gatehouse_error_set(invocation->user, status, message);
    gatehouse_invocation_finish(invocation, NULL);
}

static void add_metadata(grpc_metadata *metadata, size_t *count, const char *key, const char *value)
{
    if (value == NULL || *value == '\0' ||
        !gatehouse_error_is_header(value)) /* gRPC core would refuse the whole batch */
        return;
    metadata[*count].key = grpc_slice_from_static_string(key);
    metadata[(*count)++].value = grpc_slice_from_copied_string(value);
}

static void start_batch(struct invocation *invocation, grpc_call *call, grpc_metadata *metadata, size_t count)
{
    grpc_byte_buffer *request = grpc_raw_byte_buffer_create(&invocation->request, 1); /* a batch empties its buffer */
    grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA, .data.send_initial_metadata = {.count = count, .metadata = metadata}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = request},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata.recv_initial_metadata = &invocation->initial},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &invocation->response},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &invocation->trailing,
                                        .status = &invocation->status,
                                        .status_details = &invocation->message}},
    };
    TSAN_RELEASE(&invocation->done);
    grpc_call_error error = grpc_call_start_batch(call, ops, sizeof ops / sizeof *ops, &invocation->done, NULL);
    grpc_byte_buffer_destroy(request);
    if (error == GRPC_CALL_OK)
        return; /* from here on the connection's thread has the invocation */
    fprintf(stderr, "libgatehouse: %s\n", grpc_call_error_to_string(error));
    abort();
}

/* Sends the request, now that it may be sent. */
void gatehouse_invocation_attempt(struct invocation *invocation)
{
    struct gatehouse *gatehouse = invocation->owner;
    const struct gatehouse_call *user = invocation->user;
    grpc_metadata metadata[4];
    size_t count = 0;
    grpc_call *call = grpc_channel_create_registered_call(gatehouse->channel, NULL, 0, gatehouse->queue,
                                                          invocation->service->methods[invocation->method].handle,
                                                          invocation->deadline, NULL);
    invocation->attempts++;
    invocation->response = NULL;
    pthread_mutex_lock(&gatehouse->lock);
    invocation->call = call;
    invocation->token_number = gatehouse->token_number;
    add_metadata(metadata, &count, "authorization", invocation->uses_token ? gatehouse->token : user->authorization);
    if (invocation->is_cancelled)
        grpc_call_cancel(call, NULL);
    pthread_mutex_unlock(&gatehouse->lock);
    add_metadata(metadata, &count, "x-request-id", user->request_id);
    add_metadata(metadata, &count, "traceparent", user->traceparent);
    add_metadata(metadata, &count, "x-gatehouse-peer", user->peer);
    start_batch(invocation, call, metadata, count);
    for (size_t i = 0; i < count; i++)
        grpc_slice_unref(metadata[i].value);
}

/* Waits for the connection's token, for as long as the call may last. */
static void await_token(struct invocation *invocation)
{
    struct gatehouse *gatehouse = invocation->owner;
    pthread_mutex_lock(&gatehouse->lock);
    bool has_token = gatehouse->token != NULL;
    bool must_renew = !has_token && gatehouse_token_needs_renewal(gatehouse);
    if (!has_token) {
        gatehouse_invocation_sleep(invocation, STATE_TOKEN, invocation->deadline);
        gatehouse_wake(gatehouse);
    }
    pthread_mutex_unlock(&gatehouse->lock);
    if (has_token)
        gatehouse_invocation_attempt(invocation);
    else if (must_renew)
        gatehouse_token_start_renewal(gatehouse);
}

static grpc_slice pack(const ProtobufCMessage *message)
{
    grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    return slice;
}

void gatehouse_invocation_start(struct remote_service *service, unsigned method, const ProtobufCMessage *request,
                                ProtobufCClosure closure, struct gatehouse_call *call, void *closure_data, unsigned how)
{
    struct gatehouse *gatehouse = service->owner;
    call->is_from_memory = 0;
    if (gatehouse_process_is_forked()) {
        gatehouse_error_set(call, GATEHOUSE_FAILED_PRECONDITION, GATEHOUSE_FORKED);
        closure(NULL, closure_data);
        return;
    }
    gatehouse_error_set(call, GATEHOUSE_OK, "");
    bool is_legal = gatehouse_error_is_header(call->authorization) && gatehouse_error_is_header(call->request_id) &&
                    gatehouse_error_is_header(call->traceparent) && gatehouse_error_is_header(call->peer);
    struct invocation *invocation = is_legal ? take(gatehouse, call) : NULL;
    if (invocation == NULL) {
        if (is_legal)
            gatehouse_error_set(call, GATEHOUSE_CANCELLED, "the connection is being closed");
        else
            gatehouse_error_set(call, GATEHOUSE_INVALID_ARGUMENT, "a header may hold visible ASCII characters only");
        closure(NULL, closure_data);
        return;
    }
    invocation->service = service;
    invocation->method = method;
    invocation->closure = closure;
    invocation->closure_data = closure_data;
    invocation->how = how;
    invocation->is_renewal = call == &gatehouse->renewal;
    invocation->request = pack(request);
    int64_t timeout_ms = call->timeout_ms > 0 ? call->timeout_ms : gatehouse->timeout_ms;
    invocation->deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
    invocation->attempts = 0;
    invocation->has_renewed = false;
    invocation->uses_token = call->authorization == NULL && !service->methods[method].is_issue;
    if (invocation->uses_token && gatehouse->client_id != NULL)
        await_token(invocation);
    else
        gatehouse_invocation_attempt(invocation);
}

static ProtobufCMessage *unpack(const struct invocation *invocation)
{
    const ProtobufCMessageDescriptor *type =
        invocation->service->service.base.descriptor->methods[invocation->method].output;
    grpc_byte_buffer_reader reader;
    if (invocation->response == NULL || !grpc_byte_buffer_reader_init(&reader, invocation->response))
        return NULL;
    grpc_slice whole = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    ProtobufCMessage *message =
        protobuf_c_message_unpack(type, NULL, GRPC_SLICE_LENGTH(whole), GRPC_SLICE_START_PTR(whole));
    grpc_slice_unref(whole);
    return message;
}

/* What the attempt came to, into the caller's struct; gives back what gRPC core lent. */
static ProtobufCMessage *collect(struct invocation *invocation)
{
    struct gatehouse_call *user = invocation->user;
    ProtobufCMessage *response = NULL;
    char message[sizeof user->message];
    snprintf(message, sizeof message, "%.*s", (int)GRPC_SLICE_LENGTH(invocation->message),
             (const char *)GRPC_SLICE_START_PTR(invocation->message));
    grpc_slice_unref(invocation->message);
    gatehouse_error_set(user, (enum gatehouse_status)invocation->status, message);
    for (size_t i = 0; i < invocation->trailing.count; i++) {
        const grpc_metadata *entry = &invocation->trailing.metadata[i];
        if (grpc_slice_str_cmp(entry->key, "grpc-status-details-bin") == 0)
            gatehouse_error_read_details(user, GRPC_SLICE_START_PTR(entry->value), GRPC_SLICE_LENGTH(entry->value));
    }
    if (invocation->status == GRPC_STATUS_OK) {
        response = unpack(invocation);
        if (response == NULL)
            gatehouse_error_set(user, GATEHOUSE_INTERNAL, "the server's answer cannot be read");
    }
    if (invocation->response != NULL)
        grpc_byte_buffer_destroy(invocation->response);
    invocation->response = NULL;
    pthread_mutex_lock(&invocation->owner->lock);
    grpc_call *call = invocation->call;
    invocation->call = NULL;
    bool is_ours = invocation->is_cancelled;
    pthread_mutex_unlock(&invocation->owner->lock);
    /* What gRPC core says of a call that reached a server after its shutdown and before its GOAWAY. */
    if (user->status == GATEHOUSE_CANCELLED && !is_ours && user->reason[0] == '\0')
        gatehouse_error_set(user, GATEHOUSE_UNAVAILABLE, "the server is shutting down");
    grpc_call_unref(call); /* the trailing metadata's slices are the call's */
    invocation->trailing.count = invocation->initial.count = 0;
    return response;
}

/* When to try again; false: not at all. */
static bool backoff(struct invocation *invocation, gpr_timespec *ret_wake)
{
    const struct gatehouse_call *user = invocation->user;
    struct gatehouse *gatehouse = invocation->owner;
    bool is_idempotent = invocation->service->methods[invocation->method].is_idempotent || invocation->is_renewal;
    if (user->status != GATEHOUSE_UNAVAILABLE || !is_idempotent || invocation->how & INVOKE_ONCE ||
        invocation->attempts >= ATTEMPTS_MAX)
        return false;
    int64_t wait_ms = BACKOFF_MS << (invocation->attempts - 1);
    wait_ms = wait_ms < BACKOFF_MAX_MS ? wait_ms : BACKOFF_MAX_MS;
    gatehouse->random = gatehouse->random * 1664525 + 1013904223;
    wait_ms = wait_ms * (75 + (gatehouse->random >> 16) % 50) / 100; /* so that many do not come back at once */
    wait_ms = wait_ms > user->retry_after_ms ? wait_ms : user->retry_after_ms;
    *ret_wake = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(wait_ms, GPR_TIMESPAN));
    return gpr_time_cmp(*ret_wake, invocation->deadline) < 0;
}

/* The token that the call carried has ended: true, if the call may try once more with another one. */
static bool lost_token(struct invocation *invocation)
{
    struct gatehouse *gatehouse = invocation->owner;
    if (invocation->user->status != GATEHOUSE_UNAUTHENTICATED || !invocation->uses_token ||
        gatehouse->client_id == NULL || invocation->has_renewed)
        return false;
    if (strcmp(invocation->user->reason, "INVALID_CLIENT") == 0)
        return false; /* a client ID and secret in the request are meant, not the token */
    invocation->has_renewed = true;
    pthread_mutex_lock(&gatehouse->lock);
    if (gatehouse->token != NULL && gatehouse->token_number == invocation->token_number)
        gatehouse_token_set(gatehouse, NULL); /* nobody has got a new one since */
    pthread_mutex_unlock(&gatehouse->lock);
    return true;
}

static void on_done(struct tag *tag)
{
    struct invocation *invocation = (struct invocation *)tag;
    struct gatehouse *gatehouse = invocation->owner;
    ProtobufCMessage *response = collect(invocation);
    gpr_timespec wake;
    if (lost_token(invocation)) {
        await_token(invocation);
        return;
    }
    if (backoff(invocation, &wake)) {
        pthread_mutex_lock(&gatehouse->lock);
        bool is_cancelled = invocation->is_cancelled;
        if (!is_cancelled)
            gatehouse_invocation_sleep(invocation, STATE_BACKOFF, wake);
        pthread_mutex_unlock(&gatehouse->lock);
        if (!is_cancelled)
            return;
        gatehouse_error_set(invocation->user, GATEHOUSE_CANCELLED, "cancelled");
    }
    gatehouse_invocation_finish(invocation, response);
}
