/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/stream.h"

#include <stdlib.h>

enum { POOL_MAX = 256 };

const struct h2_refusal h2_is_full = {STATUS_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                                      "too much of this connection waits in memory"};
const struct h2_refusal h2_is_late = {STATUS_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "the deadline has passed"};
const struct h2_refusal h2_is_draining = {STATUS_UNAVAILABLE, "DRAINING", "the server is shutting down"};
const struct h2_refusal h2_is_aged = {STATUS_UNAVAILABLE, "DRAINING", "the connection has reached its age"};
const struct h2_refusal h2_is_untrusted = {STATUS_UNAUTHENTICATED, "CALLER_UNKNOWN",
                                           "the client's certificate does not count any more"};
const struct h2_refusal h2_is_stalled = {STATUS_DEADLINE_EXCEEDED, "REQUEST_STALLED",
                                         "the rest of the request did not come"};

/* The stream's timer, on its loop. */
static void on_deadline(struct h2_timer *timer)
{
    h2_stream_refuse(RPC_CONTAINER(timer, struct h2_stream, timer), &h2_is_late);
}

static struct h2_stream *take_object(struct h2_loop *loop)
{
    struct h2_stream *stream = loop->idle;
    if (stream != NULL) {
        loop->idle = stream->next_idle;
        loop->idle_count--;
        return stream;
    }
    stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        abort();
    stream->loop = loop;
    stream->timer.run = on_deadline;
    rpc_call_init(&stream->shared, loop->server->shared);
    return stream;
}

void h2_stream_free(struct h2_stream *stream)
{
    rpc_call_done(&stream->shared);
    free(stream);
}

static void renew(struct h2_stream *stream)
{
    stream->ready = 0;
    stream->method = NULL;
    stream->path = "";
    stream->path_len = 0;
    stream->header_bytes = 0;
    stream->timeout = INT64_MAX;
    stream->is_post = stream->is_grpc = stream->has_encoding = stream->has_bad_timeout = stream->has_bad_headers =
        false;
    stream->is_begun = stream->is_half_closed = stream->wants_message = false;
    stream->body_len = 0;
    stream->queued = 0;
    stream->has_answer = stream->has_trailer = stream->is_sent = stream->is_reset = false;
    stream->stuck_at = 0;
    stream->refusal = NULL;
    stream->is_open = true;
    stream->is_handler_done = stream->is_cancelled = false;
}

struct h2_stream *h2_stream_open(struct h2_conn *conn, int32_t id)
{
    struct h2_loop *loop = conn->loop;
    struct h2_stream *stream = take_object(loop);
    renew(stream);
    stream->conn = conn;
    stream->id = id;
    stream->heard_at = loop->now;
    rpc_call_begin(&stream->shared, loop->now);
    stream->shared.base.peer = conn->peer;
    if (conn->identities != NULL)
        stream->shared.base.identities = conn->identities;
    stream->previous = NULL;
    stream->next = conn->streams;
    if (conn->streams != NULL)
        conn->streams->previous = stream;
    conn->streams = stream;
    conn->open++;
    conn->live++;
    loop->live++;
    return stream;
}

static void cancel(struct h2_stream *stream)
{
    if (stream->is_cancelled)
        return;
    stream->is_cancelled = true;
    rpc_call_cancelled(&stream->shared);
}

void h2_stream_closed(struct h2_stream *stream)
{
    struct h2_conn *conn = stream->conn;
    stream->is_open = false;
    if (stream->previous != NULL)
        stream->previous->next = stream->next;
    else
        conn->streams = stream->next;
    if (stream->next != NULL)
        stream->next->previous = stream->previous;
    conn->open--;
    h2_timer_clear(&stream->loop->timers, &stream->timer);
    h2_stream_drop_out(stream);
    h2_stream_drop_body(stream, false);
    h2_conn_let_go(conn, stream->queued);
    stream->queued = 0;
    if (!stream->is_sent)
        cancel(stream);
    h2_stream_list(stream, 0);
}

void h2_stream_reset(struct h2_stream *stream, uint32_t code)
{
    if (!stream->is_open || stream->is_reset)
        return;
    stream->is_reset = true;
    nghttp2_submit_rst_stream(stream->conn->session, NGHTTP2_FLAG_NONE, stream->id, code);
    h2_conn_mark(stream->conn);
}

void h2_stream_refuse(struct h2_stream *stream, const struct h2_refusal *refusal)
{
    if (!stream->is_open || stream->has_trailer || stream->refusal != NULL)
        return;
    stream->refusal = refusal;
    if (!stream->shared.is_invoked &&
        !rpc_call_is_dialog(&stream->shared)) /* nobody else has it: so say it in the log */
        (void)call_fail(&stream->shared.base, refusal->status, refusal->reason, "%s", refusal->message);
    /* What is under way goes out first; no trailer can follow a part of a message. */
    if (stream->out == NULL || h2_stream_has_window(stream))
        h2_stream_send(stream);
    else
        h2_stream_reset(stream,
                        refusal->status == STATUS_RESOURCE_EXHAUSTED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_CANCEL);
    cancel(stream);
}

