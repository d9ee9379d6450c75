/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"
#include "log.h"
#include "rpc/internal.h"

#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    DEFAULT_THREADS = 4, /* fewer, and one hostile header (CVE-2023-33953) stops everyone */
    DEFAULT_STREAMS = 256,
    DEFAULT_MESSAGE_BYTES = 65536,
    METADATA_BYTES = 8192,
    STUCK_WARNING_S = 10,
    QUIET_MS = 1000,
};

/* gRPC core's own lines go where ours go. */
static void forward_log(gpr_log_func_args *args)
{
    enum log_level level = args->severity == GPR_LOG_SEVERITY_ERROR ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;
    log_write(level, "grpc", "message", args->message, NULL);
}

static const char *copy_option(const char *value)
{
    char *copy = value != NULL ? strdup(value) : NULL;
    if (value != NULL && copy == NULL)
        abort();
    return copy;
}

static void copy_options(struct rpc_server_options *to, const struct rpc_server_options *from)
{
    *to = *from;
    to->address = copy_option(from->address);
    to->tls_cert_file = copy_option(from->tls_cert_file);
    to->tls_key_file = copy_option(from->tls_key_file);
    to->tls_client_ca_file = copy_option(from->tls_client_ca_file);
    if (to->threads <= 0)
        to->threads = DEFAULT_THREADS;
    if (to->max_message_bytes == 0)
        to->max_message_bytes = DEFAULT_MESSAGE_BYTES;
    if (to->max_concurrent_streams <= 0)
        to->max_concurrent_streams = DEFAULT_STREAMS;
}

static const char *check_options(const struct rpc_server_options *options)
{
    if (options->address == NULL || options->address[0] == '\0')
        return "the gRPC server has no address";
    if ((options->tls_cert_file == NULL) != (options->tls_key_file == NULL))
        return "TLS needs a certificate and its key";
    if (options->tls_client_ca_file != NULL && options->tls_cert_file == NULL)
        return "mutual TLS needs a certificate of the server's own";
    if (options->max_message_bytes > INT32_MAX / 2)
        return "the message limit is too large";
    return NULL;
}

static void on_shutdown(struct rpc_tag *tag, bool ok)
{
    (void)ok;
    struct rpc_server *server = RPC_CONTAINER(tag, struct rpc_server, on_shutdown);
    pthread_mutex_lock(&server->lock);
    server->is_shut_down = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void init_slots(struct rpc_method *method)
{
    for (size_t i = 0; i < RPC_SLOTS; i++) {
        struct rpc_slot *slot = &method->slots[i];
        slot->tag.run = rpc_slot_arrived;
        slot->method = method;
        grpc_metadata_array_init(&slot->metadata);
        grpc_call_details_init(&slot->details);
    }
}

static void done_slots(struct rpc_method *method)
{
    for (size_t i = 0; i < RPC_SLOTS; i++) {
        grpc_metadata_array_destroy(&method->slots[i].metadata);
        grpc_call_details_destroy(&method->slots[i].details);
    }
}

static void init_sync(struct rpc_server *server)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&server->lock, NULL);
}

struct rpc_server *rpc_server_new(const struct rpc_server_options *options, const char **ret_why)
{
    *ret_why = check_options(options);
    if (*ret_why != NULL)
        return NULL;
    struct rpc_files *files = rpc_files_new(options->descriptor_set, options->descriptor_set_len);
    uint64_t random;
    if (files == NULL || getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
        *ret_why = "the descriptor set cannot be read";
        rpc_files_free(files);
        return NULL;
    }
    struct rpc_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        abort();
    gpr_set_log_function(forward_log);
    grpc_init();
    copy_options(&server->options, options);
    init_sync(server);
    snprintf(server->request_id_prefix, sizeof server->request_id_prefix, "%016" PRIx64, random);
    server->on_shutdown.run = on_shutdown;
    server->files = files;
    server->unknown.server = server;
    init_slots(&server->unknown);
    if (options->tls_cert_file != NULL)
        server->tls = rpc_tls_new(&server->options);
    server->health = rpc_health_new(server);
    server->reflection = rpc_reflection_new(server);
    rpc_server_add(server, rpc_health_service(server->health));
    rpc_server_add(server, rpc_reflection_service(server->reflection, false));
    rpc_server_add(server, rpc_reflection_service(server->reflection, true));
    return server;
}

