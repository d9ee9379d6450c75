/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "rpc/core/core.h"
#include "rpc/core/tls.h"
#include "rpc/core/watchdog.h"

#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AGE_GRACE_MS = 30000, STUCK_WARNING_S = 10, QUIET_MS = 1000 };

/* gRPC core's own lines go where ours go. */
static void forward_log(gpr_log_func_args *args)
{
    enum log_level level = args->severity == GPR_LOG_SEVERITY_ERROR ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;
    log_write(level, "grpc", "message", args->message, NULL);
}

/* A core_tag, on a thread of the queue: no call is left. */
static void on_shutdown(struct core_tag *tag, bool ok)
{
    (void)ok;
    struct core_server *server = RPC_CONTAINER(tag, struct core_server, on_shutdown);
    pthread_mutex_lock(&server->lock);
    server->is_shut_down = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void init_slots(struct core_method *method)
{
    for (size_t i = 0; i < CORE_SLOTS; i++) {
        struct core_slot *slot = &method->slots[i];
        slot->tag.run = core_slot_arrived;
        slot->method = method;
        grpc_metadata_array_init(&slot->metadata);
        grpc_call_details_init(&slot->details);
    }
}

static void done_slots(struct core_method *method)
{
    for (size_t i = 0; i < CORE_SLOTS; i++) {
        grpc_metadata_array_destroy(&method->slots[i].metadata);
        grpc_call_details_destroy(&method->slots[i].details);
    }
}

static void init_sync(struct core_server *server)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&server->lock, NULL);
}

#define INTEGER_ARG(name, number) \
    (grpc_arg) \
    { \
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)(name), .value.integer = (int)(number) \
    }

