/* SPDX-License-Identifier: Apache-2.0 */
#include "http_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <event2/bufferevent_ssl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LINGER_US = 2000000, PEEK_PIECES = 8, ACCEPTS_AT_ONCE = 4, NOTED_A_SECOND = 10, LITTLE = 2048 };

static void join_queue(struct conn *conn)
{
    TAILQ_INSERT_TAIL(&conn->loop->queues[conn->is_served][conn->phase], conn, link);
    conn->loop->counts[conn->is_served]++;
    conn->is_queued = true;
}

static void leave_queue(struct conn *conn)
{
    TAILQ_REMOVE(&conn->loop->queues[conn->is_served][conn->phase], conn, link);
    conn->loop->counts[conn->is_served]--;
    conn->is_queued = false;
}

void conn_set_phase(struct conn *conn, enum phase phase, int64_t timeout_us)
{
    bool is_queued = conn->is_queued;
    if (is_queued)
        leave_queue(conn);
    conn->is_served |= conn->phase == PHASE_WRITING;
    conn->phase = phase;
    conn->since = clock_monotonic();
    conn->deadline = conn->since + timeout_us;
    if (is_queued)
        join_queue(conn);
}

static const struct http_options *options_of(const struct conn *conn)
{
    return &conn->loop->server->options;
}

void conn_drop_blank_line(struct conn *conn)
{
    char byte;
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    while (evbuffer_copyout(input, &byte, 1) == 1 && (byte == '\r' || byte == '\n'))
        evbuffer_drain(input, 1);
}

/* Nothing but what came now is in the buffer: evhttp has read all that was before. */
static void begin_reading(struct conn *conn, bool has_begun)
{
    conn_drop_blank_line(conn);
    if (has_begun || !guard_is_between(&conn->guard))
        conn_set_phase(conn, PHASE_READING, options_of(conn)->request_timeout_us);
}

/* evhttp wants a body whole in the buffer; what is more than one request's worth waits in the kernel. Whoever sends
 * little has no limit: libevent would look at it for each line that is taken. */
static void limit_input(struct conn *conn, size_t waiting)
{
    const struct guard_limits *limits = &options_of(conn)->limits;
    if (conn->is_limited || waiting < LITTLE)
        return;
    conn->is_limited = true;
    bufferevent_setwatermark(conn->bev, EV_READ, 0, limits->max_header_bytes + 2 * limits->max_body_bytes + 4096);
}

/* Every byte comes by here before evhttp reads it. */
static void watch_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct conn *conn = arg;
    if (info->n_added == 0 || conn->phase == PHASE_REFUSED)
        return;
    struct evbuffer_ptr at;
    struct evbuffer_iovec pieces[PEEK_PIECES];
    size_t left = info->n_added;
    unsigned requests = conn->guard.requests;
    limit_input(conn, evbuffer_get_length(input));
    while (left > 0) {
        if (evbuffer_ptr_set(input, &at, evbuffer_get_length(input) - left, EVBUFFER_PTR_SET) != 0)
            break;
        int count = evbuffer_peek(input, (ev_ssize_t)left, &at, pieces, PEEK_PIECES);
        for (int i = 0; i < count && i < PEEK_PIECES && left > 0; i++) {
            size_t len = pieces[i].iov_len < left ? pieces[i].iov_len : left;
            (void)guard_feed(&conn->guard, pieces[i].iov_base, len);
            left -= len;
        }
    }
    if (conn->guard.code != 0 && conn->current == NULL)
        conn_refuse(conn, conn->guard.code, conn->guard.why);
    else if (conn->phase == PHASE_NEW || conn->phase == PHASE_IDLE)
        begin_reading(conn, conn->guard.requests != requests);
}

/* The bufferevent's, on its loop: something came on a connection that was refused. */
static void throw_away(struct bufferevent *bev, void *arg)
{
    (void)arg; /* not the conn when evhttp's deferred read calls this */
    struct evbuffer *input = bufferevent_get_input(bev);
    evbuffer_drain(input, evbuffer_get_length(input));
}

