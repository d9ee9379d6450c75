/* SPDX-License-Identifier: Apache-2.0 */
#include "http_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "listen.h"
#include "wiping.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

enum { SWEEP_US = 100000, CERTIFICATE_CHECK_US = 5000000 };

/* Headers and bodies pass through libevent's buffers, and secrets with them. */
static void wipe_what_libevent_frees(void)
{
    event_set_mem_functions(malloc, wiping_realloc, wiping_free);
}

struct http_server *http_server_new(const struct http_options *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, wipe_what_libevent_frees);
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->options = *options;
    server->loops = calloc((size_t)options->threads, sizeof *server->loops);
    server->peers = peers_new(options->max_connections_per_address);
    for (int i = 0; server->loops != NULL && i < options->threads; i++) {
        server->loops[i].wake_fd = server->loops[i].listen_fd = -1;
        server->loops[i].server = server;
        pthread_mutex_init(&server->loops[i].lock, NULL);
    }
    if (server->loops != NULL && server->peers != NULL)
        return server;
    http_server_free(server);
    return NULL;
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

/* The fresh_event's, on its loop: connections that were made a moment ago are looked at. */
static void on_fresh(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    conn_begin_fresh(arg);
}

/* A newcomer is refused, and not left waiting in a queue from which nobody takes any more. A socket that was handed
 * over stays open in its owner's hands. */
static void drain(struct loop *loop, int64_t now)
{
    if (loop->bound != NULL)
        evhttp_del_accept_socket(loop->evhttp, loop->bound);
    loop->bound = NULL;
    loop->listener = NULL;
    if (conn_is_none(loop) || now >= atomic_load(&loop->server->drain_deadline))
        event_base_loopbreak(loop->base);
}

/* The wake_fd's, on its loop: another thread has answered requests, or the server drains. */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    (void)fd;
    (void)what;
    request_send_answered(loop);
    if (atomic_load(&loop->server->is_draining))
        drain(loop, clock_monotonic());
}

/* The sweep_event's, on its loop, a few times a second. */
static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    int64_t now = clock_monotonic();
    (void)fd;
    (void)what;
    atomic_store_explicit(&loop->last_sweep, now, memory_order_relaxed);
    conn_sweep(loop, now);
    if (atomic_load(&loop->server->is_draining)) {
        drain(loop, now);
        return;
    }
    evconnlistener_enable(loop->listener); /* where accept had failed */
    if (loop == loop->server->loops && loop->server->options.tls != NULL && now >= loop->next_certificate_check) {
        tls_reload_if_changed(loop->server->options.tls);
        loop->next_certificate_check = now + CERTIFICATE_CHECK_US;
    }
}

/* No file descriptors left, mostly: pause until the next sweep, or this would be called without end. */
static void on_accept_failed(struct evconnlistener *listener, void *arg)
{
    (void)arg;
    log_write(LOG_LEVEL_ERROR, "accept_failed", "reason", strerror(errno), NULL);
    evconnlistener_disable(listener);
}

static bool set_up_evhttp(struct loop *loop)
{
    const struct http_options *options = &loop->server->options;
    loop->evhttp = evhttp_new(loop->base);
    if (loop->evhttp == NULL)
        return false;
    evhttp_set_bevcb(loop->evhttp, conn_accept, loop);
    evhttp_set_gencb(loop->evhttp, request_handle, loop);
    evhttp_set_default_content_type(loop->evhttp, NULL);
    /* The guard's are the limits; these are above them, so that the guard's error is the one that is told. */
    evhttp_set_max_headers_size(loop->evhttp, (ev_ssize_t)options->limits.max_header_bytes + 1024);
    evhttp_set_max_body_size(loop->evhttp, (ev_ssize_t)options->limits.max_body_bytes + 1024);
    evhttp_set_allowed_methods(loop->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
                                                 EVHTTP_REQ_PATCH | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS);
    loop->bound = evhttp_accept_socket_with_handle(loop->evhttp, loop->listen_fd);
    if (loop->bound == NULL)
        return false;
    loop->listen_fd = -1; /* evhttp closes it */
    loop->listener = evhttp_bound_socket_get_listener(loop->bound);
    evconnlistener_set_error_cb(loop->listener, on_accept_failed);
    return true;
}

/* A turn's changes to what epoll is asked are made together, and most of an answer's undo each other. Not with a
 * listening socket that others have, too: by the time that it is taken out it is closed, and epoll goes on to tell. */
