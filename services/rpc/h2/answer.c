/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent of a call: header, messages, trailer. */
#include "rpc/details.h"
#include "rpc/h2/stream.h"
#include "rpc/h2/wire.h"

#include <stdio.h>
#include <string.h>

#define CONSTANT(header_name, header_value) \
    {(uint8_t *)(uintptr_t)(header_name), (uint8_t *)(uintptr_t)(header_value), sizeof(header_name) - 1, \
     sizeof(header_value) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}

static const nghttp2_nv header[] = {CONSTANT(":status", "200"), CONSTANT("content-type", "application/grpc")};
static const nghttp2_nv trailer_ok[] = {CONSTANT("grpc-status", "0")};
static const nghttp2_nv accepted_encoding = CONSTANT("grpc-accept-encoding", "identity");

/* One that is sent once is not to push others out of HPACK's table. */
static nghttp2_nv once(const char *name, const char *value, size_t len)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), len,
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX};
}

static void fill_error(const struct h2_stream *stream, struct call_error *error)
{
    const struct h2_refusal *refusal = stream->refusal;
    if (refusal == NULL) {
        *error = stream->shared.base.error;
    } else { /* the handler may be at its own on another thread */
        *error = (struct call_error){.status = refusal->status};
        snprintf(error->reason, sizeof error->reason, "%s", refusal->reason);
        snprintf(error->message, sizeof error->message, "%s", refusal->message);
    }
    rpc_error_clean(error);
}

/* is_all: there is neither header nor message before it. */
static void submit_error(struct h2_stream *stream, bool is_all)
{
    struct call_error error;
    uint8_t details[RPC_DETAILS_MAX];
    char message[3 * CALL_MESSAGE_MAX], encoded[(RPC_DETAILS_MAX + 2) / 3 * 4], number[12];
    fill_error(stream, &error);
    size_t message_len = h2_wire_percent(error.message, strlen(error.message), message);
    size_t encoded_len = h2_wire_base64(details, rpc_details_format(&error, details), encoded);
    size_t number_len = (size_t)snprintf(number, sizeof number, "%d", (int)error.status);
    nghttp2_nv all[8];
    size_t count = 0;
    if (is_all) {
        all[count++] = header[0];
        all[count++] = header[1];
    }
    all[count++] = once("grpc-status", number, number_len);
    all[count++] = once("grpc-message", message, message_len);
    all[count++] = once("grpc-status-details-bin", encoded, encoded_len);
    if (stream->shared.base.request_id[0] != '\0')
        all[count++] = once("x-request-id", stream->shared.base.request_id, strlen(stream->shared.base.request_id));
    if (error.status == STATUS_UNIMPLEMENTED)
        all[count++] = accepted_encoding;
    if (is_all)
        nghttp2_submit_response(stream->conn->session, stream->id, all, count, NULL);
    else
        nghttp2_submit_trailer(stream->conn->session, stream->id, all, count);
}

static void submit_end(struct h2_stream *stream, bool is_all)
{
    nghttp2_session *session = stream->conn->session;
    bool is_ok = stream->refusal == NULL && stream->shared.base.error.status == STATUS_OK;
    stream->has_trailer = true;
    stream->stuck_at = 0;
    if (!is_ok) {
        submit_error(stream, is_all);
    } else if (is_all) {
        const nghttp2_nv all[] = {header[0], header[1], trailer_ok[0]};
        nghttp2_submit_response(session, stream->id, all, 3, NULL);
    } else {
        nghttp2_submit_trailer(session, stream->id, trailer_ok, 1);
    }
}

void h2_stream_drop_out(struct h2_stream *stream)
{
    if (stream->out == NULL)
        return;
    h2_conn_let_go(stream->conn, stream->out->len);
    rpc_message_free(stream->out);
    stream->out = NULL;
}

static void set_out(struct h2_stream *stream, struct rpc_message *message)
{
    stream->out = message;
    stream->out_at = 0;
    h2_conn_hold(stream->conn, message->len);
}

/* Makes sure that there is something under way. */
static enum rpc_take take(struct h2_stream *stream)
{
    struct rpc_message *message = NULL;
    if (stream->out != NULL)
        return RPC_TAKE_MESSAGE;
    if (stream->refusal != NULL)
        return RPC_TAKE_STATUS;
    enum rpc_take taken = rpc_call_take(&stream->shared, &message);
    if (taken == RPC_TAKE_MESSAGE)
        set_out(stream, message);
    return taken;
}

/* nghttp2 asks for what goes into a DATA frame. */
static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *data, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *user_data)
{
    (void)session, (void)id, (void)user_data;
    struct h2_stream *stream = source->ptr;
    size_t len = 0;
    enum rpc_take taken;
    /* One look more than there is room for: the status needs none, and the window may be used up. */
    while ((taken = take(stream)) == RPC_TAKE_MESSAGE && len < room) {
        size_t piece = stream->out->len - stream->out_at;
        piece = piece < room - len ? piece : room - len;
        rpc_message_copy(stream->out, stream->out_at, data + len, piece);
        len += piece;
        stream->out_at += piece;
        if (stream->out_at < stream->out->len)
            continue;
        h2_stream_drop_out(stream);
        if (stream->method->server_streams)
            h2_stream_list(stream, H2_TAKEN);
    }
    stream->stuck_at = taken == RPC_TAKE_MESSAGE ? stream->loop->now : 0;
    if (taken == RPC_TAKE_STATUS) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        submit_end(stream, false);
        return (ssize_t)len;
    }
    return len > 0 ? (ssize_t)len : NGHTTP2_ERR_DEFERRED;
}

bool h2_stream_has_window(const struct h2_stream *stream)
{
    nghttp2_session *session = stream->conn->session;
    return nghttp2_session_get_stream_remote_window_size(session, stream->id) > 0 &&
           nghttp2_session_get_remote_window_size(session) > 0;
}

void h2_stream_send(struct h2_stream *stream)
{
    if (!stream->is_open || stream->has_trailer || stream->is_reset)
        return;
    h2_conn_mark(stream->conn);
    if (stream->stuck_at == 0)
        stream->stuck_at = stream->loop->now;
    if (stream->has_answer && h2_stream_has_window(stream)) {
        (void)!nghttp2_session_resume_data(stream->conn->session, stream->id); /* it may not have waited */
        return;
    }
    enum rpc_take taken = take(stream);
    if (stream->has_answer) { /* the window is closed, which only messages must wait for */
        if (taken == RPC_TAKE_STATUS)
            submit_end(stream, false);
        return;
    }
    if (taken == RPC_TAKE_STATUS) {
        submit_end(stream, true);
    } else if (taken == RPC_TAKE_MESSAGE) {
        nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_body};
        stream->has_answer = true;
        nghttp2_submit_response(stream->conn->session, stream->id, header, 2, &provider);
    } else {
        stream->stuck_at = 0;
    }
}

void h2_stream_send_http(struct h2_stream *stream, const char *status)
{
    const nghttp2_nv code = {(uint8_t *)(uintptr_t)":status", (uint8_t *)(uintptr_t)status, 7, strlen(status),
                             NGHTTP2_NV_FLAG_NONE};
    stream->has_trailer = true;
    nghttp2_submit_response(stream->conn->session, stream->id, &code, 1, NULL);
    h2_conn_mark(stream->conn);
}
