/* SPDX-License-Identifier: Apache-2.0 */
/* What a call sends and reads, in gRPC core's batches. One SEND_MESSAGE at a time is gRPC core's rule. */
#include "base/log.h"
#include "rpc/core/core.h"
#include "rpc/details.h"

#include <grpc/byte_buffer_reader.h>
#include <stdlib.h>

/* Takes a reference, given back by the tag's run. A batch that is refused is a bug of ours. */
static void start(struct core_call *call, const grpc_op *ops, size_t count, struct core_tag *tag)
{
    core_call_ref(call);
    CORE_TSAN_RELEASE(tag);
    grpc_call_error error = grpc_call_start_batch(call->call, ops, count, tag, NULL);
    if (error == GRPC_CALL_OK)
        return;
    log_write(LOG_LEVEL_ERROR, "rpc_batch_refused", "error", grpc_call_error_to_string(error), "method",
              call->shared.base.method, NULL);
    abort();
}

static grpc_op close_op(struct core_call *call)
{
    call->has_started_close = true;
    return (grpc_op){.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &call->was_cancelled};
}

/* The slice's, on any of gRPC core's threads: its bytes are sent; the message was the slice's. */
static void free_message(void *message)
{
    CORE_TSAN_ACQUIRE(message);
    rpc_message_free(message);
}

