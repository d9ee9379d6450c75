/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/conn.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "rpc/h2/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    LINGER_MS = 1000, /* to let the peer read our last word: a socket closed with something unread resets it */
    READS = 4,        /* a turn, of what TLS gives at once */
    ROUNDS = 8,       /* of output a turn */
    FRAME_TYPE = 3,   /* where it is in a frame */
    DRAIN_MS = 1000,  /* for the answer to the PING */
    TELL_BYTES = 65536,
};

bool h2_conn_may_read(const struct h2_conn *conn)
{
    /* Calls whose stream is gone and whose handler is not: they end without the peer, so that it can wait for them. */
    unsigned orphans = conn->live - conn->open;
    return conn->pending_len == 0 && orphans < (unsigned)conn->loop->server->limits->max_calls_per_connection;
}

static void ask_epoll(struct h2_conn *conn, uint32_t events)
{
    if (conn->events == events)
        return;
    struct epoll_event event = {.events = events, .data.ptr = &conn->source};
    conn->events = events;
    epoll_ctl(conn->loop->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
}

static void read_later(struct h2_conn *conn)
{
    if (conn->is_again)
        return;
    conn->is_again = true;
    conn->next_again = conn->loop->again;
    conn->loop->again = conn;
}

void h2_conn_settle(struct h2_conn *conn)
{
    if (conn->state != H2_OPEN)
        return;
    bool reads = h2_conn_may_read(conn);
    ask_epoll(conn, (reads ? EPOLLIN : 0U) | (conn->pending_len > 0 ? EPOLLOUT : 0U));
    if (reads && h2_socket_has_input(conn))
        read_later(conn);
}

void h2_conn_mark(struct h2_conn *conn)
{
    if (conn->is_dirty || conn->state != H2_OPEN)
        return;
    conn->is_dirty = true;
    conn->next_dirty = conn->loop->dirty;
    conn->loop->dirty = conn;
}

void h2_conn_hold(struct h2_conn *conn, size_t more)
{
    conn->held += more;
    if (conn->held > conn->held_told + TELL_BYTES) {
        atomic_fetch_add_explicit(&conn->loop->server->held, conn->held - conn->held_told, memory_order_relaxed);
        conn->held_told = conn->held;
    }
}

void h2_conn_let_go(struct h2_conn *conn, size_t less)
{
    conn->held -= less;
    if (conn->held + TELL_BYTES < conn->held_told || (conn->held == 0 && conn->held_told > 0)) {
        atomic_fetch_sub_explicit(&conn->loop->server->held, conn->held_told - conn->held, memory_order_relaxed);
        conn->held_told = conn->held;
    }
}

bool h2_conn_is_full(const struct h2_conn *conn)
{
    const struct h2_server *server = conn->loop->server;
    return conn->held > server->limits->max_connection_bytes ||
           atomic_load_explicit(&server->held, memory_order_relaxed) > server->limits->max_memory_bytes;
}

/* The end. */

static void add_gone(struct h2_conn *conn)
{
    if (conn->is_gone || conn->state != H2_CLOSED || conn->live > 0)
        return;
    conn->is_gone = true;
    conn->next_gone = conn->loop->gone;
    conn->loop->gone = conn;
}

void h2_conn_unref(struct h2_conn *conn)
{
    conn->live--;
    if (conn->state == H2_CLOSED)
        add_gone(conn);
    else if (conn->state == H2_OPEN && (conn->events & EPOLLIN) == 0)
        h2_conn_settle(conn);
}

static void drop_pending(struct h2_conn *conn)
{
    h2_conn_let_go(conn, conn->pending_len);
    if (conn->pending != NULL)
        crypto_wipe(conn->pending, conn->pending_len);
    free(conn->pending);
    conn->pending = NULL;
    conn->pending_len = 0;
}

/* nghttp2 does not tell of the streams that a session had. */
static void end_session(struct h2_conn *conn)
{
    while (conn->streams != NULL)
        h2_stream_closed(conn->streams);
    nghttp2_session_del(conn->session);
    conn->session = NULL;
    h2_nest_done(&conn->nest);
    drop_pending(conn);
}

void h2_conn_close(struct h2_conn *conn)
{
    struct h2_loop *loop = conn->loop;
    struct h2_server *server = loop->server;
    if (conn->state == H2_CLOSED)
        return;
    conn->state = H2_CLOSED;
    end_session(conn);
    h2_timer_clear(&loop->timers, &conn->timer);
    SSL_free(conn->ssl);
    conn->ssl = NULL;
    /* Closing alone does not take it out while a process that was forked holds it, too (epoll(7), question 6). */
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
    close(conn->fd);
    peers_remove(server->peers, conn->counted);
    atomic_fetch_sub_explicit(&server->connections, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&loop->conn_count, 1, memory_order_relaxed);
    if (conn->previous != NULL)
        conn->previous->next = conn->next;
    else
        loop->conns = conn->next;
    if (conn->next != NULL)
        conn->next->previous = conn->previous;
    add_gone(conn);
}

/* Says no more, and waits a little for the peer to hang up. */
static void linger(struct h2_conn *conn)
{
    bool was_open = conn->state == H2_OPEN;
    conn->state = H2_LINGER;
    end_session(conn);
    if (conn->ssl != NULL && was_open)
        SSL_shutdown(conn->ssl);
    shutdown(conn->fd, SHUT_WR);
    conn->lingers_until = conn->loop->now + LINGER_MS * CLOCK_SECOND / 1000;
    ask_epoll(conn, EPOLLIN);
    h2_conn_schedule(conn);
}

void h2_conn_free(struct h2_conn *conn)
{
    free(conn->identities);
    free(conn);
}

void h2_conn_refuse(struct h2_conn *conn, enum rpc_limit limit, uint32_t code, const char *why)
{
    if (conn->is_refused || conn->state != H2_OPEN)
        return;
    conn->is_refused = true;
    h2_limits_met(&conn->loop->server->met, limit, conn->peer, why, conn->loop->now);
    h2_conn_schedule(conn);
    nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(conn->session),
                          code, (const uint8_t *)why, strlen(why));
    h2_conn_mark(conn);
}

