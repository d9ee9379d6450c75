/* SPDX-License-Identifier: Apache-2.0 */
/* A call's life, as its transport tells it: see transport.h. */
#include "base/clock.h"
#include "rpc/outbox.h"

#include <string.h>

static const char *const nobody[] = {NULL};

static bool is_cancelled(const struct call *base)
{
    return atomic_load(&((const struct rpc_call *)base)->is_cancelled);
}

static const struct call_stream stream = {.converse = rpc_call_converse,
                                          .read_next = rpc_call_read_next,
                                          .send = rpc_call_send,
                                          .has_room = rpc_call_has_room,
                                          .on_ready = rpc_call_on_ready,
                                          .on_finish = rpc_call_on_finish};

void rpc_call_init(struct rpc_call *call, struct rpc_server *server)
{
    call->server = server;
    pthread_mutex_init(&call->lock, NULL);
    arena_init(&call->arena, call->arena_first, sizeof call->arena_first,
               16 * server->options.limits.max_message_bytes + 65536);
}

void rpc_call_done(struct rpc_call *call)
{
    pthread_mutex_destroy(&call->lock);
}

void rpc_call_begin(struct rpc_call *call, int64_t now)
{
    call->base = (struct call){.method = "",
                               .peer = "",
                               .identities = nobody,
                               .deadline = INT64_MAX,
                               .is_cancelled = is_cancelled,
                               .stream = &stream};
    call->method = NULL;
    call->started = now;
    call->request = NULL;
    call->has_authorization = call->is_invoked = false;
    atomic_store_explicit(&call->is_cancelled, false, memory_order_relaxed);
    atomic_store_explicit(&call->cancel_told, false, memory_order_relaxed);
    call->first = call->last = NULL;
    call->count = call->busy = 0;
    call->queued = 0;
    call->has_request = call->is_asked = call->is_half_closed = call->is_conversing = call->is_finishing = false;
    call->reads_later = false;
    call->is_ended = call->is_dead = false;
    call->on_ready = call->on_half_closed = call->on_finish = NULL;
}

/* On the transport's thread, before there is a handler. */
static void end_early(struct rpc_call *call)
{
    call->is_invoked = true; /* nothing that still comes is looked at */
    rpc_call_end(call);
}

/* The server's prefix, "-", and a number in hexadecimal: by hand, for every call has one. */
static void make_request_id(struct rpc_call *call)
{
    struct rpc_server *server = call->server;
    uint_least64_t number = atomic_fetch_add_explicit(&server->request_count, 1, memory_order_relaxed);
    char digits[2 * sizeof number + 1] = "";
    char *first = digits + sizeof digits - 1;
    do
        *--first = "0123456789abcdef"[number & 15];
    while ((number >>= 4) != 0);
    char *end = stpcpy(call->base.request_id, server->request_id_prefix);
    *end = '-';
    memcpy(end + 1, first, (size_t)(digits + sizeof digits - first));
}

void rpc_call_headers_done(struct rpc_call *call, const struct rpc_method *method, const char *path, size_t path_len)
{
    call->method = method;
    if (call->base.request_id[0] == '\0')
        make_request_id(call);
    if (method != NULL) {
        call->base.method = method->path;
    } else {
        const char *copy = arena_try_copy(&call->arena, path, path_len);
        call->base.method = copy != NULL ? copy : "";
        (void)call_fail(&call->base, STATUS_UNIMPLEMENTED, "UNKNOWN_METHOD", "there is no such method");
    }
    if (call->base.error.status != STATUS_OK) {
        end_early(call);
    } else if (method->client_streams) {
        call->server->transport->watch_cancel(call);
        if (atomic_load(&call->server->is_draining))
            rpc_call_finish(call);
        else
            rpc_call_proceed(call);
    }
}

static ProtobufCMessage *unpack(struct rpc_call *call, ProtobufCAllocator *allocator, const uint8_t *bytes, size_t len)
{
    ProtobufCMessage *request = rpc_message_unpack(call->method->input, allocator, bytes, len);
    if (request == NULL)
        (void)call_fail(&call->base, STATUS_INVALID_ARGUMENT, "UNREADABLE_MESSAGE", "the request cannot be read");
    return request;
}

static void invoke(struct rpc_call *call)
{
    ProtobufCService *service = call->method->service;
    service->invoke(service, call->method->index, call->request, rpc_call_answer, call);
}

