/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/internal.h"

static void drop_queue(struct rpc_stream *stream)
{
    for (; stream->count > 0; stream->count--) {
        grpc_byte_buffer_destroy(stream->queue[stream->head]);
        stream->head = (stream->head + 1) % RPC_STREAM_QUEUE;
    }
}

static size_t add_header(struct rpc_stream *stream, grpc_op *ops)
{
    if (stream->header_sent)
        return 0;
    stream->header_sent = true;
    ops[0] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    return 1;
}

static void send_next(struct rpc_call *call)
{
    struct rpc_stream *stream = &call->stream;
    grpc_byte_buffer *message = stream->queue[stream->head];
    stream->head = (stream->head + 1) % RPC_STREAM_QUEUE;
    stream->count--;
    stream->sending = true;
    grpc_op ops[2];
    size_t count = add_header(stream, ops);
    ops[count++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE,
                             .flags = stream->count > 0 ? GRPC_WRITE_BUFFER_HINT : 0,
                             .data.send_message.send_message = message};
    rpc_call_start(call, ops, count, &call->on_sent);
    grpc_byte_buffer_destroy(message);
}

static void send_status(struct rpc_call *call)
{
    struct rpc_stream *stream = &call->stream;
    struct rpc_trailer trailer;
    grpc_op ops[3];
    size_t count = add_header(stream, ops);
    ops[count++] = rpc_op_status(call, &trailer);
    if (!stream->close_started)
        ops[count++] = rpc_op_close(call);
    stream->close_started = true;
    stream->closed = true;
    rpc_call_start(call, ops, count, &call->on_done);
    rpc_trailer_done(&trailer);
}

/* Sends what can be sent now. One SEND_MESSAGE at a time is gRPC core's rule. */
static void pump(struct rpc_call *call)
{
    struct rpc_stream *stream = &call->stream;
    if (stream->dead)
        drop_queue(stream);
    if (stream->sending || stream->closed)
        return;
    if (stream->count > 0)
        send_next(call);
    else if (stream->ended)
        send_status(call);
}

static void read_next(struct rpc_call *call)
{
    call->stream.reading = true;
    call->received = NULL;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->received};
    rpc_call_start(call, &op, 1, &call->on_message);
}

static void unlist(struct rpc_call *call)
{
    struct rpc_server *server = call->server;
    struct rpc_stream *stream = &call->stream;
    pthread_mutex_lock(&server->lock);
    if (stream->previous != NULL)
        stream->previous->stream.next = stream->next;
    else
        server->streams = stream->next;
    if (stream->next != NULL)
        stream->next->stream.previous = stream->previous;
    pthread_mutex_unlock(&server->lock);
}

/* Only a stream of requests has one: its arena would fill up with them. */
static void free_request(struct rpc_call *call)
{
    if (call->request != NULL)
        protobuf_c_message_free_unpacked(call->request, NULL);
    call->request = NULL;
}

/* The handler's, or a stream of requests' own, end: gives back the reference that it held. */
static void end(struct rpc_call *call)
{
    struct rpc_stream *stream = &call->stream;
    pthread_mutex_lock(&stream->lock);
    bool is_first = !stream->ended;
    stream->ended = true;
    pump(call);
    pthread_mutex_unlock(&stream->lock);
    if (!is_first)
        return;
    unlist(call);
    rpc_call_unref(call);
}

/* Under the lock. A stream of requests whose last answer is out reads on, or is over: returns true. */
static bool is_over_else_read(struct rpc_call *call)
{
    struct rpc_stream *stream = &call->stream;
    if (stream->sending || stream->reading || stream->ended)
        return false;
    if (stream->dead)
        return true;
    if (atomic_load(&call->server->is_draining)) {
        (void)call_fail(&call->base, STATUS_UNAVAILABLE, "DRAINING", "the server is shutting down");
        return true;
    }
    read_next(call);
    return false;
}

static void on_sent(struct rpc_tag *tag, bool ok)
{
    struct rpc_call *call = RPC_CONTAINER(tag, struct rpc_call, on_sent);
    struct rpc_stream *stream = &call->stream;
    pthread_mutex_lock(&stream->lock);
    stream->sending = false;
    stream->dead = stream->dead || !ok;
    pump(call);
    bool is_over = call->method->client_streams && is_over_else_read(call);
    bool is_ready = stream->count == 0 && !stream->ended && !stream->dead;
    void (*on_ready)(struct call *) = is_ready ? stream->on_ready : NULL;
    pthread_mutex_unlock(&stream->lock);
    if (!ok)
        rpc_call_tell_cancelled(call);
    if (is_over)
        end(call);
    if (on_ready != NULL)
        on_ready(&call->base);
    rpc_call_unref(call);
}

