/* SPDX-License-Identifier: Apache-2.0 */
/* What comes of a call: headers, messages, the client's last word. */
#include "rpc/h2/stream.h"
#include "rpc/h2/wire.h"

#include <stdlib.h>
#include <string.h>

enum {
    COMPRESSED = 1,
    BODY_MIN = 256,
};

static const struct h2_refusal is_compressed = {STATUS_UNIMPLEMENTED, "COMPRESSED_MESSAGE",
                                                "the server takes no compressed message"};
static const struct h2_refusal is_too_large = {STATUS_RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE",
                                               "the message is larger than the server takes"};
static const struct h2_refusal is_garbled = {STATUS_INTERNAL, "BAD_FRAMING", "the request is not a whole gRPC message"};

static bool is_name(const char *name, size_t len, const char *wanted, size_t wanted_len)
{
    return len == wanted_len && memcmp(name, wanted, len) == 0;
}
#define IS_NAME(literal) is_name(name, name_len, literal, sizeof(literal) - 1)
#define IS_VALUE(literal) is_name(value, len, literal, sizeof(literal) - 1)

static void read_path(struct h2_stream *stream, const char *value, size_t len)
{
    stream->method = rpc_registry_find(&stream->shared.server->registry, value, len);
    if (stream->method != NULL)
        return;
    stream->path = arena_try_copy(&stream->shared.arena, value, len);
    stream->path_len = stream->path != NULL ? len : 0;
}

bool h2_stream_header(struct h2_stream *stream, const char *name, size_t name_len, const char *value, size_t len)
{
    size_t size = name_len + len + H2_HEADER_OVERHEAD;
    stream->header_bytes += size;
    if (stream->header_bytes > stream->loop->server->limits->max_header_bytes) {
        stream->has_bad_headers = true;
        return h2_conn_bear_headers(stream->conn, stream->header_bytes, size);
    }
    if (IS_NAME(":path"))
        read_path(stream, value, len);
    else if (IS_NAME(":method"))
        stream->is_post = IS_VALUE("POST");
    else if (IS_NAME("content-type"))
        stream->is_grpc = h2_wire_is_grpc(value, len);
    else if (IS_NAME("grpc-encoding"))
        stream->has_encoding = !IS_VALUE("identity");
    else if (IS_NAME("grpc-timeout"))
        stream->has_bad_timeout = !h2_wire_timeout(value, len, &stream->timeout);
    else
        rpc_call_header(&stream->shared, name, name_len, value, len);
    return true;
}

/* It is no call at all: it is answered in HTTP's own way. */
static void refuse_http(struct h2_stream *stream, const char *status)
{
    (void)call_fail(&stream->shared.base, STATUS_UNIMPLEMENTED, "NO_GRPC", "the request is none of gRPC's");
    h2_stream_send_http(stream, status);
    rpc_call_headers_done(&stream->shared, stream->method, stream->path, stream->path_len);
}

static void set_deadline(struct h2_stream *stream)
{
    int64_t now = stream->loop->now;
    if (stream->timeout == INT64_MAX)
        return;
    stream->shared.base.deadline = now + stream->timeout;
    h2_timer_set(&stream->loop->timers, &stream->timer, now + stream->timeout);
}

void h2_stream_begin(struct h2_stream *stream)
{
    struct call *call = &stream->shared.base;
    struct h2_server *server = stream->loop->server;
    stream->is_begun = true;
    if (stream->has_bad_headers) {
        h2_limits_met(&server->met, RPC_LIMIT_HEADERS, stream->conn->peer, NULL, stream->loop->now);
        (void)call_fail(call, STATUS_RESOURCE_EXHAUSTED, "METADATA_TOO_LARGE",
                        "the metadata is larger than the server takes");
    } else if (!stream->is_post) {
        refuse_http(stream, "405");
        return;
    } else if (!stream->is_grpc) {
        refuse_http(stream, "415");
        return;
    } else if (stream->has_bad_timeout) {
        (void)call_fail(call, STATUS_INVALID_ARGUMENT, "BAD_TIMEOUT", "grpc-timeout cannot be read");
    }
    set_deadline(stream);
    rpc_call_headers_done(&stream->shared, stream->method, stream->path, stream->path_len);
    if (stream->conn->is_finishing && rpc_call_is_dialog(&stream->shared))
        rpc_call_finish(&stream->shared);
}

