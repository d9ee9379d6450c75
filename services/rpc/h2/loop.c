/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/loop.h"

#include "base/clock.h"
#include "base/log.h"
#include "rpc/h2/accept.h"
#include "rpc/h2/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    EVENTS = 128,
    ROUNDS = 8,       /* a turn: a stream without an end would go on for ever */
    EVENT_ROUNDS = 2, /* an event: its calls are answered and sent; those that are over are given back */
};

static _Thread_local const struct h2_loop *here;

bool h2_loop_is_here(const struct h2_loop *loop)
{
    return here == loop;
}

static void wake(struct h2_loop *loop)
{
    uint64_t one = 1;
    while (write(loop->event_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void h2_loop_give(struct h2_loop *loop, unsigned orders)
{
    pthread_mutex_lock(&loop->lock);
    loop->given |= orders;
    pthread_mutex_unlock(&loop->lock);
    wake(loop);
}

void h2_loop_hand_over(struct h2_loop *loop, struct h2_accepted *accepted)
{
    struct h2_accepted *copy = malloc(sizeof *copy);
    if (copy == NULL)
        abort();
    *copy = *accepted;
    pthread_mutex_lock(&loop->server->lock); /* it may have said so while the acceptor had not heard of the stop yet */
    loop->is_empty = false;
    pthread_mutex_unlock(&loop->server->lock);
    pthread_mutex_lock(&loop->lock);
    copy->next = loop->accepted;
    loop->accepted = copy;
    pthread_mutex_unlock(&loop->lock);
    wake(loop);
}

void h2_loop_post(struct h2_loop *loop, struct h2_stream *stream)
{
    struct h2_stream *first = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do
        stream->next_posted = first;
    while (!atomic_compare_exchange_weak_explicit(&loop->posted, &first, stream, memory_order_release,
                                                  memory_order_relaxed));
    if (first == NULL) /* else somebody has woken it already */
        wake(loop);
}

/* The newest is the first of the list; answers are to go out in the order in which they came. */
static void take_posted(struct h2_loop *loop)
{
    struct h2_stream *stream = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire), *oldest = NULL;
    while (stream != NULL) {
        struct h2_stream *next = stream->next_posted;
        stream->next_posted = oldest;
        oldest = stream;
        stream = next;
    }
    while (oldest != NULL) {
        struct h2_stream *next = oldest->next_posted; /* before the bits are taken, which lets it be posted anew */
        h2_stream_list(oldest, atomic_exchange_explicit(&oldest->posted, 0, memory_order_acq_rel));
        oldest = next;
    }
}

/* The source of the loop's eventfd, on the loop: another thread woke it, which is all that it was for. */
static void on_event(struct h2_source *source, uint32_t events)
{
    (void)events;
    struct h2_loop *loop = RPC_CONTAINER(source, struct h2_loop, on_event);
    uint64_t count;
    while (read(loop->event_fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

/* Whose certificate was revoked, or whose authority has gone, does not stay either. */
static void look_at_peers(struct h2_loop *loop)
{
    struct h2_server *server = loop->server;
    unsigned generation = atomic_load(&server->tls_generation);
    if (loop->tls_generation == generation)
        return;
    loop->tls_generation = generation;
    if (server->shared->options.tls_client_ca_file == NULL)
        return;
    for (struct h2_conn *conn = loop->conns, *next; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->state != H2_OPEN || h2_tls_still_trusts(server->tls, conn->ssl))
            continue;
        log_write(LOG_LEVEL_WARN, "grpc_peer_not_trusted_any_more", "peer", conn->peer, NULL);
        h2_conn_kill(conn, &h2_is_untrusted);
    }
}

static void obey(struct h2_loop *loop, struct h2_acceptor *acceptor)
{
    pthread_mutex_lock(&loop->lock);
    struct h2_accepted *accepted = loop->accepted;
    unsigned orders = loop->given & ~loop->orders;
    loop->accepted = NULL;
    pthread_mutex_unlock(&loop->lock);
    loop->orders |= orders;
    while (accepted != NULL) {
        struct h2_accepted *next = accepted->next;
        h2_conn_open(loop, accepted);
        free(accepted);
        accepted = next;
    }
    look_at_peers(loop);
    if (orders != 0 && acceptor != NULL)
        h2_acceptor_stop(acceptor);
    if ((loop->orders & (H2_DRAIN | H2_KILL)) == 0)
        return;
    for (struct h2_conn *conn = loop->conns, *next; conn != NULL; conn = next) {
        next = conn->next;
        if (loop->orders & H2_KILL)
            h2_conn_kill(conn, &h2_is_draining);
        else
            h2_conn_drain(conn);
    }
}

static void run_ready(struct h2_loop *loop)
{
    while (loop->ready != NULL) {
        struct h2_stream *stream = loop->ready;
        loop->ready = stream->next_ready;
        if (loop->ready == NULL)
            loop->ready_end = &loop->ready;
        stream->is_listed = false;
        h2_stream_run(stream);
    }
}

static void flush_dirty(struct h2_loop *loop)
{
    struct h2_conn *conn = loop->dirty;
    loop->dirty = NULL;
    while (conn != NULL) {
        struct h2_conn *next = conn->next_dirty;
        conn->is_dirty = false;
        h2_conn_flush(conn);
        conn = next;
    }
}

static void read_again(struct h2_loop *loop)
{
    struct h2_conn *conn = loop->again;
    loop->again = NULL;
    while (conn != NULL) {
        struct h2_conn *next = conn->next_again;
        conn->is_again = false;
        h2_conn_read_again(conn);
        conn = next;
    }
}

/* Those that are on a list still wait for the next turn. */
static void free_gone(struct h2_loop *loop)
{
    struct h2_conn *conn = loop->gone;
    loop->gone = NULL;
    while (conn != NULL) {
        struct h2_conn *next = conn->next_gone;
        conn->is_gone = false;
        if (conn->is_again || conn->is_dirty) {
            conn->is_gone = true;
            conn->next_gone = loop->gone;
            loop->gone = conn;
        } else {
            h2_conn_free(conn);
        }
        conn = next;
    }
}

/* For whoever waits in stop. */
static void tell_empty(struct h2_loop *loop)
{
    struct h2_server *server = loop->server;
    if (loop->orders == 0)
        return;
    pthread_mutex_lock(&loop->lock);
    bool has_accepted = loop->accepted != NULL;
    pthread_mutex_unlock(&loop->lock);
    pthread_mutex_lock(&server->lock);
    loop->is_empty = loop->conns == NULL && loop->live == 0 && !has_accepted;
    loop->told_live = loop->live;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static int wait_time(const struct h2_loop *loop)
{
    int64_t next = h2_timers_next(&loop->timers);
    if (loop->again != NULL || loop->gone != NULL || loop->ready != NULL || loop->dirty != NULL)
        return 0;
    if (next == INT64_MAX)
        return -1;
    int64_t left = next - clock_monotonic();
    if (left <= 0)
        return 0;
    return left > 60 * CLOCK_SECOND ? 60000 : (int)((left + 999) / 1000);
}

static void work_off(struct h2_loop *loop, int rounds)
{
    for (; rounds > 0 && (loop->ready != NULL || loop->dirty != NULL); rounds--) {
        loop->round_at = clock_monotonic();
        run_ready(loop);
        flush_dirty(loop);
    }
}

static void turn(struct h2_loop *loop, struct h2_acceptor *acceptor)
{
    struct epoll_event events[EVENTS];
    int timeout = wait_time(loop);
    atomic_store_explicit(&loop->busy_since, 0, memory_order_relaxed);
    int count = epoll_wait(loop->epoll_fd, events, EVENTS, timeout);
    loop->now = clock_monotonic();
    atomic_store_explicit(&loop->busy_since, loop->now, memory_order_relaxed);
    loop->handshakes = 0;
    read_again(loop);
    for (int i = 0; i < count; i++) {
        struct h2_source *source = events[i].data.ptr;
        source->run(source, events[i].events);
        work_off(loop,
                 EVENT_ROUNDS); /* at once: the next one's calls take their place, also in the processor's cache */
    }
    obey(loop, acceptor);
    take_posted(loop);
    h2_timers_run(&loop->timers, loop->now);
    work_off(loop, ROUNDS);
    free_gone(loop);
    tell_empty(loop);
}

void *h2_loop_run(void *data)
{
    struct h2_loop *loop = data;
    here = loop;
    struct h2_acceptor *acceptor = loop == loop->server->loops ? h2_acceptor_new(loop) : NULL;
    while ((loop->orders & H2_QUIT) == 0)
        turn(loop, acceptor);
    h2_acceptor_free(acceptor);
    return NULL;
}

void h2_loop_init(struct h2_loop *loop, struct h2_server *server)
{
    loop->server = server;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->input = malloc(H2_INPUT);
    loop->output = malloc(H2_OUTPUT);
    if (loop->epoll_fd < 0 || loop->event_fd < 0 || loop->input == NULL || loop->output == NULL)
        abort();
    loop->ready_end = &loop->ready;
    loop->now = clock_monotonic();
    loop->on_event.run = on_event;
    h2_rate_init(&loop->handshake_lines, H2_HANDSHAKE_LINES, loop->now);
    pthread_mutex_init(&loop->lock, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &loop->on_event};
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->event_fd, &event);
}

void h2_loop_done(struct h2_loop *loop)
{
    for (struct h2_stream *stream = loop->idle, *next; stream != NULL; stream = next) {
        next = stream->next_idle;
        h2_stream_free(stream);
    }
    h2_pool_done(&loop->pool);
    h2_timers_done(&loop->timers);
    close(loop->epoll_fd);
    close(loop->event_fd);
    free(loop->input);
    free(loop->output);
    pthread_mutex_destroy(&loop->lock);
}