void rpc_stream_answer(struct rpc_call *call, const ProtobufCMessage *response)
{
    if (response == NULL) {
        if (call->method->client_streams) { /* one answer a request was owed */
            free_request(call);
            (void)call_fail(&call->base, STATUS_INTERNAL, "INTERNAL", "internal error");
        }
        end(call);
        return;
    }
    struct rpc_stream *stream = &call->stream;
    grpc_byte_buffer *message = rpc_pack(response);
    free_request(call);
    pthread_mutex_lock(&stream->lock);
    bool is_full = stream->count == RPC_STREAM_QUEUE;
    bool is_dead = stream->dead || stream->ended;
    if (is_dead || is_full) {
        grpc_byte_buffer_destroy(message);
    } else {
        stream->queue[(stream->head + stream->count++) % RPC_STREAM_QUEUE] = message;
        pump(call);
    }
    if (is_full && !is_dead) { /* a reader this slow is given up, rather than remembered for ever */
        (void)call_fail(&call->base, STATUS_RESOURCE_EXHAUSTED, "SLOW_READER", "too many unread messages");
        stream->dead = true;
        pump(call);
    }
    pthread_mutex_unlock(&stream->lock);
    if (is_full && !is_dead)
        rpc_call_tell_cancelled(call);
    if (is_dead && call->method->client_streams)
        end(call);
}

void rpc_stream_cancelled(struct rpc_call *call)
{
    pthread_mutex_lock(&call->stream.lock);
    call->stream.dead = true;
    pump(call);
    pthread_mutex_unlock(&call->stream.lock);
}

static void on_message(struct rpc_tag *tag, bool ok)
{
    struct rpc_call *call = RPC_CONTAINER(tag, struct rpc_call, on_message);
    struct rpc_stream *stream = &call->stream;
    pthread_mutex_lock(&stream->lock);
    stream->reading = false;
    bool is_over = stream->ended || stream->dead || !ok || call->received == NULL;
    pthread_mutex_unlock(&stream->lock);
    if (is_over) {
        if (call->received != NULL)
            grpc_byte_buffer_destroy(call->received);
        end(call);
    } else {
        ProtobufCService *service = call->method->service;
        call->request = rpc_call_unpack(call, NULL, call->received);
        if (call->request != NULL)
            service->invoke(service, call->method->index, call->request, rpc_call_answer, call);
        else
            end(call);
    }
    rpc_call_unref(call);
}

static void start(struct rpc_call *call)
{
    struct rpc_stream *stream = &call->stream;
    struct rpc_server *server = call->server;
    pthread_mutex_lock(&stream->lock);
    stream->head = stream->count = 0;
    stream->sending = stream->reading = stream->header_sent = stream->close_started = false;
    stream->ended = stream->closed = stream->dead = false;
    stream->on_ready = NULL;
    pthread_mutex_unlock(&stream->lock);
    call->on_sent.run = on_sent;
    call->on_message.run = on_message;
    pthread_mutex_lock(&server->lock);
    stream->previous = NULL;
    stream->next = server->streams;
    if (server->streams != NULL)
        server->streams->stream.previous = call;
    server->streams = call;
    pthread_mutex_unlock(&server->lock);
}

/* From here on the call's cancellation is heard of. */
static void watch_close(struct rpc_call *call)
{
    struct rpc_stream *stream = &call->stream;
    pthread_mutex_lock(&stream->lock);
    if (!stream->close_started) {
        stream->close_started = true;
        grpc_op op = rpc_op_close(call);
        rpc_call_start(call, &op, 1, &call->on_close);
    }
    pthread_mutex_unlock(&stream->lock);
}

void rpc_stream_begin(struct rpc_call *call, grpc_byte_buffer *payload)
{
    ProtobufCService *service = call->method->service;
    start(call);
    rpc_call_ref(call); /* the handler may end it while we still look */
    ProtobufCMessage *request = NULL;
    if (!call->method->client_streams)
        request = rpc_call_unpack(call, &call->arena.allocator, payload);
    if (call->base.error.status != STATUS_OK)
        end(call);
    else if (!call->method->client_streams)
        service->invoke(service, call->method->index, request, rpc_call_answer, call);
    watch_close(call);
    if (call->method->client_streams) {
        pthread_mutex_lock(&call->stream.lock);
        bool is_over = is_over_else_read(call);
        pthread_mutex_unlock(&call->stream.lock);
        if (is_over)
            end(call);
    }
    rpc_call_unref(call);
}

/* One stream that only waits for its client's next message, with a reference; or NULL. */
static struct rpc_call *find_waiting(struct rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    struct rpc_call *call = server->streams;
    for (; call != NULL; call = call->stream.next) {
        pthread_mutex_lock(&call->stream.lock);
        bool is_waiting = call->stream.reading && !call->stream.ended;
        if (is_waiting) {
            rpc_call_ref(call);
            (void)call_fail(&call->base, STATUS_UNAVAILABLE, "DRAINING", "the server is shutting down");
        }
        pthread_mutex_unlock(&call->stream.lock);
        if (is_waiting)
            break;
    }
    pthread_mutex_unlock(&server->lock);
    return call;
}

void rpc_streams_drain(struct rpc_server *server)
{
    struct rpc_call *call;
    while ((call = find_waiting(server)) != NULL) {
        end(call);
        rpc_call_unref(call);
    }
}

void rpc_call_on_ready(struct call *base, void (*on_ready)(struct call *call))
{
    struct rpc_call *call = (struct rpc_call *)base;
    pthread_mutex_lock(&call->stream.lock);
    call->stream.on_ready = on_ready;
    pthread_mutex_unlock(&call->stream.lock);
}

bool rpc_call_has_room(const struct call *base)
{
    struct rpc_call *call = (struct rpc_call *)(uintptr_t)base;
    pthread_mutex_lock(&call->stream.lock);
    bool has_room = call->stream.count < RPC_STREAM_QUEUE && !call->stream.dead;
    pthread_mutex_unlock(&call->stream.lock);
    return has_room;
}