void h2_conn_say_last(struct h2_conn *conn)
{
    conn->drains_at = INT64_MAX;
    nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(conn->session),
                          NGHTTP2_NO_ERROR, NULL, 0);
    h2_conn_mark(conn);
}

void h2_conn_drain(struct h2_conn *conn)
{
    if (conn->state != H2_OPEN || conn->drains_at != 0)
        return;
    conn->drains_at = conn->loop->now + DRAIN_MS * CLOCK_SECOND / 1000;
    conn->is_finishing = true;
    h2_session_notice(conn);
    for (struct h2_stream *stream = conn->streams; stream != NULL; stream = stream->next)
        if (stream->is_begun && stream->method != NULL && stream->method->server_streams)
            rpc_call_finish(&stream->shared);
    h2_conn_mark(conn);
    h2_conn_schedule(conn);
}

void h2_conn_kill(struct h2_conn *conn, const struct h2_refusal *refusal)
{
    if (conn->state == H2_HANDSHAKE)
        h2_conn_close(conn);
    if (conn->state != H2_OPEN || conn->is_refused)
        return;
    for (struct h2_stream *stream = conn->streams, *next; stream != NULL; stream = next) {
        next = stream->next;
        h2_stream_refuse(stream, refusal);
    }
    h2_conn_say_last(conn);
    conn->is_refused = true;
    h2_conn_schedule(conn); /* if it takes nothing, its time is short now */
}

/* Sending. */

static void set_pending(struct h2_conn *conn, const uint8_t *bytes, size_t len)
{
    conn->pending = malloc(len);
    if (conn->pending == NULL)
        abort();
    memcpy(conn->pending, bytes, len);
    conn->pending_at = 0;
    conn->pending_len = len;
    h2_conn_hold(conn, len);
}

/* Returns how much was taken; less than all: the socket is full. -1: the connection is lost. */
static ssize_t write_all(struct h2_conn *conn, const uint8_t *bytes, size_t len)
{
    size_t sent = 0;
    while (sent < len) {
        ssize_t part = h2_socket_write(conn, bytes + sent, len - sent);
        if (part == H2_LOST)
            return -1;
        if (part == H2_AGAIN)
            break;
        sent += (size_t)part;
    }
    if (sent > 0)
        conn->blocked_at = 0;
    if (sent < len && conn->blocked_at == 0)
        conn->blocked_at = conn->loop->now;
    return (ssize_t)sent;
}

/* False: there is still some of it, or the connection is lost. */
static bool write_pending(struct h2_conn *conn)
{
    if (conn->pending_len == 0)
        return true;
    size_t left = conn->pending_len - conn->pending_at;
    ssize_t sent = write_all(conn, conn->pending + conn->pending_at, left);
    if (sent < 0) {
        h2_conn_close(conn);
        return false;
    }
    conn->pending_at += (size_t)sent;
    if ((size_t)sent < left) {
        h2_conn_schedule(conn);
        return false;
    }
    drop_pending(conn);
    return true;
}

/* Gathers what nghttp2 has to send: many small frames go out by one write. */
static size_t gather(struct h2_conn *conn)
{
    uint8_t *output = conn->loop->output;
    const uint8_t *piece;
    size_t len = 0;
    ssize_t piece_len;
    while (len + H2_PIECE_MAX <= H2_OUTPUT && (piece_len = nghttp2_session_mem_send(conn->session, &piece)) > 0) {
        memcpy(output + len, piece, (size_t)piece_len);
        if (piece[FRAME_TYPE] ==
            NGHTTP2_DATA) /* in nghttp2's frame buffer, which it writes anew: an answer may be a secret */
            crypto_wipe((void *)(uintptr_t)piece, (size_t)piece_len);
        len += (size_t)piece_len;
    }
    return len;
}

static bool is_over(const struct h2_conn *conn)
{
    if (conn->is_refused)
        return true;
    if (conn->drains_at != 0 && conn->drains_at != INT64_MAX)
        return false; /* the notice alone looks like an end to nghttp2 */
    return !nghttp2_session_want_read(conn->session) && !nghttp2_session_want_write(conn->session);
}

