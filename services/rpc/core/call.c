/* SPDX-License-Identifier: Apache-2.0 */
/* A call's life: it arrives in a slot, takes a call object out of the pool, runs its handler, is answered, goes back.
 */
#include "clock.h"
#include "log.h"
#include "rpc/internal.h"
#include "rpc/strings.h"

#include <grpc/byte_buffer_reader.h>
#include <stdlib.h>

static void on_done(struct rpc_tag *tag, bool ok)
{
    (void)ok; /* whether the answer went out is the peer's affair */
    rpc_call_unref(RPC_CONTAINER(tag, struct rpc_call, on_done));
}

static void on_close(struct rpc_tag *tag, bool ok)
{
    (void)ok; /* always true */
    struct rpc_call *call = RPC_CONTAINER(tag, struct rpc_call, on_close);
    if (call->was_cancelled) {
        atomic_store(&call->is_cancelled, true);
        if (call->method->server_streams)
            rpc_stream_cancelled(call);
        rpc_call_tell_cancelled(call);
    }
    rpc_call_unref(call);
}

static bool is_cancelled(const struct call *base)
{
    return atomic_load(&((const struct rpc_call *)base)->is_cancelled);
}

static struct rpc_call *call_new(struct rpc_server *server)
{
    struct rpc_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        abort();
    call->server = server;
    call->on_done.run = on_done;
    call->on_close.run = on_close;
    grpc_metadata_array_init(&call->metadata);
    pthread_mutex_init(&call->stream.lock, NULL);
    rpc_arena_init(&call->arena, 16 * server->options.max_message_bytes + 65536);
    return call;
}

void rpc_call_free(struct rpc_call *call)
{
    grpc_metadata_array_destroy(&call->metadata);
    pthread_mutex_destroy(&call->stream.lock);
    free(call);
}

static struct rpc_call *take_call(struct rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    struct rpc_call *call = server->idle;
    if (call != NULL) {
        server->idle = call->next_idle;
        server->idle_count--;
    }
    server->active++;
    pthread_mutex_unlock(&server->lock);
    return call != NULL ? call : call_new(server);
}

static void give_back(struct rpc_call *call)
{
    struct rpc_server *server = call->server;
    pthread_mutex_lock(&server->lock);
    bool keep = server->idle_count < RPC_POOL_MAX;
    if (keep) {
        call->next_idle = server->idle;
        server->idle = call;
        server->idle_count++;
    }
    if (--server->active == 0)
        pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock); /* once no call is active, the server may be freed */
    if (!keep)
        rpc_call_free(call);
}

void rpc_call_ref(struct rpc_call *call)
{
    atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
}

static enum status outcome(const struct rpc_call *call)
{
    if (!atomic_load(&call->is_cancelled) && !call->was_cancelled)
        return call->base.error.status;
    return clock_monotonic() >= call->base.deadline ? STATUS_DEADLINE_EXCEEDED : STATUS_CANCELLED;
}

void rpc_call_unref(struct rpc_call *call)
{
    if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct rpc_server *server = call->server;
    if (server->observe != NULL)
        server->observe(server->observe_arg, &call->base, outcome(call), clock_monotonic() - call->started);
    grpc_call_unref(call->call);
    call->call = NULL;
    call->metadata.count = 0;
    if (call->response != NULL)
        grpc_byte_buffer_destroy(call->response);
    call->response = NULL;
    rpc_arena_reset(&call->arena);
    give_back(call);
}

void rpc_call_tell_cancelled(struct rpc_call *call)
{
    if (call->base.on_cancel != NULL && !atomic_exchange(&call->cancel_told, true))
        call->base.on_cancel(&call->base);
}

void rpc_call_start(struct rpc_call *call, const grpc_op *ops, size_t count, struct rpc_tag *tag)
{
    rpc_call_ref(call);
    RPC_TSAN_RELEASE(tag);
    grpc_call_error error = grpc_call_start_batch(call->call, ops, count, tag, NULL);
    if (error == GRPC_CALL_OK)
        return;
    log_write(LOG_LEVEL_ERROR, "rpc_batch_refused", "error", grpc_call_error_to_string(error), "method",
              call->base.method, NULL);
    abort();
}

grpc_op rpc_op_close(struct rpc_call *call)
{
    return (grpc_op){.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &call->was_cancelled};
}

