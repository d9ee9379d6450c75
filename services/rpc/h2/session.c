/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW_MIN = 65535,
    CONNECTION_WINDOW = 1 << 20, /* given back at receipt: memory is bounded by what is counted */
    CONTINUATIONS = 8,
    RATE_NEVER = 1 << 20, /* nghttp2's own limit on resets, which says INTERNAL_ERROR: ours is before it */
    BOMB = 8,             /* times the header limit: nobody does this by mistake, */
    BOMBS_MAX = 3,        /* and not so often */
    BOMB_AT_ONCE = 128,   /* or like this */
};

static const uint8_t drain_ping[8] = "drained"; /* by which its answer is known */

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* One that says nothing, as a call does: there may be so many of them. */
static void count_idle_frame(struct h2_conn *conn)
{
    struct h2_loop *loop = conn->loop;
    if (!h2_rate_take(&conn->pings, loop->server->limits->max_pings_per_second, loop->now))
        h2_conn_refuse(conn, RPC_LIMIT_PINGS, NGHTTP2_ENHANCE_YOUR_CALM,
                       "too_many_pings"); /* as gRPC's clients know it */
}

static void count_reset(struct h2_conn *conn)
{
    struct h2_loop *loop = conn->loop;
    if (!h2_rate_take(&conn->resets, loop->server->limits->max_resets_per_second, loop->now))
        h2_conn_refuse(conn, RPC_LIMIT_RESETS, NGHTTP2_ENHANCE_YOUR_CALM, "too many resets");
}

/* nghttp2's callbacks, from here on: on the loop, within what reads or writes the session; user_data is the conn, which
 * none of them frees. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user_data)
{
    (void)session;
    bool is_busy = hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_CONTINUATION || hd->type == NGHTTP2_RST_STREAM ||
                   hd->type == NGHTTP2_WINDOW_UPDATE || hd->type == NGHTTP2_GOAWAY ||
                   (hd->type == NGHTTP2_DATA && (hd->length > 0 || (hd->flags & NGHTTP2_FLAG_END_STREAM)));
    if (!is_busy)
        count_idle_frame(user_data);
    return 0;
}

static void refuse_stream(struct h2_conn *conn, int32_t id, enum rpc_limit limit)
{
    h2_limits_met(&conn->loop->server->met, limit, conn->peer, NULL, conn->loop->now);
    nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
}

/* nghttp2's: a request begins, or trailers do. */
static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct h2_conn *conn = user_data;
    conn->heading = NULL;
    conn->stray_bytes = 0;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST || conn->is_refused)
        return 0;
    if (conn->live >= 2 * (unsigned)conn->loop->server->limits->max_calls_per_connection) {
        refuse_stream(conn, frame->hd.stream_id, RPC_LIMIT_CALLS);
    } else if (h2_conn_is_full(conn)) {
        refuse_stream(conn, frame->hd.stream_id, RPC_LIMIT_MEMORY);
    } else {
        h2_rate_give(&conn->pings); /* clients send PINGs along with calls, to learn how fast the way is */
        conn->heading = h2_stream_open(conn, frame->hd.stream_id);
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, conn->heading);
        h2_conn_watch(conn);
    }
    return 0;
}

bool h2_conn_bear_headers(struct h2_conn *conn, size_t total, size_t added)
{
    size_t limit = conn->loop->server->limits->max_header_bytes;
    if (total > BOMB * limit && total - added <= BOMB * limit)
        conn->bombs++;
    if (conn->bombs < BOMBS_MAX && total <= BOMB_AT_ONCE * limit)
        return true;
    h2_conn_refuse(conn, RPC_LIMIT_HEADERS, NGHTTP2_ENHANCE_YOUR_CALM, "header lists far beyond the limit");
    return false;
}

/* nghttp2's: one header; its texts are nghttp2's until this returns. */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t len, uint8_t flags, void *user_data)
{
    (void)session, (void)frame, (void)flags;
    struct h2_conn *conn = user_data;
    bool is_borne = true;
    if (conn->heading != NULL) {
        is_borne = h2_stream_header(conn->heading, (const char *)name, name_len, (const char *)value, len);
    } else {
        conn->stray_bytes += name_len + len + H2_HEADER_OVERHEAD;
        is_borne = h2_conn_bear_headers(conn, conn->stray_bytes, name_len + len + H2_HEADER_OVERHEAD);
    }
    return is_borne ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void on_headers(struct h2_conn *conn, const nghttp2_frame *frame)
{
    struct h2_stream *stream = conn->heading;
    if (stream != NULL)
        h2_stream_begin(stream);
    else
        stream = stream_of(conn->session, frame->hd.stream_id); /* a trailer, which only ends the request */
    conn->heading = NULL;
    if (stream != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        h2_stream_half_closed(stream);
}

static void on_ping(struct h2_conn *conn, const nghttp2_ping *ping)
{
    bool is_ours = (ping->hd.flags & NGHTTP2_FLAG_ACK) != 0 && memcmp(ping->opaque_data, drain_ping, 8) == 0;
    if (is_ours && conn->drains_at != 0 && conn->drains_at != INT64_MAX)
        h2_conn_say_last(conn);
}

/* nghttp2's: a frame is complete. */
static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct h2_conn *conn = user_data;
    struct h2_stream *stream;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        on_headers(conn, frame);
        break;
    case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && (stream = stream_of(session, frame->hd.stream_id)) != NULL)
            h2_stream_half_closed(stream);
        break;
    case NGHTTP2_SETTINGS:
        conn->is_greeted = true;
        break;
    case NGHTTP2_PING:
        on_ping(conn, &frame->ping);
        break;
    case NGHTTP2_RST_STREAM:
        count_reset(conn);
        break;
    default:
        break;
    }
    return 0;
}