void h2_conn_flush(struct h2_conn *conn)
{
    bool is_more = true;
    if (conn->state != H2_OPEN || !write_pending(conn)) {
        h2_conn_settle(conn);
        return;
    }
    for (int round = 0; round < ROUNDS && is_more; round++) {
        size_t len = gather(conn);
        is_more = len + H2_PIECE_MAX > H2_OUTPUT;
        if (len == 0)
            break;
        ssize_t sent = write_all(conn, conn->loop->output, len);
        if (sent >= 0 && (size_t)sent < len)
            set_pending(conn, conn->loop->output + sent, len - (size_t)sent);
        crypto_wipe(conn->loop->output, len); /* tokens, secret keys */
        if (sent < 0) {
            h2_conn_close(conn);
            return;
        }
        if ((size_t)sent < len) {
            h2_conn_schedule(conn);
            h2_conn_settle(conn);
            return;
        }
    }
    if (is_over(conn))
        linger(conn);
    else if (is_more)
        read_later(conn);
    h2_conn_settle(conn);
}

/* Receiving. */

static void read_open(struct h2_conn *conn)
{
    struct h2_loop *loop = conn->loop;
    for (int i = 0; i < READS && conn->state == H2_OPEN && h2_conn_may_read(conn) && !conn->is_refused; i++) {
        ssize_t len = h2_socket_read(conn, loop->input, H2_INPUT);
        if (len == H2_LOST) {
            h2_conn_close(conn);
            return;
        }
        if (len == H2_AGAIN)
            return;
        conn->read_at = loop->now;
        conn->pinged_at = 0;
        bool is_well = h2_session_feed(conn, loop->input, (size_t)len);
        crypto_wipe(loop->input, (size_t)len);
        if (!is_well || (len < H2_INPUT && !h2_socket_has_input(conn)))
            return;
    }
}

void h2_conn_read_again(struct h2_conn *conn)
{
    if (conn->state != H2_OPEN)
        return;
    read_open(conn);
    h2_conn_mark(conn);
    h2_conn_settle(conn);
}

static void discard(struct h2_conn *conn)
{
    ssize_t len = recv(conn->fd, conn->loop->input, H2_INPUT, 0);
    if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
        h2_conn_close(conn);
}

static void begin(struct h2_conn *conn)
{
    conn->state = H2_OPEN;
    h2_session_begin(conn);
    h2_conn_schedule(conn);
    ask_epoll(conn, EPOLLIN);
}

static void handshake(struct h2_conn *conn)
{
    uint32_t events = EPOLLIN;
    if (conn->loop->handshakes == H2_HANDSHAKES)
        return; /* in the next turn: others want something too */
    conn->loop->handshakes++;
    int result = h2_socket_handshake(conn, &events);
    if (result == H2_AGAIN)
        ask_epoll(conn, events);
    else if (result == H2_LOST)
        linger(conn);
    else
        begin(conn);
    h2_conn_settle(conn);
}

/* A connection's source, on its loop; the connection is freed later, by the loop. */
static void on_events(struct h2_source *source, uint32_t events)
{
    struct h2_conn *conn = (struct h2_conn *)source;
    if (conn->state == H2_HANDSHAKE) {
        handshake(conn);
    } else if (conn->state == H2_LINGER) {
        discard(conn);
    } else if (conn->state == H2_OPEN) {
        if (events & (EPOLLHUP | EPOLLERR) && !h2_conn_may_read(conn))
            h2_conn_close(conn);
        if (events & EPOLLOUT)
            h2_conn_mark(conn);
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            read_open(conn);
        h2_conn_settle(conn);
    }
}

void h2_conn_open(struct h2_loop *loop, const struct h2_accepted *accepted)
{
    struct h2_server *server = loop->server;
    struct h2_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        abort();
    int one = 1;
    setsockopt(accepted->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    conn->source.run = on_events;
    conn->timer.run = h2_conn_on_timer;
    conn->loop = loop;
    conn->fd = accepted->fd;
    conn->accepted_at = accepted->at;
    conn->read_at = loop->now;
    memcpy(conn->peer, accepted->peer, sizeof conn->peer);
    memcpy(conn->counted, accepted->counted, sizeof conn->counted);
    h2_rate_init(&conn->pings, server->limits->max_pings_per_second, loop->now);
    h2_rate_init(&conn->resets, server->limits->max_resets_per_second, loop->now);
    h2_conn_set_age(conn);
    conn->next = loop->conns;
    if (loop->conns != NULL)
        loop->conns->previous = conn;
    loop->conns = conn;
    conn->events = EPOLLIN;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conn->source};
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event);
    conn->tls_generation = atomic_load(&server->tls_generation);
    if (server->tls != NULL && (conn->ssl = h2_tls_accept(server->tls, conn->fd)) == NULL)
        abort();
    h2_conn_schedule(conn); /* also where it is open at once: until then it is a handshake */
    if (conn->ssl == NULL)
        begin(conn);
}
