/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/accept.h"

#include "base/clock.h"
#include "rpc/h2/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    ACCEPTS = 64,  /* a turn */
    PAUSE_MS = 50, /* when the process has no descriptor left */
};

struct h2_acceptor {
    struct h2_loop *loop;
    struct h2_timer timer; /* the end of a pause */
    bool is_stopped;
    struct listener {
        struct h2_source source; /* first */
        struct h2_acceptor *acceptor;
        int fd;
    } listeners[H2_LISTENERS_MAX];
    int count;
};

static void watch(struct h2_acceptor *acceptor, bool is_watched)
{
    for (int i = 0; i < acceptor->count; i++) {
        struct listener *listener = &acceptor->listeners[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener->source};
        epoll_ctl(acceptor->loop->epoll_fd, is_watched ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener->fd, &event);
    }
}

/* The acceptor's timer, on its loop: accept had failed, and is tried again. */
static void on_pause_end(struct h2_timer *timer)
{
    struct h2_acceptor *acceptor = RPC_CONTAINER(timer, struct h2_acceptor, timer);
    if (!acceptor->is_stopped)
        watch(acceptor, true);
}

static struct h2_loop *choose(struct h2_server *server)
{
    struct h2_loop *chosen = &server->loops[0];
    for (int i = 1; i < server->loop_count; i++)
        if (atomic_load(&server->loops[i].conn_count) < atomic_load(&chosen->conn_count))
            chosen = &server->loops[i];
    return chosen;
}

/* An empty SETTINGS and GOAWAY(ENHANCE_YOUR_CALM), as well as it goes: nobody waits for it to be read. */
static void turn_away(const struct h2_server *server, int fd)
{
    static const char bytes[] = "\0\0\0\4\0\0\0\0\0"
                                "\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\13";
    if (server->tls == NULL)
        (void)!send(fd, bytes, sizeof bytes - 1, MSG_NOSIGNAL);
    close(fd);
}

static void take(struct h2_acceptor *acceptor, int fd, const struct sockaddr_storage *address)
{
    struct h2_loop *here = acceptor->loop;
    struct h2_server *server = here->server;
    struct h2_accepted accepted = {.fd = fd, .at = here->now};
    h2_peer_name(address, accepted.peer, accepted.counted);
    if (atomic_load(&server->connections) >= (uint_least64_t)server->limits->max_connections) {
        h2_limits_met(&server->met, RPC_LIMIT_CONNECTIONS, accepted.peer, NULL, here->now);
        turn_away(server, fd);
        return;
    }
    if (!peers_add(server->peers, accepted.counted)) {
        h2_limits_met(&server->met, RPC_LIMIT_ADDRESS, accepted.peer, NULL, here->now);
        turn_away(server, fd);
        return;
    }
    struct h2_loop *loop = choose(server);
    atomic_fetch_add(&server->connections, 1);
    atomic_fetch_add(&server->accepted, 1);
    atomic_fetch_add(&loop->conn_count, 1);
    if (loop == here)
        h2_conn_open(loop, &accepted);
    else
        h2_loop_hand_over(loop, &accepted);
}

/* A listener's source, on the acceptor's loop. */
static void on_connections(struct h2_source *source, uint32_t events)
{
    (void)events;
    struct listener *listener = (struct listener *)source;
    struct h2_acceptor *acceptor = listener->acceptor;
    struct h2_loop *loop = acceptor->loop;
    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;
        int fd = accept4(listener->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(acceptor, fd, &address);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            h2_limits_met(&loop->server->met, RPC_LIMIT_DESCRIPTORS, NULL, strerror(errno), loop->now);
            watch(acceptor, false);
            h2_timer_set(&loop->timers, &acceptor->timer, loop->now + PAUSE_MS * CLOCK_SECOND / 1000);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

struct h2_acceptor *h2_acceptor_new(struct h2_loop *loop)
{
    const struct h2_listeners *listeners = &loop->server->listeners;
    struct h2_acceptor *acceptor = calloc(1, sizeof *acceptor);
    if (acceptor == NULL)
        abort();
    acceptor->loop = loop;
    acceptor->timer.run = on_pause_end;
    acceptor->count = listeners->count;
    for (int i = 0; i < listeners->count; i++)
        acceptor->listeners[i] =
            (struct listener){.source.run = on_connections, .acceptor = acceptor, .fd = listeners->fds[i]};
    watch(acceptor, true);
    return acceptor;
}

void h2_acceptor_stop(struct h2_acceptor *acceptor)
{
    if (acceptor->is_stopped)
        return;
    acceptor->is_stopped = true;
    watch(acceptor, false);
    h2_timer_clear(&acceptor->loop->timers, &acceptor->timer);
    h2_listen_close(&acceptor->loop->server->listeners);
}

void h2_acceptor_free(struct h2_acceptor *acceptor)
{
    free(acceptor);
}