/* nghttp2's: a piece of a request. */
static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
                   void *user_data)
{
    (void)flags, (void)user_data;
    struct h2_stream *stream = stream_of(session, id);
    nghttp2_session_consume_connection(session, len); /* or one slow stream would block all */
    if (stream != NULL)
        h2_stream_data(stream, data, len);
    return 0;
}

/* nghttp2 ends the connection, for the peer broke HTTP/2's rules: which one is in the GOAWAY. */
static void note_broken_rule(struct h2_conn *conn, const nghttp2_goaway *last)
{
    char why[64];
    if (conn->is_refused || last->error_code == NGHTTP2_NO_ERROR)
        return;
    snprintf(why, sizeof why, "%.*s", (int)last->opaque_data_len, (const char *)last->opaque_data);
    h2_limits_met(&conn->loop->server->met, RPC_LIMIT_PROTOCOL, conn->peer, why, conn->loop->now);
}

/* nghttp2's: a frame is on its way. */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct h2_conn *conn = user_data;
    uint32_t code = frame->hd.type == NGHTTP2_RST_STREAM ? frame->rst_stream.error_code : NGHTTP2_NO_ERROR;
    if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_REFUSED_STREAM && code != NGHTTP2_CANCEL)
        count_reset(conn); /* the peer made us do it */
    if (frame->hd.type == NGHTTP2_GOAWAY)
        note_broken_rule(conn, &frame->goaway);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    h2_rate_init(&conn->pings, conn->loop->server->limits->max_pings_per_second, conn->loop->now);
    if (frame->hd.type == NGHTTP2_DATA || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream == NULL)
        return 0;
    stream->is_sent = true;
    if (!stream->is_half_closed) /* it need not go on; not before the answer, or that might be dropped */
        h2_stream_reset(stream, NGHTTP2_NO_ERROR);
    return 0;
}

/* nghttp2's: from here on it does not know the stream. */
static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
    (void)code;
    struct h2_conn *conn = user_data;
    struct h2_stream *stream = stream_of(session, id);
    if (stream == NULL)
        return 0;
    if (conn->heading == stream)
        conn->heading = NULL;
    h2_stream_closed(stream);
    return 0;
}

nghttp2_session_callbacks *h2_session_callbacks(void)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        abort();
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    return callbacks;
}

nghttp2_option *h2_session_option(void)
{
    nghttp2_option *option;
    if (nghttp2_option_new(&option) != 0)
        abort();
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_continuations(option, CONTINUATIONS);
    nghttp2_option_set_stream_reset_rate_limit(option, RATE_NEVER, RATE_NEVER);
    return option;
}

void h2_session_begin(struct h2_conn *conn)
{
    struct h2_server *server = conn->loop->server;
    const struct rpc_limits *limits = server->limits;
    size_t message = limits->max_message_bytes + RPC_PREFIX;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)limits->max_calls_per_connection},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)(message > WINDOW_MIN ? message : WINDOW_MIN)},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->max_header_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    h2_nest_init(&conn->nest, &conn->loop->pool);
    nghttp2_mem mem = h2_nest_mem(&conn->nest); /* nghttp2 keeps a copy */
    if (nghttp2_session_server_new3(&conn->session, server->callbacks, conn, server->option, &mem) != 0)
        abort();
    nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
    nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
    h2_conn_mark(conn);
}

bool h2_session_feed(struct h2_conn *conn, const uint8_t *bytes, size_t len)
{
    ssize_t used = nghttp2_session_mem_recv(conn->session, bytes, len);
    if (used < 0 && !conn->is_refused) {
        enum rpc_limit limit = used == NGHTTP2_ERR_FLOODED ? RPC_LIMIT_PINGS : RPC_LIMIT_PROTOCOL;
        h2_conn_refuse(conn, limit, NGHTTP2_PROTOCOL_ERROR, nghttp2_strerror((int)used));
    }
    h2_conn_mark(conn);
    return !conn->is_refused;
}

void h2_session_notice(struct h2_conn *conn)
{
    nghttp2_submit_shutdown_notice(conn->session);
    nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, drain_ping);
}
