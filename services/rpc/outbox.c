/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/outbox.h"

static void drop_queue(struct rpc_call *call)
{
    while (call->first != NULL) {
        struct rpc_message *message = call->first;
        call->first = message->next;
        rpc_message_free(message);
    }
    call->last = NULL;
    call->count = 0;
    call->queued = 0;
}

static void push(struct rpc_call *call, struct rpc_message *message)
{
    if (call->last != NULL)
        call->last->next = message;
    else
        call->first = message;
    call->last = message;
    call->count++;
    call->queued += message->len;
}

void rpc_call_tell_cancelled(struct rpc_call *call)
{
    if (call->base.on_cancel != NULL && !atomic_exchange(&call->cancel_told, true))
        call->base.on_cancel(&call->base);
}

void rpc_call_end(struct rpc_call *call)
{
    pthread_mutex_lock(&call->lock);
    bool is_last = !call->is_ended && call->busy == 0; /* else whoever is busy says so */
    call->is_ended = true;
    pthread_mutex_unlock(&call->lock);
    if (is_last)
        call->server->transport->wake(call, true);
}

static void free_request(struct rpc_call *call)
{
    if (call->request != NULL)
        protobuf_c_message_free_unpacked(call->request, NULL);
    call->request = NULL;
}

static void fail_silent(struct rpc_call *call)
{
    (void)call_fail(&call->base, STATUS_INTERNAL, "INTERNAL", "internal error"); /* unless it said why */
}

static void answer_unary(struct rpc_call *call, const ProtobufCMessage *response)
{
    struct rpc_message *message = NULL;
    if (response == NULL)
        fail_silent(call);
    else if (call->base.error.status == STATUS_OK)
        message = rpc_message_pack(response, &call->arena);
    pthread_mutex_lock(&call->lock);
    if (message != NULL)
        push(call, message);
    call->is_ended = true;
    pthread_mutex_unlock(&call->lock);
    call->server->transport->wake(call, true);
}

/* One answer a request is owed, and the call is the layer's own as soon as it is given. */
static void answer_request(struct rpc_call *call, const ProtobufCMessage *response)
{
    struct rpc_message *message = NULL;
    if (response == NULL)
        fail_silent(call);
    else
        message = rpc_message_pack(response, NULL);
    free_request(call);
    pthread_mutex_lock(&call->lock);
    call->busy++;
    bool is_over = message == NULL || call->is_dead;
    if (is_over && message != NULL)
        rpc_message_free(message);
    else if (message != NULL)
        push(call, message);
    call->has_request = false;
    pthread_mutex_unlock(&call->lock);
    if (is_over)
        rpc_call_end(call);
    else
        call->server->transport->wake(call, false);
    rpc_call_proceed(call);
    pthread_mutex_lock(&call->lock);
    bool is_last = --call->busy == 0 && call->is_ended;
    pthread_mutex_unlock(&call->lock);
    if (is_last)
        call->server->transport->wake(call, true);
}

static void answer_stream(struct rpc_call *call, struct rpc_message *message)
{
    pthread_mutex_lock(&call->lock);
    bool is_dead = call->is_dead || call->is_ended;
    bool is_full = !is_dead && call->count == RPC_STREAM_QUEUE;
    if (is_full) { /* a reader this slow is given up, rather than remembered for ever */
        (void)call_fail(&call->base, STATUS_RESOURCE_EXHAUSTED, "SLOW_READER", "too many unread messages");
        call->is_dead = true;
    } else if (!is_dead) {
        push(call, message);
    }
    pthread_mutex_unlock(&call->lock);
    if (is_dead || is_full)
        rpc_message_free(message);
    else
        call->server->transport->wake(call, false);
    if (is_full)
        rpc_call_tell_cancelled(call);
}

void rpc_call_answer(const ProtobufCMessage *response, void *data)
{
    struct rpc_call *call = data;
    if (call->method->client_streams && !call->is_conversing)
        answer_request(call, response);
    else if (!call->method->server_streams)
        answer_unary(call, response);
    else if (response != NULL)
        answer_stream(call, rpc_message_pack(response, NULL));
    else
        rpc_call_end(call);
}

void rpc_call_send(struct call *base, struct call_packed *packed)
{
    answer_stream((struct rpc_call *)base, rpc_message_share(packed));
}