/* The next one of a stream. */
static void stream_message(struct rpc_call *call, const uint8_t *bytes, size_t len)
{
    pthread_mutex_lock(&call->lock);
    call->is_asked = false;
    bool is_over = call->is_ended || call->is_dead;
    call->has_request = !is_over;
    pthread_mutex_unlock(&call->lock);
    if (is_over)
        return;
    call->request = unpack(call, NULL, bytes, len); /* the arena would fill up with them */
    if (call->request != NULL)
        invoke(call);
    else
        rpc_call_end(call);
}

void rpc_call_message(struct rpc_call *call, const uint8_t *bytes, size_t len)
{
    if (rpc_call_is_dialog(call)) {
        stream_message(call, bytes, len);
        return;
    }
    ProtobufCAllocator allocator = arena_allocator(&call->arena);
    if (call->is_invoked)
        return;
    if (call->request != NULL)
        (void)call_fail(&call->base, STATUS_INVALID_ARGUMENT, "TOO_MANY_MESSAGES", "the method takes one message");
    else
        call->request = unpack(call, &allocator, bytes, len);
    if (call->base.error.status != STATUS_OK)
        end_early(call);
}

static void stream_half_closed(struct rpc_call *call)
{
    pthread_mutex_lock(&call->lock);
    call->is_asked = false;
    call->is_half_closed = true;
    void (*on_half_closed)(struct call *) = call->is_ended || call->is_dead ? NULL : call->on_half_closed;
    pthread_mutex_unlock(&call->lock);
    if (on_half_closed != NULL)
        on_half_closed(&call->base);
    rpc_call_proceed(call);
}

void rpc_call_half_closed(struct rpc_call *call)
{
    if (rpc_call_is_dialog(call)) {
        stream_half_closed(call);
        return;
    }
    if (call->is_invoked)
        return;
    if (call->request == NULL) {
        (void)call_fail(&call->base, STATUS_INVALID_ARGUMENT, "UNREADABLE_MESSAGE", "the request has no message");
        end_early(call);
        return;
    }
    call->is_invoked = true;
    invoke(call);
    if (!call->method->server_streams && call->base.on_cancel == NULL)
        return;
    pthread_mutex_lock(&call->lock);
    bool goes_on = !call->is_ended;
    pthread_mutex_unlock(&call->lock);
    if (!goes_on)
        return;
    call->server->transport->watch_cancel(call);
    if (call->method->server_streams && atomic_load(&call->server->is_draining))
        rpc_call_finish(call);
}

void rpc_call_cancelled(struct rpc_call *call)
{
    atomic_store(&call->is_cancelled, true);
    pthread_mutex_lock(&call->lock);
    call->is_dead = true;
    bool is_dialog = rpc_call_is_dialog(call);
    bool waits = is_dialog ? !call->is_conversing && !call->has_request : !call->is_invoked;
    pthread_mutex_unlock(&call->lock);
    if (!is_dialog)
        call->is_invoked = true;
    rpc_call_tell_cancelled(call);
    if (waits)
        rpc_call_end(call);
}

void rpc_call_finish(struct rpc_call *call)
{
    pthread_mutex_lock(&call->lock);
    call->is_finishing = true;
    void (*on_finish)(struct call *) = call->is_ended ? NULL : call->on_finish;
    bool waits =
        rpc_call_is_dialog(call) && !call->is_conversing && !call->has_request && !call->is_ended && call->count == 0;
    if (waits)
        (void)call_fail(&call->base, STATUS_UNAVAILABLE, "DRAINING", "the server ends this stream: begin another");
    pthread_mutex_unlock(&call->lock);
    if (on_finish != NULL)
        on_finish(&call->base);
    if (waits)
        rpc_call_end(call);
}

void rpc_call_release(struct rpc_call *call, enum status status, int64_t now)
{
    struct rpc_server *server = call->server;
    struct rpc_message *message;
    if (server->observe != NULL)
        server->observe(server->observe_arg, &call->base, status, now - call->started);
    if (call->request != NULL && rpc_call_is_dialog(call))
        protobuf_c_message_free_unpacked(call->request, NULL);
    call->request = NULL;
    while ((message = call->first) != NULL) { /* nobody else has it any more */
        call->first = message->next;
        rpc_message_free(message);
    }
    arena_done(&call->arena);
}