grpc_byte_buffer *rpc_pack(const ProtobufCMessage *message)
{
    grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

grpc_op rpc_op_status(struct rpc_call *call, struct rpc_trailer *trailer)
{
    struct call_error *error = &call->base.error;
    grpc_op op = {.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    *trailer = (struct rpc_trailer){.message = grpc_empty_slice()};
    if (error->status == STATUS_OK)
        return op;
    rpc_error_clean(error);
    trailer->message = grpc_slice_from_copied_string(error->message);
    trailer->metadata[0].key = grpc_slice_from_static_string("grpc-status-details-bin");
    trailer->metadata[0].value = rpc_details_format(error);
    trailer->metadata[1].key = grpc_slice_from_static_string("x-request-id");
    trailer->metadata[1].value = grpc_slice_from_copied_string(call->base.request_id);
    op.data.send_status_from_server.status = (grpc_status_code)error->status;
    op.data.send_status_from_server.status_details = &trailer->message;
    op.data.send_status_from_server.trailing_metadata = trailer->metadata;
    op.data.send_status_from_server.trailing_metadata_count = trailer->count = 2;
    return op;
}

void rpc_trailer_done(struct rpc_trailer *trailer)
{
    grpc_slice_unref(trailer->message);
    for (size_t i = 0; i < trailer->count; i++)
        grpc_slice_unref(trailer->metadata[i].value);
}

/* The whole answer in one batch; also the question for the call's end, if it was not asked yet. */
static void send_answer(struct rpc_call *call)
{
    struct rpc_trailer trailer;
    grpc_op ops[4];
    size_t count = 0;
    ops[count++] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    if (call->response != NULL && call->base.error.status == STATUS_OK)
        ops[count++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->response};
    ops[count++] = rpc_op_status(call, &trailer);
    if (!call->close_started)
        ops[count++] = rpc_op_close(call);
    rpc_call_start(call, ops, count, &call->on_done);
    rpc_trailer_done(&trailer);
}

void rpc_call_answer(const ProtobufCMessage *response, void *data)
{
    struct rpc_call *call = data;
    if (call->method->server_streams) {
        rpc_stream_answer(call, response);
        return;
    }
    if (response != NULL)
        call->response = rpc_pack(response);
    else
        (void)call_fail(&call->base, STATUS_INTERNAL, "INTERNAL", "internal error"); /* unless it said why */
    if (atomic_exchange(&call->progress, RPC_ANSWERED) != RPC_WAITING)
        return; /* whoever invoked the handler sends it */
    send_answer(call);
    rpc_call_unref(call);
}

static ProtobufCMessage *unpack_bytes(const ProtobufCMessageDescriptor *type, ProtobufCAllocator *allocator, size_t len,
                                      const uint8_t *data)
{
    return strings_are_valid(type, data, len) ? protobuf_c_message_unpack(type, allocator, len, data) : NULL;
}

static ProtobufCMessage *unpack(const struct rpc_method *method, ProtobufCAllocator *allocator,
                                grpc_byte_buffer *payload)
{
    const ProtobufCMessageDescriptor *type = method->service->descriptor->methods[method->index].input;
    size_t len = grpc_byte_buffer_length(payload);
    if (len == 0)
        return protobuf_c_message_unpack(type, allocator, 0, (const uint8_t *)"");
    ProtobufCMessage *message = NULL;
    grpc_byte_buffer_reader reader;
    grpc_slice *first;
    if (!grpc_byte_buffer_reader_init(&reader, payload))
        return NULL;
    if (!grpc_byte_buffer_reader_peek(&reader, &first))
        first = NULL;
    if (first != NULL && GRPC_SLICE_LENGTH(*first) == len) { /* the common case: no copy */
        message = unpack_bytes(type, allocator, len, GRPC_SLICE_START_PTR(*first));
    } else {
        grpc_byte_buffer_reader_destroy(&reader); /* the peek went past the first piece */
        grpc_byte_buffer_reader_init(&reader, payload);
        grpc_slice joined = grpc_byte_buffer_reader_readall(&reader);
        message = unpack_bytes(type, allocator, len, GRPC_SLICE_START_PTR(joined));
        grpc_slice_unref(joined);
    }
    grpc_byte_buffer_reader_destroy(&reader);
    return message;
}

ProtobufCMessage *rpc_call_unpack(struct rpc_call *call, ProtobufCAllocator *allocator, grpc_byte_buffer *payload)
{
    ProtobufCMessage *message = NULL;
    if (payload != NULL) {
        message = unpack(call->method, allocator, payload);
        grpc_byte_buffer_destroy(payload);
    }
    if (message == NULL)
        (void)call_fail(&call->base, STATUS_INVALID_ARGUMENT, "UNREADABLE_MESSAGE", "the request cannot be read");
    return message;
}

/* Runs a unary call's handler, or answers by itself what never gets to one. */
static void run_unary(struct rpc_call *call, grpc_byte_buffer *payload)
{
    ProtobufCService *service = call->method->service;
    ProtobufCMessage *request = NULL;
    if (service == NULL)
        (void)call_fail(&call->base, STATUS_UNIMPLEMENTED, "UNKNOWN_METHOD", "there is no such method");
    else
        request = rpc_call_unpack(call, &call->arena.allocator, payload);
    if (call->base.error.status == STATUS_OK)
        service->invoke(service, call->method->index, request, rpc_call_answer, call);
    else
        atomic_store(&call->progress, RPC_ANSWERED);

    if (atomic_load(&call->progress) != RPC_ANSWERED) {
        /* A batch of its own to hear of a cancellation costs a fifth of a call: only for a handler that wants to. */
        if (call->base.on_cancel != NULL) {
            grpc_op close = rpc_op_close(call);
            call->close_started = true;
            rpc_call_start(call, &close, 1, &call->on_close);
        }
        enum rpc_progress expected = RPC_INVOKING;
        if (atomic_compare_exchange_strong(&call->progress, &expected, RPC_WAITING))
            return; /* the handler's reference is the answer's now */
    }
    send_answer(call);
    rpc_call_unref(call);
}

void rpc_slot_post(struct rpc_slot *slot)
{
    const struct rpc_method *method = slot->method;
    struct rpc_server *server = method->server;
    RPC_TSAN_RELEASE(&slot->tag);
    grpc_call_error error;
    if (method->service == NULL)
        error = grpc_server_request_call(server->server, &slot->call, &slot->details, &slot->metadata, server->queue,
                                         server->queue, &slot->tag);
    else
        error = grpc_server_request_registered_call(server->server, method->handle, &slot->call, &slot->deadline,
                                                    &slot->metadata, method->client_streams ? NULL : &slot->payload,
                                                    server->queue, server->queue, &slot->tag);
    if (error != GRPC_CALL_OK)
        abort(); /* a bug: arguments that do not fit the method's registration */
}

/* What the last call left behind; its memory is kept. */
static void renew(struct rpc_call *call, const struct rpc_method *method)
{
    call->base =
        (struct call){.method = method->path, .peer = "", .identities = call->identities, .is_cancelled = is_cancelled};
    call->method = method;
    call->started = clock_monotonic();
    call->was_cancelled = 0;
    call->close_started = false;
    call->identities[0] = NULL;
    atomic_store_explicit(&call->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&call->progress, RPC_INVOKING, memory_order_relaxed);
    atomic_store_explicit(&call->is_cancelled, false, memory_order_relaxed);
    atomic_store_explicit(&call->cancel_told, false, memory_order_relaxed);
}

void rpc_slot_arrived(struct rpc_tag *tag, bool ok)
{
    struct rpc_slot *slot = RPC_CONTAINER(tag, struct rpc_slot, tag);
    if (!ok)
        return; /* the server is shutting down */
    const struct rpc_method *method = slot->method;
    struct rpc_call *call = take_call(method->server);
    renew(call, method);
    call->call = slot->call;
    grpc_metadata_array spare = call->metadata;
    call->metadata = slot->metadata;
    slot->metadata = spare;
    gpr_timespec deadline = slot->deadline;
    grpc_byte_buffer *payload = slot->payload;
    slot->payload = NULL;
    if (method->service == NULL) {
        deadline = slot->details.deadline;
        call->base.method = rpc_arena_copy(&call->arena, GRPC_SLICE_START_PTR(slot->details.method),
                                           GRPC_SLICE_LENGTH(slot->details.method));
        grpc_slice_unref(slot->details.method);
        grpc_slice_unref(slot->details.host);
        grpc_call_details_init(&slot->details);
    }
    rpc_slot_post(slot);

    rpc_metadata_read(call, deadline);
    if (method->server_streams)
        rpc_stream_begin(call, payload);
    else
        run_unary(call, payload);
}
