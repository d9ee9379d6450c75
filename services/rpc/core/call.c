/* SPDX-License-Identifier: Apache-2.0 */
/* A call's life: it arrives in a slot, takes a call object out of the pool, and goes back there. */
#include "base/clock.h"
#include "rpc/core/core.h"

#include <stdlib.h>

static struct core_call *call_new(struct core_server *server)
{
    struct core_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        abort();
    call->server = server;
    rpc_call_init(&call->shared, server->shared);
    core_call_set_tags(call);
    grpc_metadata_array_init(&call->metadata);
    pthread_mutex_init(&call->lock, NULL);
    return call;
}

void core_call_free(struct core_call *call)
{
    grpc_metadata_array_destroy(&call->metadata);
    pthread_mutex_destroy(&call->lock);
    rpc_call_done(&call->shared);
    free(call);
}

static struct core_call *take_call(struct core_server *server)
{
    pthread_mutex_lock(&server->lock);
    struct core_call *call = server->idle;
    if (call != NULL) {
        server->idle = call->next_idle;
        server->idle_count--;
    }
    server->active++;
    pthread_mutex_unlock(&server->lock);
    return call != NULL ? call : call_new(server);
}

/* Under the server's lock. */
static void unlist(struct core_call *call)
{
    if (!call->is_listed)
        return;
    call->is_listed = false;
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        call->server->streams = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
}

static void list(struct core_call *call)
{
    struct core_server *server = call->server;
    pthread_mutex_lock(&server->lock);
    call->is_listed = true;
    call->previous = NULL;
    call->next = server->streams;
    if (server->streams != NULL)
        server->streams->previous = call;
    server->streams = call;
    pthread_mutex_unlock(&server->lock);
    if (atomic_load(&server->shared->is_draining)) /* the list has been gone through already, perhaps */
        rpc_call_finish(&call->shared);
}

static void give_back(struct core_call *call)
{
    struct core_server *server = call->server;
    pthread_mutex_lock(&server->lock);
    bool keep = server->idle_count < CORE_POOL_MAX;
    if (keep) {
        call->next_idle = server->idle;
        server->idle = call;
        server->idle_count++;
    }
    if (--server->active == 0)
        pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock); /* once no call is active, the server may be freed */
    if (!keep)
        core_call_free(call);
}

void core_call_ref(struct core_call *call)
{
    atomic_fetch_add_explicit(&call->refs, 1, memory_order_relaxed);
}

static enum status outcome(const struct core_call *call, int64_t now)
{
    if (!atomic_load(&call->shared.is_cancelled) && !call->was_cancelled)
        return call->shared.base.error.status;
    return now >= call->shared.base.deadline ? STATUS_DEADLINE_EXCEEDED : STATUS_CANCELLED;
}

/* One that waits for its end in core_streams_finish's list must not be found there any more: so the count falls to 0
 * under the lock where it is listed. */
static bool drop_ref(struct core_call *call)
{
    bool may_be_listed = call->shared.method != NULL && call->shared.method->server_streams;
    if (!may_be_listed)
        return atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) == 1;
    pthread_mutex_lock(&call->server->lock);
    bool is_last = atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) == 1;
    if (is_last)
        unlist(call);
    pthread_mutex_unlock(&call->server->lock);
    return is_last;
}

void core_call_unref(struct core_call *call)
{
    if (!drop_ref(call))
        return;
    int64_t now = clock_monotonic();
    rpc_call_release(&call->shared, outcome(call, now), now);
    grpc_call_unref(call->call);
    call->call = NULL;
    call->metadata.count = 0;
    give_back(call);
}

/* One that was not asked yet, with a reference; or NULL. */
static struct core_call *find_lasting(struct core_server *server)
{
    pthread_mutex_lock(&server->lock);
    struct core_call *call = server->streams;
    if (call != NULL) {
        core_call_ref(call);
        unlist(call);
    }
    pthread_mutex_unlock(&server->lock);
    return call;
}

void core_streams_finish(struct core_server *server)
{
    struct core_call *call;
    while ((call = find_lasting(server)) != NULL) {
        rpc_call_finish(&call->shared);
        core_call_unref(call);
    }
}

void core_slot_post(struct core_slot *slot)
{
    const struct core_method *method = slot->method;
    struct core_server *server = method->server;
    CORE_TSAN_RELEASE(&slot->tag);
    grpc_call_error error;
    if (method->method == NULL)
        error = grpc_server_request_call(server->server, &slot->call, &slot->details, &slot->metadata, server->queue,
                                         server->queue, &slot->tag);
    else
        error = grpc_server_request_registered_call(
            server->server, method->handle, &slot->call, &slot->deadline, &slot->metadata,
            method->method->client_streams ? NULL : &slot->payload, server->queue, server->queue, &slot->tag);
    if (error != GRPC_CALL_OK)
        abort(); /* a bug: arguments that do not fit the method's registration */
}

/* Takes over what the slot holds; its memory is kept. */
static struct core_call *take_slot(struct core_slot *slot)
{
    struct core_call *call = take_call(slot->method->server);
    rpc_call_begin(&call->shared, clock_monotonic());
    call->was_cancelled = 0;
    call->is_sending = call->has_sent_header = call->has_started_close = call->is_closed = false;
    call->identities[0] = NULL;
    atomic_store_explicit(&call->refs, 2, memory_order_relaxed); /* the handler's, and that of this thread */
    call->call = slot->call;
    grpc_metadata_array spare = call->metadata;
    call->metadata = slot->metadata;
    slot->metadata = spare;
    return call;
}

void core_slot_arrived(struct core_tag *tag, bool ok)
{
    struct core_slot *slot = RPC_CONTAINER(tag, struct core_slot, tag);
    if (!ok)
        return; /* the server is shutting down */
    const struct rpc_method *method = slot->method->method;
    struct core_call *call = take_slot(slot);
    grpc_byte_buffer *payload = slot->payload;
    slot->payload = NULL;
    grpc_slice path = method == NULL ? slot->details.method : grpc_empty_slice();
    gpr_timespec deadline = method == NULL ? slot->details.deadline : slot->deadline;
    if (method == NULL) {
        grpc_slice_unref(slot->details.host);
        grpc_call_details_init(&slot->details);
    }
    core_slot_post(slot);

    core_metadata_read(call, deadline);
    rpc_call_headers_done(&call->shared, method, (const char *)GRPC_SLICE_START_PTR(path), GRPC_SLICE_LENGTH(path));
    grpc_slice_unref(path);
    if (method != NULL && method->server_streams)
        list(call);
    if (payload != NULL)
        core_call_deliver(call, payload);
    if (method == NULL || !method->client_streams)
        rpc_call_half_closed(&call->shared);
    core_call_unref(call);
}
