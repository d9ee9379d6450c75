/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop: one thread, one epoll, its connections and their calls. Whatever is not said to be for any thread is the
 * loop's own thread's, so that nothing here has a lock.
 *
 * A turn: wait; read what can be read; take what other threads posted; timers; then, until nothing is left
 * or it is enough for a turn, deal with the streams that are ready and flush the connections that have something to
 * send. Nothing is sent, and no stream or connection freed, from inside nghttp2's callbacks.
 */
#ifndef RPC_H2_LOOP_H
#define RPC_H2_LOOP_H

#include "base/peers.h"
#include "rpc/h2/limits.h"
#include "rpc/h2/listen.h"
#include "rpc/h2/pool.h"
#include "rpc/h2/timer.h"
#include "rpc/h2/tls.h"
#include "rpc/transport.h"

#include <nghttp2/nghttp2.h>
#include <sys/socket.h>

enum {
    H2_INPUT = 65536,
    H2_OUTPUT = 131072,
    H2_PIECE_MAX = 32768,   /* more than nghttp2 gives at once: a frame and its header */
    H2_HANDSHAKES = 8,      /* steps a turn, of up to half a millisecond each */
    H2_HANDSHAKE_LINES = 5, /* in the log, a second */
};

/* What epoll knows: */
struct h2_source {
    void (*run)(struct h2_source *source, uint32_t events);
};

/* A socket on its way from the loop that accepts to the one that keeps it. */
struct h2_accepted {
    struct h2_accepted *next;
    int fd;
    int64_t at;
    char peer[H2_PEER_MAX], counted[H2_PEER_MAX];
};

enum h2_order { H2_DRAIN = 1, H2_KILL = 2, H2_QUIT = 4 };

struct h2_loop {
    struct h2_server *server;
    pthread_t thread;
    int epoll_fd, event_fd;
    struct h2_source on_event;
    int64_t now;      /* when this turn began, */
    int64_t round_at; /* and this round of it: how long a call took goes by it, for clocks are dear */
    struct h2_timers timers;
    struct h2_conn *conns, *dirty, *again, *gone;
    struct h2_stream *ready, **ready_end;
    struct h2_stream *idle; /* objects to be used again */
    unsigned idle_count;
    unsigned live;  /* streams that were not given back */
    int handshakes; /* steps of this turn */
    struct h2_rate handshake_lines;
    unsigned orders;         /* that were obeyed */
    unsigned tls_generation; /* by which its peers were looked at */
    uint8_t *input, *output;
    struct h2_pool pool; /* of its sessions */

    _Atomic(struct h2_stream *) posted; /* any thread */
    atomic_uint conn_count;             /* read by the loop that accepts */
    atomic_int_least64_t busy_since;    /* 0: it waits */

    pthread_mutex_t lock; /* guards what follows */
    struct h2_accepted *accepted;
    unsigned given; /* orders */

    bool is_empty; /* under the server's lock: neither connections nor calls, after an order */
    unsigned told_live;
};

struct h2_server {
    struct rpc_server *shared;
    const struct rpc_limits *limits;
    struct h2_listeners listeners;
    struct h2_tls *tls; /* NULL: none */
    struct peers *peers;
    struct h2_limits met;
    nghttp2_option *option;
    nghttp2_session_callbacks *callbacks;
    struct h2_loop *loops;
    int loop_count;
    int thread_count;
    atomic_uint_least64_t connections, accepted;
    atomic_uint tls_generation; /* how often the files were read anew */
    atomic_size_t held;         /* bytes of requests and answers that wait */

    pthread_mutex_t lock; /* for stop, which waits until every loop is empty */
    pthread_cond_t changed;
};

/* Opens its epoll and eventfd; a failure ends the process. */
void h2_loop_init(struct h2_loop *loop, struct h2_server *server);
/* After its thread has ended. */
void h2_loop_done(struct h2_loop *loop);
/* A pthread's: turns until the server stops it. `loop`: struct h2_loop. */
void *h2_loop_run(void *loop);

/* From any thread. */
void h2_loop_give(struct h2_loop *loop, unsigned orders); /* none: it looks whether the files are new */
void h2_loop_hand_over(struct h2_loop *loop, struct h2_accepted *accepted);
bool h2_loop_is_here(const struct h2_loop *loop);
void h2_loop_post(struct h2_loop *loop, struct h2_stream *stream);

#endif