/* The bufferevent's, on its loop: what was to be sent is sent, the refusal last. */
static void refusal_written(struct bufferevent *bev, void *arg)
{
    struct conn *conn = arg;
    if (evbuffer_get_length(bufferevent_get_output(bev)) > 0)
        return; /* it was the answer before that is written */
    if (conn->ssl != NULL)
        tls_close(conn->ssl);
    shutdown(bufferevent_getfd(bev), SHUT_WR);
}

/* The bufferevent's, on its loop: the client has read it, or has gone; with the connection goes the conn. */
static void refused_ended(struct bufferevent *bev, short what, void *arg)
{
    struct conn *conn = arg;
    (void)bev;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        evhttp_connection_free(conn->evcon);
}

static struct evhttp_connection *find_evcon(struct bufferevent *bev)
{
    void *evcon = NULL;
    bufferevent_getcb(bev, NULL, NULL, NULL, &evcon);
    return evcon;
}

/* Takes the connection from evhttp, says why, and closes once the client has had time to read it: closing at once, with
 * bytes unread, would reset the connection and the answer with it. Only while no request of it is under way. */
void conn_refuse(struct conn *conn, int code, const char *why)
{
    struct arena arena = {0};
    if (conn->evcon == NULL)
        conn->evcon = find_evcon(conn->bev);
    bufferevent_setcb(conn->bev, throw_away, refusal_written, refused_ended, conn);
    bufferevent_setwatermark(conn->bev, EV_READ, 0, 0);
    bufferevent_set_timeouts(conn->bev, NULL, NULL);
    conn_set_phase(conn, PHASE_REFUSED, LINGER_US);
    options_of(conn)->observe(options_of(conn)->arg, NULL, conn->peer, code, why);
    char *body = options_of(conn)->refusal(options_of(conn)->arg, &arena, conn->guard.target, code, why);
    evbuffer_add_printf(bufferevent_get_output(conn->bev),
                        "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                        "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
                        code, http_reason(code), body == NULL ? 0 : strlen(body), body == NULL ? "" : body);
    arena_done(&arena);
    bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
}

static void conn_free(struct conn *conn)
{
    if (conn->is_counted)
        atomic_fetch_sub(&conn->loop->server->connections, 1);
    if (conn->is_counted_as_peer)
        peers_remove(conn->loop->server->peers, conn->group);
    free(conn);
}

/* evhttp frees the connection, for whatever reason. */
static void closing(struct evhttp_connection *evcon, void *arg)
{
    struct conn *conn = arg;
    (void)evcon;
    if (conn->current != NULL)
        request_lose(conn->current);
    if (conn->ssl != NULL && conn->phase != PHASE_REFUSED)
        tls_close(conn->ssl);
    if (event_initialized(&conn->closed_event))
        event_del(&conn->closed_event);
    evbuffer_remove_cb_entry(bufferevent_get_input(conn->bev), conn->watch);
    leave_queue(conn);
    HASH_DEL(conn->loop->by_evcon, conn);
    conn_free(conn);
}

/* The closed_event's, on its loop, as long as the conn lives: once more, a second after the FIN. */
static void client_has_left(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;
    (void)fd;
    (void)what;
    if (conn->current != NULL)
        request_gone(conn->current);
}

/* The closed_event's likewise. A FIN says that the client sends no more, and not whether it still reads: for a while it
 * may have its answer. */
static void client_sent_fin(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval a_second = {1, 0};
    struct conn *conn = arg;
    (void)fd;
    (void)what;
    event_assign(&conn->closed_event, conn->loop->base, -1, 0, client_has_left, conn);
    event_add(&conn->closed_event, &a_second);
}

/* evhttp gives no way to refuse a connection before it has one, and none to see its socket: so it is made here, blind,
 * and looked at in conn_begin_fresh, before a byte of it is read. */
