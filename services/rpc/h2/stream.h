/* SPDX-License-Identifier: Apache-2.0 */
/* A call on its stream. It is given back when both have ended: the stream, and the call's handler. */
#ifndef RPC_H2_STREAM_H
#define RPC_H2_STREAM_H

#include "rpc/h2/conn.h"

/* How the transport itself ends a call, apart from what its handler may be saying at the same time. */
struct h2_refusal {
    enum status status;
    const char *reason, *message;
};

/* What is to be done with a stream in this turn. */
enum h2_ready {
    H2_WAKE = 1,  /* there is something to take */
    H2_LAST = 2,  /* the handler has let go */
    H2_READ = 4,  /* the next request message is wanted */
    H2_TAKEN = 8, /* messages were taken */
};

struct h2_stream {
    struct rpc_call shared; /* first */
    struct h2_loop *loop;
    struct h2_conn *conn;
    struct h2_stream *previous, *next; /* of the connection's open ones */
    struct h2_stream *next_ready, *next_idle;
    struct h2_timer timer; /* the deadline */
    int32_t id;
    unsigned ready;
    bool is_listed; /* in the loop's list of those that are ready */

    atomic_uint posted; /* the same, from other threads */
    struct h2_stream *next_posted;

    /* The request. */
    const struct rpc_method *method;
    const char *path; /* in the arena; only where there is no such method */
    size_t path_len;
    size_t header_bytes;
    int64_t timeout; /* INT64_MAX: none */
    int64_t heard_at;
    bool is_post, is_grpc, has_encoding, has_bad_timeout, has_bad_headers; /* too many of them */
    bool is_begun;                                                         /* the headers are complete */
    bool is_half_closed;                                                   /* the client has sent its last */
    bool wants_message;                                                    /* of a stream of requests */
    uint8_t *body;                                                         /* what there is of the next message */
    size_t body_len, body_room;

    /* The answer. */
    struct rpc_message *out; /* under way */
    size_t queued;           /* bytes that wait behind it, as the connection knows it */
    size_t out_at;
    bool has_answer;  /* its header was submitted */
    bool has_trailer; /* its end was submitted, */
    bool is_sent;     /* and sent */
    bool is_reset;    /* a reset was submitted */
    int64_t stuck_at; /* since when nothing of it could be sent; 0: nothing waits */
    const struct h2_refusal *refusal;

    bool is_open; /* nghttp2 knows it */
    bool is_handler_done;
    bool is_cancelled; /* the shared part knows */
};

/* In the callback in which the client opens it. */
struct h2_stream *h2_stream_open(struct h2_conn *conn, int32_t id);

/* request.c, from callbacks, but for read. header: false where the connection was given up for it. */
bool h2_stream_header(struct h2_stream *stream, const char *name, size_t name_len, const char *value, size_t len);
void h2_stream_begin(struct h2_stream *stream);
void h2_stream_data(struct h2_stream *stream, const uint8_t *data, size_t len);
void h2_stream_half_closed(struct h2_stream *stream);
void h2_stream_read(struct h2_stream *stream);
void h2_stream_drop_body(struct h2_stream *stream, bool keep_len);

/* nghttp2 has no such stream any more, or soon will have none. */
void h2_stream_closed(struct h2_stream *stream);

/* The transport's own end of it. */
void h2_stream_refuse(struct h2_stream *stream, const struct h2_refusal *refusal);
/* Without a word that would need the peer's window. */
void h2_stream_reset(struct h2_stream *stream, uint32_t code);

/* Has it waited too long for its peer? Then it is ended. */
void h2_stream_check(struct h2_stream *stream);

/* What rpc_transport_nghttp2's wake and read_next are. */
void h2_stream_wake(struct rpc_call *call, bool is_last);
void h2_stream_read_next(struct rpc_call *call);

/* Puts it into the loop's list; does what is to be done; gives it back to the pool. */
void h2_stream_list(struct h2_stream *stream, unsigned ready);
void h2_stream_run(struct h2_stream *stream);
void h2_stream_free(struct h2_stream *stream);

/* answer.c: what is sent. */
void h2_stream_send(struct h2_stream *stream);
/* Would more of it go out? */
bool h2_stream_has_window(const struct h2_stream *stream);
void h2_stream_send_http(struct h2_stream *stream, const char *status);
void h2_stream_drop_out(struct h2_stream *stream);

extern const struct h2_refusal h2_is_full, h2_is_late, h2_is_draining, h2_is_aged, h2_is_untrusted, h2_is_stalled;

#endif