static grpc_server *create(const struct rpc_limits *limits)
{
    bool is_ageless = limits->connection_age_ms < 0;
    grpc_arg args[] = {
        INTEGER_ARG(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits->max_calls_per_connection),
        INTEGER_ARG(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, limits->max_message_bytes),
        INTEGER_ARG(GRPC_ARG_MAX_METADATA_SIZE, limits->max_header_bytes),
        INTEGER_ARG(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1), /* none: a bomb is refused unread */
        INTEGER_ARG(GRPC_ARG_ALLOW_REUSEPORT, 0), /* a second daemon on the port is an error, not a share */
        INTEGER_ARG(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 300000),
        INTEGER_ARG(GRPC_ARG_MAX_CONNECTION_AGE_MS, is_ageless ? INT32_MAX : limits->connection_age_ms),
        INTEGER_ARG(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, AGE_GRACE_MS),
        INTEGER_ARG(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, limits->handshake_timeout_ms),
        INTEGER_ARG(GRPC_ARG_KEEPALIVE_TIME_MS, 60000),
        INTEGER_ARG(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000),
        INTEGER_ARG(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2),
        INTEGER_ARG(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000),
        INTEGER_ARG(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        INTEGER_ARG(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        INTEGER_ARG(GRPC_ARG_ENABLE_CHANNELZ, 0),
    };
    grpc_channel_args all = {.num_args = sizeof args / sizeof *args, .args = args};
    return grpc_server_create(&all, NULL);
}

static enum status bind_port(struct core_server *server)
{
    grpc_server_credentials *credentials;
    if (server->tls != NULL) {
        TRY(core_tls_load(server->tls));
        credentials = core_tls_credentials(server->tls);
    } else {
        credentials = grpc_insecure_server_credentials_create();
    }
    const char *address = server->shared->options.address;
    server->port = grpc_server_add_http2_port(server->server, address, credentials);
    grpc_server_credentials_release(credentials);
    return server->port != 0 ? STATUS_OK : STATUS_UNAVAILABLE;
}

/* A thread of the queue, until it is shut down: runs the tags that come out of it. */
static void *poll_queue(void *data)
{
    struct core_server *server = data;
    for (;;) {
        grpc_event event = grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        CORE_TSAN_ACQUIRE(event.tag);
        struct core_tag *tag = event.tag;
        tag->run(tag, event.success != 0);
    }
}

/* Signals are the main thread's. */
static void start_threads(struct core_server *server)
{
    const struct rpc_server_options *options = &server->shared->options;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    server->threads = calloc((size_t)options->threads, sizeof *server->threads);
    if (server->threads == NULL)
        abort();
    for (; server->thread_count < options->threads; server->thread_count++)
        if (pthread_create(&server->threads[server->thread_count], NULL, poll_queue, server) != 0)
            abort();
    server->watchdog = core_watchdog_start(options->address, server->port);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void add_method(struct core_server *server, const struct rpc_method *shared)
{
    struct core_method *method = calloc(1, sizeof *method);
    if (method == NULL)
        abort();
    method->server = server;
    method->method = shared;
    method->handle = grpc_server_register_method(
        server->server, shared->path, NULL,
        shared->client_streams ? GRPC_SRM_PAYLOAD_NONE : GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    if (method->handle == NULL)
        abort(); /* a bug: the same service twice */
    init_slots(method);
    method->next = server->methods;
    server->methods = method;
}

static enum status start(struct rpc_server *shared)
{
    struct core_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        abort();
    shared->transport_data = server;
    server->shared = shared;
    gpr_set_log_function(forward_log);
    grpc_init();
    init_sync(server);
    server->on_shutdown.run = on_shutdown;
    server->unknown.server = server;
    init_slots(&server->unknown);
    if (shared->options.tls_cert_file != NULL)
        server->tls = core_tls_new(&shared->options);
    server->queue = grpc_completion_queue_create_for_next(NULL);
    server->server = create(&shared->options.limits);
    grpc_server_register_completion_queue(server->server, server->queue, NULL);
    for (const struct rpc_method *method = shared->registry.methods; method != NULL; method = method->next)
        add_method(server, method);
    TRY(bind_port(server));
    grpc_server_start(server->server);
    for (struct core_method *method = server->methods; method != NULL; method = method->next)
        for (size_t i = 0; i < CORE_SLOTS; i++)
            core_slot_post(&method->slots[i]);
    for (size_t i = 0; i < CORE_UNKNOWN_SLOTS; i++)
        core_slot_post(&server->unknown.slots[i]);
    start_threads(server);
    return STATUS_OK;
}

static int get_port(const struct rpc_server *shared)
{
    const struct core_server *server = shared->transport_data;
    return server->port;
}

static bool is_stale(const struct rpc_server *shared)
{
    const struct core_server *server = shared->transport_data;
    return core_tls_is_stale(server->tls);
}

static enum status reload(struct rpc_server *shared)
{
    struct core_server *server = shared->transport_data;
    return core_tls_load(server->tls);
}

static bool is_turning(const struct rpc_server *shared, int64_t limit_ms)
{
    (void)shared, (void)limit_ms;
    return true; /* the watchdog ends the process where it does not */
}

static bool count_nothing(const struct rpc_server *shared, struct rpc_counters *ret_counters)
{
    (void)shared, (void)ret_counters;
    return false;
}

/* Under the lock. False: `until` (CLOCK_MONOTONIC) has passed and calls still run. */
static bool wait_idle(struct core_server *server, int64_t until)
{
    struct timespec time = {.tv_sec = until / CLOCK_SECOND, .tv_nsec = until % CLOCK_SECOND * 1000};
    int waited = 0;
    while (waited == 0 && (!server->is_shut_down || server->active > 0))
        waited = pthread_cond_timedwait(&server->changed, &server->lock, &time);
    return server->is_shut_down && server->active == 0;
}

/* Under the lock. Until all have gone, or only idle ones are left: a client with nothing to say may not look at
 * its connection, and see the GOAWAY, for five seconds. */
static bool wait_gone(struct core_server *server, int64_t grace_ms)
{
    int64_t end = clock_monotonic() + grace_ms * 1000;
    for (;;) {
        int64_t quiet = clock_monotonic() + QUIET_MS * 1000;
        if (wait_idle(server, quiet < end ? quiet : end))
            return true;
        if (server->active == 0 || clock_monotonic() >= end)
            return false;
    }
}

/* Any batch started after the queue's shutdown aborts the process, so every call must have been given back before. */
static void wait_calls(struct core_server *server, int64_t grace_ms)
{
    pthread_mutex_lock(&server->lock);
    bool is_idle = wait_gone(server, grace_ms);
    pthread_mutex_unlock(&server->lock);
    if (is_idle)
        return;
    grpc_server_cancel_all_calls(server->server);
    pthread_mutex_lock(&server->lock);
    while (!wait_idle(server, clock_monotonic() + STUCK_WARNING_S * CLOCK_SECOND))
        log_write(LOG_LEVEL_WARN, "grpc_calls_stuck", "count", log_number(server->active).text, NULL);
    pthread_mutex_unlock(&server->lock);
}

static void stop(struct rpc_server *shared, int64_t grace_ms)
{
    struct core_server *server = shared->transport_data;
    core_watchdog_stop(server->watchdog);
    CORE_TSAN_RELEASE(&server->on_shutdown);
    grpc_server_shutdown_and_notify(server->server, server->queue, &server->on_shutdown);
    core_streams_finish(server);
    wait_calls(server, grace_ms);
    grpc_completion_queue_shutdown(server->queue);
    for (int i = 0; i < server->thread_count; i++)
        pthread_join(server->threads[i], NULL);
}

/* A server that could not bind has no threads: its shutdown is waited for here. */
static void shut_down_unstarted(struct core_server *server)
{
    grpc_server_shutdown_and_notify(server->server, server->queue, NULL);
    grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_completion_queue_shutdown(server->queue);
    while (grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
}

static void free_methods(struct core_server *server)
{
    for (struct core_method *method = server->methods, *next; method != NULL; method = next) {
        next = method->next;
        done_slots(method);
        free(method);
    }
    done_slots(&server->unknown);
}

static void free_server(struct rpc_server *shared)
{
    struct core_server *server = shared->transport_data;
    if (server->thread_count == 0)
        shut_down_unstarted(server);
    grpc_server_destroy(server->server);
    grpc_completion_queue_destroy(server->queue);
    for (struct core_call *call = server->idle, *next; call != NULL; call = next) {
        next = call->next_idle;
        core_call_free(call);
    }
    free_methods(server);
    grpc_shutdown();
    core_tls_free(server->tls);
    free(server->threads);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    free(server);
}

const struct rpc_transport rpc_transport_core = {
    .name = "core",
    .start = start,
    .port = get_port,
    .reload = reload,
    .is_stale = is_stale,
    .stop = stop,
    .free = free_server,
    .is_turning = is_turning,
    .count = count_nothing,
    .wake = core_call_wake,
    .read_next = core_call_read_next,
    .watch_cancel = core_call_watch_cancel,
};