/* Without its prefix, which gRPC core makes itself, and without a copy unless it lies in the call's arena. */
static grpc_byte_buffer *buffer_of(struct rpc_message *message)
{
    char *bytes = (char *)(uintptr_t)rpc_message_body(message);
    size_t len = message->len - RPC_PREFIX;
    grpc_slice slice;
    if (message->is_in_arena) {
        slice = grpc_slice_from_copied_buffer(bytes, len);
        rpc_message_free(message);
    } else {
        CORE_TSAN_RELEASE(message);
        slice = grpc_slice_new_with_user_data(bytes, len, free_message, message);
    }
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

/* What SEND_STATUS_FROM_SERVER points at: to be kept until the batch was started, then released. */
struct trailer {
    grpc_slice message;
    size_t count;
    grpc_metadata metadata[2];
};

static grpc_op status_op(struct core_call *call, struct trailer *trailer)
{
    struct call_error *error = &call->shared.base.error;
    grpc_op op = {.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    *trailer = (struct trailer){.message = grpc_empty_slice()};
    if (error->status == STATUS_OK)
        return op;
    uint8_t details[RPC_DETAILS_MAX];
    rpc_error_clean(error);
    trailer->message = grpc_slice_from_copied_string(error->message);
    trailer->metadata[0].key = grpc_slice_from_static_string("grpc-status-details-bin");
    trailer->metadata[0].value =
        grpc_slice_from_copied_buffer((const char *)details, rpc_details_format(error, details));
    trailer->metadata[1].key = grpc_slice_from_static_string("x-request-id");
    trailer->metadata[1].value = grpc_slice_from_copied_string(call->shared.base.request_id);
    op.data.send_status_from_server.status = (grpc_status_code)error->status;
    op.data.send_status_from_server.status_details = &trailer->message;
    op.data.send_status_from_server.trailing_metadata = trailer->metadata;
    op.data.send_status_from_server.trailing_metadata_count = trailer->count = 2;
    return op;
}

static void trailer_done(struct trailer *trailer)
{
    grpc_slice_unref(trailer->message);
    for (size_t i = 0; i < trailer->count; i++)
        grpc_slice_unref(trailer->metadata[i].value);
}

static bool is_unary(const struct core_call *call)
{
    return call->shared.method == NULL || !call->shared.method->server_streams;
}

/* Under the lock. A unary answer is one batch: header, message, status and the question for the call's end. */
static void send(struct core_call *call, enum rpc_take taken, struct rpc_message *message)
{
    struct trailer trailer;
    grpc_op ops[4];
    size_t count = 0;
    grpc_byte_buffer *buffer = NULL;
    if (!call->has_sent_header)
        ops[count++] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    call->has_sent_header = true;
    if (taken == RPC_TAKE_MESSAGE) {
        buffer = buffer_of(message);
        ops[count++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer};
        if (is_unary(call))
            taken = rpc_call_take(&call->shared, &message); /* the status, which came with it */
    }
    call->is_closed = taken == RPC_TAKE_STATUS;
    call->is_sending = !call->is_closed;
    if (call->is_closed) {
        ops[count++] = status_op(call, &trailer);
        if (!call->has_started_close)
            ops[count++] = close_op(call);
    }
    start(call, ops, count, call->is_closed ? &call->on_done : &call->on_sent);
    if (call->is_closed)
        trailer_done(&trailer);
    if (buffer != NULL)
        grpc_byte_buffer_destroy(buffer);
}

/* Sends what can be sent now. */
static void pump(struct core_call *call)
{
    struct rpc_message *message = NULL;
    pthread_mutex_lock(&call->lock);
    if (!call->is_sending && !call->is_closed) {
        enum rpc_take taken = rpc_call_take(&call->shared, &message);
        if (taken != RPC_TAKE_NOTHING)
            send(call, taken, message);
    }
    pthread_mutex_unlock(&call->lock);
}

void core_call_wake(struct rpc_call *shared, bool is_last)
{
    struct core_call *call = (struct core_call *)shared;
    pump(call);
    if (is_last)
        core_call_unref(call);
}

void core_call_read_next(struct rpc_call *shared)
{
    struct core_call *call = (struct core_call *)shared;
    call->received = NULL;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->received};
    start(call, &op, 1, &call->on_message);
}

/* A batch of its own for this costs a fifth of a unary call, which is why it is asked for. */
void core_call_watch_cancel(struct rpc_call *shared)
{
    struct core_call *call = (struct core_call *)shared;
    pthread_mutex_lock(&call->lock);
    if (!call->has_started_close) {
        grpc_op op = close_op(call);
        start(call, &op, 1, &call->on_close);
    }
    pthread_mutex_unlock(&call->lock);
}

void core_call_deliver(struct core_call *call, grpc_byte_buffer *payload)
{
    size_t len = grpc_byte_buffer_length(payload);
    grpc_byte_buffer_reader reader;
    grpc_slice *first;
    if (len == 0 || !grpc_byte_buffer_reader_init(&reader, payload)) {
        rpc_call_message(&call->shared, (const uint8_t *)"", 0);
    } else if (grpc_byte_buffer_reader_peek(&reader, &first) && GRPC_SLICE_LENGTH(*first) == len) {
        rpc_call_message(&call->shared, GRPC_SLICE_START_PTR(*first), len); /* the common case: no copy */
        grpc_byte_buffer_reader_destroy(&reader);
    } else {
        grpc_byte_buffer_reader_destroy(&reader); /* the peek went past the first piece */
        grpc_byte_buffer_reader_init(&reader, payload);
        grpc_slice joined = grpc_byte_buffer_reader_readall(&reader);
        rpc_call_message(&call->shared, GRPC_SLICE_START_PTR(joined), len);
        grpc_slice_unref(joined);
        grpc_byte_buffer_reader_destroy(&reader);
    }
    grpc_byte_buffer_destroy(payload);
}

static void on_done(struct core_tag *tag, bool ok)
{
    (void)ok; /* whether the answer went out is the peer's affair */
    core_call_unref(RPC_CONTAINER(tag, struct core_call, on_done));
}

/* A core_tag, on a thread of the queue: the call is over for gRPC core. With a reference to the call, as the next two.
 */
static void on_close(struct core_tag *tag, bool ok)
{
    (void)ok; /* always true */
    struct core_call *call = RPC_CONTAINER(tag, struct core_call, on_close);
    if (call->was_cancelled)
        rpc_call_cancelled(&call->shared);
    core_call_unref(call);
}

/* A core_tag, on a thread of the queue: what was handed over is sent, and more may be. */
static void on_sent(struct core_tag *tag, bool ok)
{
    (void)ok; /* on_close tells */
    struct core_call *call = RPC_CONTAINER(tag, struct core_call, on_sent);
    pthread_mutex_lock(&call->lock);
    call->is_sending = false;
    pthread_mutex_unlock(&call->lock);
    pump(call);
    rpc_call_taken(&call->shared);
    core_call_unref(call);
}

/* A core_tag, on a thread of the queue: the next message of a stream of requests, or its end. */
static void on_message(struct core_tag *tag, bool ok)
{
    struct core_call *call = RPC_CONTAINER(tag, struct core_call, on_message);
    if (ok && call->received != NULL)
        core_call_deliver(call, call->received);
    else
        rpc_call_half_closed(&call->shared);
    core_call_unref(call);
}

void core_call_set_tags(struct core_call *call)
{
    call->on_done.run = on_done;
    call->on_close.run = on_close;
    call->on_sent.run = on_sent;
    call->on_message.run = on_message;
}
