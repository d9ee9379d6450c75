/* SPDX-License-Identifier: Apache-2.0 */
/* The transport on libnghttp2, OpenSSL and epoll. */
#include "base/clock.h"
#include "base/log.h"
#include "rpc/h2/conn.h"
#include "rpc/h2/stream.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { STUCK_WARNING_S = 10 };

static void init_sync(struct h2_server *server)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&server->lock, NULL);
}

static enum status bind_port(struct h2_server *server)
{
    const struct rpc_server_options *options = &server->shared->options;
    if (options->tls_cert_file != NULL) {
        server->tls = h2_tls_new(options);
        TRY(h2_tls_load(server->tls));
    }
    if (options->listen_fd != 0)
        return h2_listen_given(&server->listeners, options->listen_fd);
    return h2_listen(&server->listeners, options->address);
}

/* Signals are the main thread's. */
static void start_threads(struct h2_server *server)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; server->thread_count < server->loop_count; server->thread_count++) {
        struct h2_loop *loop = &server->loops[server->thread_count];
        if (pthread_create(&loop->thread, NULL, h2_loop_run, loop) != 0)
            abort();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static enum status start(struct rpc_server *shared)
{
    struct h2_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        abort();
    shared->transport_data = server;
    server->shared = shared;
    server->limits = &shared->options.limits;
    init_sync(server);
    TRY(bind_port(server));
    server->peers = peers_new(server->limits->max_connections_per_address);
    server->callbacks = h2_session_callbacks();
    server->option = h2_session_option();
    server->loops = calloc((size_t)shared->options.threads, sizeof *server->loops);
    if (server->loops == NULL)
        abort();
    for (; server->loop_count < shared->options.threads; server->loop_count++)
        h2_loop_init(&server->loops[server->loop_count], server);
    start_threads(server);
    return STATUS_OK;
}

static int get_port(const struct rpc_server *shared)
{
    const struct h2_server *server = shared->transport_data;
    return server->listeners.port;
}

static bool is_stale(const struct rpc_server *shared)
{
    const struct h2_server *server = shared->transport_data;
    return h2_tls_is_stale(server->tls);
}

static void give_all(struct h2_server *server, unsigned orders)
{
    for (int i = 0; i < server->loop_count; i++)
        h2_loop_give(&server->loops[i], orders);
}

static enum status reload(struct rpc_server *shared)
{
    struct h2_server *server = shared->transport_data;
    TRY(h2_tls_load(server->tls));
    atomic_fetch_add(&server->tls_generation, 1);
    give_all(server, 0);
    return STATUS_OK;
}

static bool is_turning(const struct rpc_server *shared, int64_t limit_ms)
{
    const struct h2_server *server = shared->transport_data;
    int64_t now = clock_monotonic();
    for (int i = 0; i < server->loop_count; i++) {
        int64_t since = atomic_load_explicit(&server->loops[i].busy_since, memory_order_relaxed);
        if (since != 0 && now - since > limit_ms * (CLOCK_SECOND / 1000))
            return false;
    }
    return true;
}

static bool count(const struct rpc_server *shared, struct rpc_counters *ret_counters)
{
    struct h2_server *server = shared->transport_data;
    ret_counters->connections = atomic_load(&server->connections);
    ret_counters->accepted = atomic_load(&server->accepted);
    for (size_t i = 0; i < RPC_LIMIT_COUNT; i++)
        ret_counters->limited[i] = atomic_load(&server->met.met[i]);
    return true;
}

/* Under the lock. */
static unsigned count_loops(const struct h2_server *server, unsigned *ret_live)
{
    unsigned busy = 0;
    *ret_live = 0;
    for (int i = 0; i < server->loop_count; i++) {
        busy += !server->loops[i].is_empty;
        *ret_live += server->loops[i].told_live;
    }
    return busy;
}

/* Until no connection and no call is left. False: `until` (CLOCK_MONOTONIC) came before. */
static bool wait_empty(struct h2_server *server, int64_t until, unsigned *ret_live)
{
    struct timespec time = {.tv_sec = until / CLOCK_SECOND, .tv_nsec = until % CLOCK_SECOND * 1000};
    int waited = 0;
    pthread_mutex_lock(&server->lock);
    while (count_loops(server, ret_live) > 0 && waited == 0)
        waited = pthread_cond_timedwait(&server->changed, &server->lock, &time);
    bool is_empty = count_loops(server, ret_live) == 0;
    pthread_mutex_unlock(&server->lock);
    return is_empty;
}

static void stop(struct rpc_server *shared, int64_t grace_ms)
{
    struct h2_server *server = shared->transport_data;
    unsigned live;
    give_all(server, H2_DRAIN);
    if (!wait_empty(server, clock_monotonic() + grace_ms * (CLOCK_SECOND / 1000), &live)) {
        give_all(server, H2_KILL);
        while (!wait_empty(server, clock_monotonic() + STUCK_WARNING_S * CLOCK_SECOND, &live))
            log_write(LOG_LEVEL_WARN, "grpc_calls_stuck", "count", log_number(live).text, NULL);
    }
    give_all(server, H2_QUIT);
    for (int i = 0; i < server->thread_count; i++)
        pthread_join(server->loops[i].thread, NULL);
    server->thread_count = 0;
}

static void free_server(struct rpc_server *shared)
{
    struct h2_server *server = shared->transport_data;
    for (int i = 0; i < server->loop_count; i++)
        h2_loop_done(&server->loops[i]);
    free(server->loops);
    h2_listen_close(&server->listeners);
    h2_tls_free(server->tls);
    peers_free(server->peers);
    nghttp2_option_del(server->option);
    nghttp2_session_callbacks_del(server->callbacks);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    free(server);
}

/* A stream's end is heard of in any case. */
static void watch_cancel(struct rpc_call *call)
{
    (void)call;
}

const struct rpc_transport rpc_transport_nghttp2 = {
    .name = "nghttp2",
    .start = start,
    .port = get_port,
    .reload = reload,
    .is_stale = is_stale,
    .stop = stop,
    .free = free_server,
    .is_turning = is_turning,
    .count = count,
    .wake = h2_stream_wake,
    .read_next = h2_stream_read_next,
    .watch_cancel = watch_cancel,
};