struct bufferevent *conn_accept(struct event_base *base, void *arg)
{
    struct loop *loop = arg;
    struct conn *conn = calloc(1, sizeof *conn);
    struct tls *tls = loop->server->options.tls;
    if (conn != NULL && tls != NULL && (conn->ssl = tls_open(tls)) != NULL)
        conn->bev =
            bufferevent_openssl_socket_new(base, -1, conn->ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    else if (conn != NULL && tls == NULL)
        conn->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (conn != NULL && conn->bev != NULL)
        conn->watch = evbuffer_add_cb(bufferevent_get_input(conn->bev), watch_input, conn);
    if (conn == NULL || conn->watch == NULL) {
        log_write(LOG_LEVEL_ERROR, "out_of_memory", NULL);
        abort(); /* without a bufferevent of ours evhttp would go on with one of its own: no TLS, no guard */
    }
    conn->loop = loop;
    guard_init(&conn->guard, &loop->server->options.limits);
    conn_set_phase(conn, PHASE_NEW, loop->server->options.request_timeout_us);
    bufferevent_incref(conn->bev);
    STAILQ_INSERT_TAIL(&loop->fresh, conn, fresh_link);
    event_active(loop->fresh_event, 0, 0);
    /* By itself libevent goes on accepting for as long as somebody is there, and whoever is connected waits. */
    if (++loop->fresh_count == ACCEPTS_AT_ONCE)
        evconnlistener_disable(loop->listener);
    return conn->bev;
}

/* A flood is not to fill the log too. */
static void note_turned_away(const struct conn *conn, const char *why)
{
    bool is_told = conn->loop->turned_away++ < NOTED_A_SECOND;
    options_of(conn)->observe(options_of(conn)->arg, NULL, conn->peer, 0, is_told ? why : NULL);
}

/* The one that has been at it for longest; no proxy of ours. */
static struct conn *find_oldest(struct loop *loop, bool is_served, enum phase phase, const struct conn *newcomer)
{
    struct conn *conn;
    TAILQ_FOREACH(conn, &loop->queues[is_served][phase], link)
    {
        if (conn != newcomer && conn->is_counted_as_peer)
            return conn;
    }
    return NULL;
}

static int count_of(const struct loop *loop)
{
    return loop->counts[0] + loop->counts[1];
}

/* Somebody gives way to a newcomer: of those who never had an answer, or of those who had, whichever are more, the one
 * that has said nothing whole for longest. So a flood of connections that say nothing displaces itself, and no client.
 * Nobody whose request is under way. */
static bool make_room(struct loop *loop, const struct conn *newcomer)
{
    bool larger = loop->counts[1] > loop->counts[0];
    for (int i = 0; i < 2; i++) {
        bool is_served = i == 0 ? larger : !larger;
        struct conn *silent = find_oldest(loop, is_served, is_served ? PHASE_IDLE : PHASE_NEW, newcomer);
        struct conn *slow = find_oldest(loop, is_served, PHASE_READING, newcomer);
        struct conn *chosen = silent == NULL || (slow != NULL && slow->since < silent->since) ? slow : silent;
        if (chosen == NULL)
            continue;
        note_turned_away(chosen, "closed for a newcomer");
        evhttp_connection_free(chosen->evcon);
        return true;
    }
    return false;
}

/* Who is at the other end, and is it believed whom it calls for? */
static void find_peer(struct conn *conn)
{
    const struct forwarded *forwarded = &options_of(conn)->forwarded;
    char *text = NULL;
    ev_uint16_t port;
    struct address address;
    if (conn->loop->server->is_unix) {
        snprintf(conn->peer, sizeof conn->peer, "unix");
        conn->is_trusted = forwarded->is_unix_trusted;
        return;
    }
    evhttp_connection_get_peer(conn->evcon, &text, &port);
    if (text == NULL || !address_parse(text, strlen(text), &address))
        return;
    address_format(&address, conn->peer);
    conn->is_trusted = forwarded_is_trusted(forwarded, &address);
}

/* Counts it, also at its address. False: there is no room for it. */
static bool count(struct conn *conn)
{
    struct http_server *server = conn->loop->server;
    find_peer(conn);
    address_group(conn->peer, conn->group);
    conn->is_counted = true;
    int others = atomic_fetch_add(&server->connections, 1);
    if (!conn->is_trusted && !server->is_unix) {
        conn->is_counted_as_peer = peers_add(server->peers, conn->group);
        if (!conn->is_counted_as_peer) /* before any other would have to give way to it */
            return false;
    }
    return others < server->options.max_connections || make_room(conn->loop, conn) || count_of(conn->loop) == 1;
}

static void begin(struct conn *conn)
{
    int fd = bufferevent_getfd(conn->bev), one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (conn->ssl != NULL)
        bufferevent_openssl_set_allow_dirty_shutdown(conn->bev, 1);
    evhttp_connection_set_closecb(conn->evcon, closing, conn);
    join_queue(conn);
    HASH_ADD_PTR(conn->loop->by_evcon, evcon, conn);
    if (!count(conn)) {
        note_turned_away(conn, "too many connections");
        evhttp_connection_free(conn->evcon);
        return;
    }
    event_assign(&conn->closed_event, conn->loop->base, fd, EV_CLOSED, client_sent_fin, conn);
    event_add(&conn->closed_event, NULL);
}

void conn_begin_fresh(struct loop *loop)
{
    struct conn *conn;
    while ((conn = STAILQ_FIRST(&loop->fresh)) != NULL) {
        STAILQ_REMOVE_HEAD(&loop->fresh, fresh_link);
        struct bufferevent *bev = conn->bev;
        conn->evcon = find_evcon(bev);
        if (conn->evcon != NULL) {
            begin(conn);
        } else { /* evhttp gave it up already */
            evbuffer_remove_cb_entry(bufferevent_get_input(bev), conn->watch);
            conn_free(conn);
        }
        bufferevent_decref(bev);
    }
    if (loop->fresh_count >= ACCEPTS_AT_ONCE && !atomic_load(&loop->server->is_draining))
        evconnlistener_enable(loop->listener);
    loop->fresh_count = 0;
}

static void is_late(struct conn *conn)
{
    switch (conn->phase) {
    case PHASE_READING:
        conn_refuse(conn, 408, "the request did not come in whole in time");
        return;
    case PHASE_SPOILT:
        conn_refuse(conn, conn->guard.code, conn->guard.why);
        return;
    case PHASE_HANDLING:
        request_abandon(conn->current, 504);
        return;
    case PHASE_NEW:
    case PHASE_WRITING:
    case PHASE_IDLE:
    case PHASE_REFUSED:
    case PHASES:
        evhttp_connection_free(conn->evcon);
        return;
    }
}

/* Whoever is late is at the front. */
static void sweep_queue(struct conn_queue *queue, int64_t now)
{
    struct conn *conn, *before = NULL;
    while ((conn = TAILQ_FIRST(queue)) != NULL && conn != before && now >= conn->deadline) {
        is_late(conn); /* and is not in this queue any more */
        before = conn;
    }
}

/* libevent tells EV_CLOSED of a FIN, and of a reset nothing to who neither reads nor writes. */
static void look_for_resets(struct conn_queue *handled)
{
    struct conn *conn;
    TAILQ_FOREACH(conn, handled, link)
    {
        struct pollfd fd = {.fd = bufferevent_getfd(conn->bev)};
        if (conn->current != NULL && poll(&fd, 1, 0) == 1 && (fd.revents & (POLLERR | POLLHUP)) != 0)
            request_gone(conn->current);
    }
}

/* No thread can close another's connections. So one that has none takes one in beyond the limit, and whichever has more
 * than its share closes one for that. */
static void give_way(struct loop *loop)
{
    const struct http_server *server = loop->server;
    int most = server->options.max_connections, share = most / server->options.threads;
    while (atomic_load(&server->connections) > most && count_of(loop) > share && make_room(loop, NULL))
        ;
}

void conn_sweep(struct loop *loop, int64_t now)
{
    give_way(loop);
    look_for_resets(&loop->queues[0][PHASE_HANDLING]);
    look_for_resets(&loop->queues[1][PHASE_HANDLING]);
    bool is_draining = atomic_load(&loop->server->is_draining);
    for (int i = 0; i < 2; i++)
        for (int phase = 0; phase < PHASES; phase++)
            sweep_queue(&loop->queues[i][phase],
                        is_draining && (phase == PHASE_IDLE || phase == PHASE_NEW) ? INT64_MAX : now);
    if (now < loop->next_note)
        return;
    if (loop->turned_away > NOTED_A_SECOND)
        log_write(LOG_LEVEL_WARN, "http_turned_away", "count", log_number(loop->turned_away).text, NULL);
    loop->turned_away = 0;
    loop->next_note = now + 1000000;
}

bool conn_is_none(const struct loop *loop)
{
    return count_of(loop) == 0;
}