static struct event_base *make_base(const struct http_server *server)
{
    struct event_config *config = event_config_new();
    if (config == NULL)
        return NULL;
    if (!server->is_taken_over)
        event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static bool set_up(struct loop *loop)
{
    for (int phase = 0; phase < PHASES; phase++) {
        TAILQ_INIT(&loop->queues[0][phase]);
        TAILQ_INIT(&loop->queues[1][phase]);
    }
    STAILQ_INIT(&loop->fresh);
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->base = make_base(loop->server);
    if (loop->wake_fd < 0 || getrandom(&loop->next_number, sizeof loop->next_number, 0) < 0 || loop->base == NULL ||
        !set_up_evhttp(loop))
        return false;
    loop->wake_event = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
    loop->sweep_event = event_new(loop->base, -1, EV_PERSIST, on_sweep, loop);
    loop->fresh_event = event_new(loop->base, -1, 0, on_fresh, loop);
    return loop->wake_event != NULL && loop->sweep_event != NULL && loop->fresh_event != NULL &&
           event_add(loop->wake_event, NULL) == 0 &&
           event_add(loop->sweep_event, &(struct timeval){.tv_usec = SWEEP_US}) == 0;
}

/* A loop's thread, from start_loop to the end of the drain. */
static void *run(void *arg)
{
    struct loop *loop = arg;
    loop->self = pthread_self();
    event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static enum status start_loop(struct loop *loop)
{
    sigset_t all, before;
    if (!set_up(loop))
        return STATUS_INTERNAL;
    sigfillset(&all); /* signals are the composition's; and a client that is gone must not raise SIGPIPE */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_store(&loop->last_sweep, clock_monotonic());
    loop->is_running = pthread_create(&loop->thread, NULL, run, loop) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return loop->is_running ? STATUS_OK : STATUS_INTERNAL;
}

/* Every loop accepts from the one socket. */
static enum status take_over(struct http_server *server, int fd)
{
    server->is_taken_over = true;
    server->port = listen_port(fd);
    server->is_unix = server->port == 0;
    for (int i = 0; i < server->options.threads; i++)
        TRY(listen_take(fd, &server->loops[i].listen_fd));
    return STATUS_OK;
}

static enum status bind_unix(struct http_server *server)
{
    int fd = unix_socket_listen(server->options.address, server->unix_path);
    if (fd < 0)
        return STATUS_UNAVAILABLE;
    enum status status = take_over(server, fd);
    close(fd);
    return status;
}

static enum status bind_all(struct http_server *server)
{
    const struct http_options *options = &server->options;
    int probe;
    if (options->listen_fd != 0)
        return take_over(server, options->listen_fd);
    if (unix_socket_is_address(options->address))
        return bind_unix(server);
    /* SO_REUSEPORT would let a second daemon bind the same port and take half of the connections. So ask first. */
    TRY(listen_open(options->address, 0, false, &probe));
    server->port = listen_port(probe);
    if (options->threads == 1) {
        server->loops[0].listen_fd = probe;
        return STATUS_OK;
    }
    close(probe);
    for (int i = 0; i < options->threads; i++)
        TRY(listen_open(options->address, server->port, true, &server->loops[i].listen_fd));
    return STATUS_OK;
}

enum status http_server_start(struct http_server *server)
{
    enum status status = bind_all(server);
    for (int i = 0; i < server->options.threads && status == STATUS_OK; i++)
        status = start_loop(&server->loops[i]);
    return status;
}

bool http_server_is_turning(const struct http_server *server, int64_t limit_us)
{
    int64_t now = clock_monotonic();
    for (int i = 0; i < server->options.threads; i++)
        if (server->loops[i].is_running && now - atomic_load(&server->loops[i].last_sweep) > limit_us)
            return false;
    return true;
}

static void wake(struct loop *loop)
{
    (void)!write(loop->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

void http_server_stop(struct http_server *server, int64_t grace_ms)
{
    if (server->unix_path[0] != '\0')
        unlink(server->unix_path);
    server->unix_path[0] = '\0';
    atomic_store(&server->drain_deadline, clock_monotonic() + grace_ms * 1000);
    atomic_store(&server->is_draining, true);
    for (int i = 0; i < server->options.threads; i++) {
        if (!server->loops[i].is_running)
            continue;
        wake(&server->loops[i]);
        pthread_join(server->loops[i].thread, NULL);
        server->loops[i].is_running = false;
    }
}

/* With the loop's thread gone: closes what is left; requests still with their handler lose their connection. */
static void tear_down(struct loop *loop)
{
    conn_begin_fresh(loop);
    if (loop->evhttp != NULL)
        evhttp_free(loop->evhttp);
    if (loop->fresh_event != NULL)
        event_free(loop->fresh_event);
    if (loop->sweep_event != NULL)
        event_free(loop->sweep_event);
    if (loop->wake_event != NULL)
        event_free(loop->wake_event);
    if (loop->base != NULL)
        event_base_free(loop->base);
    if (loop->listen_fd >= 0)
        close(loop->listen_fd);
}

/* With the loops' threads gone: handlers on other threads still have requests, and answer them sooner or later. */
static void wait_for_outstanding(struct loop *loop)
{
    struct pollfd woken = {.fd = loop->wake_fd, .events = POLLIN};
    while (request_send_answered(loop), loop->outstanding > 0)
        (void)poll(&woken, 1, -1);
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    http_server_stop(server, 0);
    for (int i = 0; server->loops != NULL && i < server->options.threads; i++)
        tear_down(&server->loops[i]);
    for (int i = 0; server->loops != NULL && i < server->options.threads; i++) {
        wait_for_outstanding(&server->loops[i]);
        request_free_spare(&server->loops[i]);
        if (server->loops[i].wake_fd >= 0)
            close(server->loops[i].wake_fd);
        pthread_mutex_destroy(&server->loops[i].lock);
    }
    free(server->loops);
    peers_free(server->peers);
    free(server);
}