void h2_stream_check(struct h2_stream *stream)
{
    struct h2_server *server = stream->loop->server;
    const struct rpc_limits *limits = server->limits;
    int64_t now = stream->loop->now;
    if (stream->stuck_at != 0 && now - stream->stuck_at >= limits->answer_timeout_ms * 1000) {
        h2_limits_met(&server->met, RPC_LIMIT_ANSWER, stream->conn->peer, "the window stays closed", now);
        h2_stream_reset(stream, NGHTTP2_CANCEL);
        return;
    }
    bool is_dialog = rpc_call_is_dialog(&stream->shared);
    if (stream->is_half_closed || is_dialog || stream->has_trailer || stream->refusal != NULL ||
        now - stream->heard_at < limits->progress_timeout_ms * 1000)
        return;
    h2_limits_met(&server->met, RPC_LIMIT_PROGRESS, stream->conn->peer, h2_is_stalled.message, now);
    if (stream->is_begun)
        h2_stream_refuse(stream, &h2_is_stalled);
    else
        h2_conn_refuse(stream->conn, RPC_LIMIT_PROGRESS, NGHTTP2_ENHANCE_YOUR_CALM, "headers that do not end");
}

void h2_stream_list(struct h2_stream *stream, unsigned ready)
{
    struct h2_loop *loop = stream->loop;
    stream->ready |= ready;
    if (stream->is_listed)
        return;
    stream->is_listed = true;
    stream->next_ready = NULL;
    *loop->ready_end = stream;
    loop->ready_end = &stream->next_ready;
}

static enum status outcome(const struct h2_stream *stream, int64_t now)
{
    if (stream->refusal != NULL)
        return stream->refusal->status;
    if (stream->is_cancelled)
        return now >= stream->shared.base.deadline ? STATUS_DEADLINE_EXCEEDED : STATUS_CANCELLED;
    return stream->shared.base.error.status;
}

static void give_back(struct h2_stream *stream)
{
    struct h2_loop *loop = stream->loop;
    struct h2_conn *conn = stream->conn;
    rpc_call_release(&stream->shared, outcome(stream, loop->round_at), loop->round_at);
    loop->live--;
    h2_conn_unref(conn);
    if (loop->idle_count == POOL_MAX) {
        h2_stream_free(stream);
        return;
    }
    stream->next_idle = loop->idle;
    loop->idle = stream;
    loop->idle_count++;
}

/* What its handler has said and nobody has read yet counts; who says more when there is too much of it is ended. */
static void count_queue(struct h2_stream *stream)
{
    struct h2_conn *conn = stream->conn;
    size_t queued = rpc_call_queued(&stream->shared), before = stream->queued;
    stream->queued = queued;
    if (queued < before) {
        h2_conn_let_go(conn, before - queued);
        return;
    }
    h2_conn_hold(conn, queued - before);
    if (queued == before || !h2_conn_is_full(conn) || stream->refusal != NULL)
        return;
    h2_limits_met(&stream->loop->server->met, RPC_LIMIT_MEMORY, conn->peer, NULL, stream->loop->now);
    h2_stream_refuse(stream, &h2_is_full);
}

void h2_stream_run(struct h2_stream *stream)
{
    unsigned ready = stream->ready;
    stream->ready = 0;
    if (ready & H2_LAST)
        stream->is_handler_done = true;
    if (ready & H2_WAKE)
        h2_stream_send(stream);
    if ((ready & (H2_WAKE | H2_TAKEN)) && stream->is_open && stream->method != NULL && stream->method->server_streams)
        count_queue(stream);
    if ((ready & H2_READ) && !stream->is_handler_done)
        h2_stream_read(stream);
    if ((ready & H2_TAKEN) && !stream->is_handler_done)
        rpc_call_taken(&stream->shared);
    bool is_known = stream->is_listed || atomic_load_explicit(&stream->posted, memory_order_acquire) != 0;
    if (stream->is_handler_done && !stream->is_open && !is_known)
        give_back(stream);
}

/* From any thread. While there are bits, the stream is on the loop's list or is about to be put there, and is not given
 * back before it was taken off. */
static void mark(struct h2_stream *stream, unsigned ready)
{
    if (h2_loop_is_here(stream->loop))
        h2_stream_list(stream, ready);
    else if (atomic_fetch_or_explicit(&stream->posted, ready, memory_order_acq_rel) == 0)
        h2_loop_post(stream->loop, stream);
}

void h2_stream_wake(struct rpc_call *call, bool is_last)
{
    mark((struct h2_stream *)call, is_last ? H2_WAKE | H2_LAST : H2_WAKE);
}

void h2_stream_read_next(struct rpc_call *call)
{
    mark((struct h2_stream *)call, H2_READ);
}