void rpc_call_proceed(struct rpc_call *call)
{
    pthread_mutex_lock(&call->lock);
    bool waits = rpc_call_is_dialog(call) && !call->is_conversing && !call->is_ended && !call->has_request &&
                 !call->is_asked && call->count == 0;
    bool is_over = call->is_dead || call->is_half_closed || call->is_finishing;
    if (waits && is_over && !call->is_dead && !call->is_half_closed)
        (void)call_fail(&call->base, STATUS_UNAVAILABLE, "DRAINING", "the server ends this stream: begin another");
    if (waits && !is_over)
        call->is_asked = true;
    pthread_mutex_unlock(&call->lock);
    if (waits && is_over)
        rpc_call_end(call);
    else if (waits)
        call->server->transport->read_next(call);
}

enum rpc_take rpc_call_take(struct rpc_call *call, struct rpc_message **ret_message)
{
    enum rpc_take taken = RPC_TAKE_NOTHING;
    pthread_mutex_lock(&call->lock);
    if (call->is_dead)
        drop_queue(call);
    struct rpc_message *message = call->first;
    if (message != NULL) {
        taken = RPC_TAKE_MESSAGE;
        call->first = message->next;
        if (call->first == NULL)
            call->last = NULL;
        call->count--;
        call->queued -= message->len;
        *ret_message = message;
    } else if (call->is_ended) {
        taken = RPC_TAKE_STATUS;
    }
    pthread_mutex_unlock(&call->lock);
    return taken;
}

size_t rpc_call_queued(struct rpc_call *call)
{
    pthread_mutex_lock(&call->lock);
    size_t queued = call->queued;
    pthread_mutex_unlock(&call->lock);
    return queued;
}

void rpc_call_taken(struct rpc_call *call)
{
    pthread_mutex_lock(&call->lock);
    bool is_ready = call->count == 0 && !call->is_ended && !call->is_dead;
    void (*on_ready)(struct call *) = is_ready ? call->on_ready : NULL;
    bool reads = is_ready && call->reads_later;
    call->reads_later = call->reads_later && !reads;
    call->is_asked = call->is_asked || reads;
    pthread_mutex_unlock(&call->lock);
    if (reads)
        call->server->transport->read_next(call);
    rpc_call_proceed(call);
    if (on_ready != NULL)
        on_ready(&call->base);
}

/* For handlers. */

void rpc_call_on_ready(struct call *base, void (*on_ready)(struct call *call))
{
    struct rpc_call *call = (struct rpc_call *)base;
    pthread_mutex_lock(&call->lock);
    call->on_ready = on_ready;
    pthread_mutex_unlock(&call->lock);
}

bool rpc_call_has_room(const struct call *base)
{
    struct rpc_call *call = (struct rpc_call *)(uintptr_t)base;
    pthread_mutex_lock(&call->lock);
    bool has_room = call->count < RPC_STREAM_QUEUE && call->queued < RPC_STREAM_BYTES && !call->is_dead;
    pthread_mutex_unlock(&call->lock);
    return has_room;
}

void rpc_call_on_finish(struct call *base, void (*on_finish)(struct call *call))
{
    struct rpc_call *call = (struct rpc_call *)base;
    pthread_mutex_lock(&call->lock);
    call->on_finish = on_finish;
    bool is_late = call->is_finishing;
    pthread_mutex_unlock(&call->lock);
    if (is_late)
        on_finish(base);
}

void rpc_call_converse(struct call *base, void (*on_half_closed)(struct call *call))
{
    struct rpc_call *call = (struct rpc_call *)base;
    pthread_mutex_lock(&call->lock);
    call->is_conversing = true;
    call->on_half_closed = on_half_closed;
    pthread_mutex_unlock(&call->lock);
}

void rpc_call_read_next(struct call *base)
{
    struct rpc_call *call = (struct rpc_call *)base;
    free_request(call);
    pthread_mutex_lock(&call->lock);
    bool can_read = !call->is_asked && !call->is_half_closed && !call->is_ended && !call->is_dead;
    bool is_later = can_read && call->count > 0;
    can_read = can_read && !is_later;
    call->has_request = false;
    call->reads_later = call->reads_later || is_later;
    call->is_asked = call->is_asked || can_read;
    pthread_mutex_unlock(&call->lock);
    if (can_read)
        call->server->transport->read_next(call);
}