void rpc_server_add(struct rpc_server *server, ProtobufCService *service)
{
    const ProtobufCServiceDescriptor *descriptor = service->descriptor;
    for (unsigned i = 0; i < descriptor->n_methods; i++) {
        struct rpc_method *method = calloc(1, sizeof *method);
        if (method == NULL || asprintf(&method->path, "/%s/%s", descriptor->name, descriptor->methods[i].name) < 0)
            abort();
        method->server = server;
        method->service = service;
        method->index = i;
        rpc_files_streaming(server->files, descriptor->name, descriptor->methods[i].name, &method->client_streams,
                            &method->server_streams);
        init_slots(method);
        method->next = server->methods;
        server->methods = method;
    }
}

void rpc_server_observe(struct rpc_server *server, rpc_observe_fn *observe, void *arg)
{
    server->observe = observe;
    server->observe_arg = arg;
}

#define INTEGER_ARG(name, number)                                                                  \
    (grpc_arg)                                                                                     \
    {                                                                                              \
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)(name), .value.integer = (int)(number) \
    }

static grpc_server *create(const struct rpc_server_options *options)
{
    grpc_arg args[] = {
        INTEGER_ARG(GRPC_ARG_MAX_CONCURRENT_STREAMS, options->max_concurrent_streams),
        INTEGER_ARG(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, options->max_message_bytes),
        INTEGER_ARG(GRPC_ARG_MAX_METADATA_SIZE, METADATA_BYTES),
        INTEGER_ARG(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1), /* none: a bomb is refused unread */
        INTEGER_ARG(GRPC_ARG_ALLOW_REUSEPORT, 0), /* a second daemon on the port is an error, not a share */
        INTEGER_ARG(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 300000),
        INTEGER_ARG(GRPC_ARG_MAX_CONNECTION_AGE_MS, 900000),
        INTEGER_ARG(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, 30000),
        INTEGER_ARG(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 5000),
        INTEGER_ARG(GRPC_ARG_KEEPALIVE_TIME_MS, 60000),
        INTEGER_ARG(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000),
        INTEGER_ARG(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2),
        INTEGER_ARG(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        INTEGER_ARG(GRPC_ARG_ENABLE_CHANNELZ, 0),
    };
    grpc_channel_args all = {.num_args = sizeof args / sizeof *args, .args = args};
    return grpc_server_create(&all, NULL);
}

static enum status bind_port(struct rpc_server *server)
{
    grpc_server_credentials *credentials;
    if (server->tls != NULL) {
        TRY(rpc_tls_load(server->tls));
        credentials = rpc_tls_credentials(server->tls);
    } else {
        credentials = grpc_insecure_server_credentials_create();
    }
    server->port = grpc_server_add_http2_port(server->server, server->options.address, credentials);
    grpc_server_credentials_release(credentials);
    return server->port != 0 ? STATUS_OK : STATUS_UNAVAILABLE;
}

static void *poll_queue(void *data)
{
    struct rpc_server *server = data;
    for (;;) {
        grpc_event event = grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        RPC_TSAN_ACQUIRE(event.tag);
        struct rpc_tag *tag = event.tag;
        tag->run(tag, event.success != 0);
    }
}

/* Signals are the main thread's. */
static void start_threads(struct rpc_server *server)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    server->threads = calloc((size_t)server->options.threads, sizeof *server->threads);
    if (server->threads == NULL)
        abort();
    for (; server->thread_count < server->options.threads; server->thread_count++)
        if (pthread_create(&server->threads[server->thread_count], NULL, poll_queue, server) != 0)
            abort();
    server->watchdog = rpc_watchdog_start(server->options.address, server->port);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void register_method(struct rpc_server *server, struct rpc_method *method)
{
    method->handle = grpc_server_register_method(
        server->server, method->path, NULL,
        method->client_streams ? GRPC_SRM_PAYLOAD_NONE : GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    if (method->handle == NULL)
        abort(); /* a bug: the same service twice */
}

enum status rpc_server_start(struct rpc_server *server)
{
    server->queue = grpc_completion_queue_create_for_next(NULL);
    server->server = create(&server->options);
    grpc_server_register_completion_queue(server->server, server->queue, NULL);
    for (struct rpc_method *method = server->methods; method != NULL; method = method->next)
        register_method(server, method);
    TRY(bind_port(server));
    grpc_server_start(server->server);
    for (struct rpc_method *method = server->methods; method != NULL; method = method->next)
        for (size_t i = 0; i < RPC_SLOTS; i++)
            rpc_slot_post(&method->slots[i]);
    for (size_t i = 0; i < RPC_UNKNOWN_SLOTS; i++)
        rpc_slot_post(&server->unknown.slots[i]);
    start_threads(server);
    server->is_running = true;
    return STATUS_OK;
}

int rpc_server_port(const struct rpc_server *server)
{
    return server->port;
}

void rpc_server_set_serving(struct rpc_server *server, bool is_serving)
{
    rpc_health_set(server->health, is_serving);
}

bool rpc_server_is_stale(const struct rpc_server *server)
{
    return server->tls != NULL && rpc_tls_is_stale(server->tls);
}

enum status rpc_server_reload(struct rpc_server *server)
{
    return server->tls != NULL ? rpc_tls_load(server->tls) : STATUS_OK;
}

/* Under the lock. False: `until` (CLOCK_MONOTONIC) has passed and calls still run. */
static bool wait_idle(struct rpc_server *server, int64_t until)
{
    struct timespec time = {.tv_sec = until / CLOCK_SECOND, .tv_nsec = until % CLOCK_SECOND * 1000};
    int waited = 0;
    while (waited == 0 && (!server->is_shut_down || server->active > 0))
        waited = pthread_cond_timedwait(&server->changed, &server->lock, &time);
    return server->is_shut_down && server->active == 0;
}

/* Under the lock. Until all have gone, or only idle ones are left: a client with nothing to say may not look at
 * its connection, and see the GOAWAY, for five seconds. */
static bool wait_gone(struct rpc_server *server, int64_t grace_ms)
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
static void wait_calls(struct rpc_server *server, int64_t grace_ms)
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

void rpc_server_stop(struct rpc_server *server, int64_t grace_ms)
{
    if (!server->is_running)
        return;
    rpc_watchdog_stop(server->watchdog);
    rpc_server_set_serving(server, false);
    atomic_store(&server->is_draining, true);
    RPC_TSAN_RELEASE(&server->on_shutdown);
    grpc_server_shutdown_and_notify(server->server, server->queue, &server->on_shutdown);
    rpc_health_end_watches(server->health);
    rpc_streams_drain(server);
    wait_calls(server, grace_ms);
    grpc_completion_queue_shutdown(server->queue);
    for (int i = 0; i < server->thread_count; i++)
        pthread_join(server->threads[i], NULL);
    server->is_running = false;
}

/* A server that could not bind has no threads: its shutdown is waited for here. */
static void shut_down_unstarted(struct rpc_server *server)
{
    grpc_server_shutdown_and_notify(server->server, server->queue, NULL);
    grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_completion_queue_shutdown(server->queue);
    while (grpc_completion_queue_next(server->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
}

static void free_methods(struct rpc_server *server)
{
    for (struct rpc_method *method = server->methods, *next; method != NULL; method = next) {
        next = method->next;
        done_slots(method);
        free(method->path);
        free(method);
    }
    done_slots(&server->unknown);
}

void rpc_server_free(struct rpc_server *server)
{
    if (server == NULL)
        return;
    rpc_server_stop(server, 0);
    if (server->server != NULL && server->thread_count == 0)
        shut_down_unstarted(server);
    if (server->server != NULL) {
        grpc_server_destroy(server->server);
        grpc_completion_queue_destroy(server->queue);
    }
    for (struct rpc_call *call = server->idle, *next; call != NULL; call = next) {
        next = call->next_idle;
        rpc_call_free(call);
    }
    free_methods(server);
    rpc_health_free(server->health);
    rpc_reflection_free(server->reflection);
    grpc_shutdown();
    rpc_tls_free(server->tls);
    rpc_files_free(server->files);
    free(server->threads);
    free((char *)(uintptr_t)server->options.address);
    free((char *)(uintptr_t)server->options.tls_cert_file);
    free((char *)(uintptr_t)server->options.tls_key_file);
    free((char *)(uintptr_t)server->options.tls_client_ca_file);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    free(server);
}