/* A message's length with its prefix. False: it is refused. */
static bool measure(struct h2_stream *stream, const uint8_t *prefix, size_t *ret_len)
{
    struct h2_server *server = stream->loop->server;
    size_t len = (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | prefix[4];
    *ret_len = RPC_PREFIX + len;
    if (len > server->limits->max_message_bytes) {
        h2_limits_met(&server->met, RPC_LIMIT_MESSAGE, stream->conn->peer, NULL, stream->loop->now);
        h2_stream_refuse(stream, &is_too_large);
        return false;
    }
    if (prefix[0] == 0)
        return true;
    h2_stream_refuse(stream, prefix[0] == COMPRESSED && stream->has_encoding ? &is_compressed : &is_garbled);
    return false;
}

static void resize_body(struct h2_stream *stream, size_t room)
{
    uint8_t *body = malloc(room);
    if (body == NULL)
        abort();
    if (stream->body_len > 0)
        memcpy(body, stream->body, stream->body_len);
    h2_conn_hold(stream->conn, room);
    h2_stream_drop_body(stream, true);
    stream->body = body;
    stream->body_room = room;
}

void h2_stream_drop_body(struct h2_stream *stream, bool keep_len)
{
    if (stream->body != NULL) {
        explicit_bzero(stream->body, stream->body_len);
        h2_conn_let_go(stream->conn, stream->body_room);
        free(stream->body);
    }
    stream->body = NULL;
    stream->body_room = 0;
    stream->body_len = keep_len ? stream->body_len : 0;
}

/* The room grows as bytes arrive, never by what was announced. False: there is none. */
static bool append(struct h2_stream *stream, const uint8_t *data, size_t len)
{
    struct h2_server *server = stream->loop->server;
    size_t needed = stream->body_len + len, room = stream->body_room == 0 ? BODY_MIN : stream->body_room;
    while (room < needed)
        room *= 2;
    if (room > stream->body_room) {
        if (h2_conn_is_full(stream->conn)) {
            h2_limits_met(&server->met, RPC_LIMIT_MEMORY, stream->conn->peer, NULL, stream->loop->now);
            h2_stream_refuse(stream, &h2_is_full);
            return false;
        }
        resize_body(stream, room);
    }
    memcpy(stream->body + stream->body_len, data, len);
    stream->body_len += len;
    return true;
}

/* Hands over a message; the window that it took is given back, but not that of a unary call, which has one message. */
static void deliver(struct h2_stream *stream, const uint8_t *bytes, size_t len)
{
    bool is_dialog = rpc_call_is_dialog(&stream->shared);
    if (is_dialog)
        stream->wants_message = false;
    rpc_call_message(&stream->shared, bytes + RPC_PREFIX, len - RPC_PREFIX);
    if (is_dialog && stream->is_open)
        nghttp2_session_consume_stream(stream->conn->session, stream->id, len);
}

static bool can_deliver(const struct h2_stream *stream)
{
    return stream->refusal == NULL && (stream->wants_message || !rpc_call_is_dialog(&stream->shared));
}

/* Takes the first whole message out of the body. False: there is none. */
static bool deliver_stored(struct h2_stream *stream)
{
    size_t len;
    if (stream->body_len < RPC_PREFIX || !measure(stream, stream->body, &len) || stream->body_len < len)
        return false;
    deliver(stream, stream->body, len);
    stream->body_len -= len;
    memmove(stream->body, stream->body + len, stream->body_len);
    if (stream->body_len == 0)
        h2_stream_drop_body(stream, false);
    return true;
}

void h2_stream_data(struct h2_stream *stream, const uint8_t *data, size_t len)
{
    stream->heard_at = stream->loop->now;
    /* What is on its way out has no use for it. */
    bool is_over = stream->shared.is_invoked && !rpc_call_is_dialog(&stream->shared);
    if (is_over || stream->refusal != NULL || stream->has_trailer)
        return;
    /* The common case: no copy. */
    while (len >= RPC_PREFIX && stream->body_len == 0 && can_deliver(stream)) {
        size_t whole;
        if (!measure(stream, data, &whole))
            return;
        if (whole > len)
            break;
        deliver(stream, data, whole);
        data += whole;
        len -= whole;
    }
    if (len == 0 || stream->refusal != NULL || !append(stream, data, len))
        return;
    while (can_deliver(stream) && deliver_stored(stream))
        ;
}

/* The client has said its last, and all of it was handed over. */
static void end_request(struct h2_stream *stream)
{
    stream->wants_message = false;
    if (stream->body_len > 0)
        h2_stream_refuse(stream, &is_garbled);
    else
        rpc_call_half_closed(&stream->shared);
    if (stream->conn->is_finishing && stream->method != NULL && stream->method->server_streams)
        rpc_call_finish(&stream->shared);
}

void h2_stream_half_closed(struct h2_stream *stream)
{
    stream->is_half_closed = true;
    if (stream->refusal == NULL && can_deliver(stream))
        end_request(stream);
}

void h2_stream_read(struct h2_stream *stream)
{
    stream->wants_message = true;
    if (!can_deliver(stream) || !stream->is_open)
        return;
    if (!deliver_stored(stream) && stream->is_half_closed && stream->refusal == NULL)
        end_request(stream);
}
