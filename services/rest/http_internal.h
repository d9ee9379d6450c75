/* SPDX-License-Identifier: Apache-2.0 */
/* What http.c (the server), conn.c (a connection) and request.c (a request) know of each other. Everything here belongs
 * to its loop's thread unless it says otherwise. */
#ifndef REST_HTTP_INTERNAL_H
#define REST_HTTP_INTERNAL_H

#include "base/peers.h"
#include "base/unix_socket.h"
#include "http.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/queue.h>
#include <uthash.h>

struct conn;

enum phase {
    PHASE_NEW,      /* nothing has come yet */
    PHASE_READING,  /* a request is coming in */
    PHASE_SPOILT,   /* what followed a request, and came before its answer, was none */
    PHASE_HANDLING, /* the handler has it */
    PHASE_WRITING,  /* its answer goes out */
    PHASE_IDLE,     /* between two requests */
    PHASE_REFUSED, /* an error went out; what still comes is thrown away for a moment, so that the client can read it */
    PHASES
};

struct loop {
    struct http_server *server;
    pthread_t thread, self; /* the same; the starter's, and as the thread itself knows it */
    bool is_running;        /* the thread has been started; the starter's */
    int listen_fd;
    struct event_base *base;
    struct evhttp *evhttp;
    struct evhttp_bound_socket *bound; /* NULL: closed */
    struct evconnlistener *listener;   /* evhttp's, of bound */
    struct event *wake_event, *sweep_event, *fresh_event;
    int wake_fd; /* an eventfd, to be written to by any thread */
    /* Of those who never had an answer, and of those who had: by phase, and in each by when it began. */
    TAILQ_HEAD(conn_queue, conn) queues[2][PHASES];
    int counts[2];
    STAILQ_HEAD(, conn) fresh; /* accepted, and not seen yet; in their order: whoever comes last displaces the others */
    int fresh_count;
    int64_t turned_away, next_note;  /* connections since the last note of them; when the next is due */
    struct conn *by_evcon;           /* uthash */
    uint64_t next_number;            /* of the next request; the first is random */
    SLIST_HEAD(, http_parked) spare; /* for the next requests */
    int spare_count;
    long outstanding; /* requests that somebody still has to answer */
    char date[32];    /* what the Date header says, and the second for which it does */
    time_t date_of;
    int64_t next_certificate_check;
    _Atomic int64_t last_sweep; /* read by any thread */

    pthread_mutex_t lock; /* of answered */
    SLIST_HEAD(, http_parked) answered;
};

struct http_server {
    struct http_options options;
    struct loop *loops;
    int port;
    bool is_taken_over;               /* the listening socket: it is not the server's alone */
    bool is_unix;                     /* it listens on a socket file */
    char unix_path[UNIX_SOCKET_PATH]; /* which it has made itself; "": none */
    struct peers *peers;
    atomic_int connections;
    atomic_bool is_draining;
    _Atomic int64_t drain_deadline;
};

struct conn {
    TAILQ_ENTRY(conn) link;
    STAILQ_ENTRY(conn) fresh_link;
    UT_hash_handle hh;
    struct loop *loop;
    struct bufferevent *bev;
    struct evhttp_connection *evcon;
    struct evbuffer_cb_entry *watch;
    struct event closed_event; /* the client has sent its FIN */
    struct ssl_st *ssl;
    struct guard guard;
    enum phase phase;
    int64_t since, deadline; /* of the phase; all conns of one phase have the same time */
    struct http_parked *current;
    char peer[ADDRESS_TEXT_MAX], group[ADDRESS_TEXT_MAX]; /* its address, and as what that is counted */
    bool is_counted, is_counted_as_peer;
    bool is_trusted;           /* it is believed whom it calls for */
    bool is_queued, is_served; /* among its loop's; has had an answer */
    bool is_limited;           /* what waits in its buffer */
};

/* A request and what it needs to be answered later. */
enum { PARKED_BYTES = 8192 };
struct http_parked {
    struct http_request request;
    SLIST_ENTRY(http_parked) answered_link;
    struct loop *loop;
    struct conn *conn;          /* NULL: gone */
    struct evhttp_request *req; /* NULL: answered by a timeout, or its connection gone */
    bool is_handling;           /* handle() has not returned */
    bool is_answered;           /* http_reply was called within handle() */
    atomic_bool is_gone;
    char peer[ADDRESS_TEXT_MAX];
    _Alignas(max_align_t) char first[PARKED_BYTES]; /* the arena's: zero where it is not in use */
};

/* conn.c */
struct bufferevent *conn_accept(struct event_base *base, void *loop); /* evhttp's bevcb */
void conn_begin_fresh(struct loop *loop);
void conn_refuse(struct conn *conn, int code, const char *why);
void conn_sweep(struct loop *loop, int64_t now);
void conn_drop_blank_line(struct conn *conn); /* where evhttp is about to read a request */
bool conn_is_none(const struct loop *loop);
void conn_set_phase(struct conn *conn, enum phase phase, int64_t timeout_us);

/* request.c */
void request_handle(struct evhttp_request *req, void *loop); /* evhttp's gencb */
void request_send_answered(struct loop *loop);
void request_abandon(struct http_parked *parked, int code); /* answers in the handler's place */
void request_lose(struct http_parked *parked);              /* its connection is going */
void request_gone(struct http_parked *parked); /* nobody will read its answer; may be told more than once */
void request_free_spare(struct loop *loop);

#endif
