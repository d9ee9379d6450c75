/* SPDX-License-Identifier: Apache-2.0 */
/* A connection. It is freed at the end of a turn, when it is closed and the last of its calls was given back. */
#ifndef RPC_H2_CONN_H
#define RPC_H2_CONN_H

#include "rpc/h2/loop.h"

enum { H2_HEADER_OVERHEAD = 32 }; /* RFC 9113, section 6.5.2 */

enum h2_conn_state { H2_HANDSHAKE, H2_OPEN, H2_LINGER, H2_CLOSED };

struct h2_conn {
    struct h2_source source; /* first */
    struct h2_loop *loop;
    struct h2_conn *previous, *next; /* of the loop's */
    struct h2_conn *next_dirty, *next_again, *next_gone;
    bool is_dirty, is_again, is_gone;
    enum h2_conn_state state;
    int fd;
    uint32_t events; /* that epoll is asked for */
    SSL *ssl;
    unsigned tls_generation; /* of the files by which its peer was looked at */
    nghttp2_session *session;
    struct h2_nest nest;       /* its memory */
    struct h2_stream *streams; /* those that are open */
    unsigned open;             /* how many */
    unsigned live;             /* calls that were not given back, those included */
    struct h2_stream *heading; /* whose headers are coming; NULL: nobody's who is served */
    size_t stray_bytes;        /* of a header list that is nobody's */
    struct h2_timer timer;     /* looks after everything that takes too long */
    int64_t accepted_at, read_at, pinged_at /* 0: not */, blocked_at /* 0: not */, lingers_until;
    int64_t ages_at, dies_at; /* INT64_MAX: never */
    int64_t drains_at;        /* when the last GOAWAY goes out; 0: not draining, INT64_MAX: it has gone out */
    bool is_greeted;          /* the client's SETTINGS are there */
    bool is_finishing;        /* its streams were asked to end */
    bool is_refused;          /* for going past a limit: once is enough */
    int bombs;                /* header lists far beyond the limit */
    struct h2_rate resets, pings;
    uint8_t *pending; /* what the socket did not take */
    size_t pending_at, pending_len;
    size_t held, held_told; /* bytes that wait; as the server knows it */
    const char **identities;
    char peer[H2_PEER_MAX], counted[H2_PEER_MAX];
};

/* For an accepted socket, of which it takes everything. */
void h2_conn_open(struct h2_loop *loop, const struct h2_accepted *accepted);

/* Something is to be sent. */
void h2_conn_mark(struct h2_conn *conn);
/* Sends what can be sent; afterwards it may be closed. */
void h2_conn_flush(struct h2_conn *conn);
/* Reads on where a turn's share ended. */
void h2_conn_read_again(struct h2_conn *conn);

/* Gives it up because of a limit: GOAWAY with `code`, and its end when that was sent. Also from callbacks. */
void h2_conn_refuse(struct h2_conn *conn, enum rpc_limit limit, uint32_t code, const char *why);

/* GOAWAY by the rules: a notice, a PING, then the last word, and the end when the last call has ended. */
void h2_conn_drain(struct h2_conn *conn);
/* At once, though its calls get a status first. */
struct h2_refusal;
void h2_conn_kill(struct h2_conn *conn, const struct h2_refusal *refusal);

/* A call has been given back. */
void h2_conn_unref(struct h2_conn *conn);
/* More or less of it waits in memory. */
void h2_conn_hold(struct h2_conn *conn, size_t more);
void h2_conn_let_go(struct h2_conn *conn, size_t less);
/* May it have no more? */
bool h2_conn_is_full(const struct h2_conn *conn);

/* Looks again at when its timer must run. */
void h2_conn_schedule(struct h2_conn *conn);
/* A stream was opened, which is to be looked after. */
void h2_conn_watch(struct h2_conn *conn);
/* The last GOAWAY. */
void h2_conn_say_last(struct h2_conn *conn);
/* Closes it now, with all its streams. */
void h2_conn_close(struct h2_conn *conn);
/* Not while it takes nothing, nor while too many of its calls outlive their streams. */
bool h2_conn_may_read(const struct h2_conn *conn);
/* Asks epoll for what is wanted now. */
void h2_conn_settle(struct h2_conn *conn);

/* At the end of a turn. */
void h2_conn_free(struct h2_conn *conn);

/* session.c: HTTP/2, as nghttp2 tells it. */
nghttp2_session_callbacks *h2_session_callbacks(void);
nghttp2_option *h2_session_option(void);
/* Begins it. */
void h2_session_begin(struct h2_conn *conn);
/* A header list has grown by `added`. False: that is meant to cost us time, and the connection was given up. */
bool h2_conn_bear_headers(struct h2_conn *conn, size_t total, size_t added);
/* Says that it will end, and asks whether that was heard. */
void h2_session_notice(struct h2_conn *conn);
/* What was read. False: it is no HTTP/2 any more, or a limit was met. */
bool h2_session_feed(struct h2_conn *conn, const uint8_t *bytes, size_t len);

/* care.c: what takes too long; h2_conn_schedule and the next two. */
void h2_conn_set_age(struct h2_conn *conn);
void h2_conn_on_timer(struct h2_timer *timer);

/* socket.c: bytes, with TLS or without. */
enum { H2_AGAIN = -1, H2_LOST = -2 };
ssize_t h2_socket_read(struct h2_conn *conn, uint8_t *bytes, size_t room);
ssize_t h2_socket_write(struct h2_conn *conn, const uint8_t *bytes, size_t len);
/* Has TLS taken something from the socket, of which epoll knows nothing, and may give it now? */
bool h2_socket_has_input(const struct h2_conn *conn);
/* A step. 1: done; else H2_AGAIN, with *ret_events, or H2_LOST, and it was told. */
int h2_socket_handshake(struct h2_conn *conn, uint32_t *ret_events);

#endif
