/* SPDX-License-Identifier: Apache-2.0 */
/* The server as its owner sees it, whichever transport it has. */
#include "rpc/server.h"

#include "rpc/health.h"
#include "rpc/reflection.h"
#include "rpc/transport.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { DEFAULT_THREADS = 4, KIB = 1024 };

static const struct rpc_limits defaults = {
    .max_connections = 8192,
    .max_connections_per_address = 1024,
    .max_calls_per_connection = 256,
    .max_header_bytes = 8 * KIB,
    .max_message_bytes = 64 * KIB,
    .max_connection_bytes = 4 * KIB * KIB,
    .max_memory_bytes = 256 * KIB * KIB,
    .handshake_timeout_ms = 5000,
    .settings_timeout_ms = 10000,
    .progress_timeout_ms = 20000,
    .answer_timeout_ms = 60000,
    .connection_age_ms = 900000,
    .max_resets_per_second = 500,
    .max_pings_per_second = 10,
};

#define FILL(member) \
    if (limits->member == 0) \
    limits->member = defaults.member

static void fill_limits(struct rpc_limits *limits)
{
    FILL(max_connections);
    FILL(max_connections_per_address);
    FILL(max_calls_per_connection);
    FILL(max_header_bytes);
    FILL(max_message_bytes);
    FILL(max_connection_bytes);
    FILL(max_memory_bytes);
    FILL(handshake_timeout_ms);
    FILL(settings_timeout_ms);
    FILL(progress_timeout_ms);
    FILL(answer_timeout_ms);
    FILL(connection_age_ms);
    FILL(max_resets_per_second);
    FILL(max_pings_per_second);
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
    to->transport = NULL;
    to->address = copy_option(from->address);
    to->tls_cert_file = copy_option(from->tls_cert_file);
    to->tls_key_file = copy_option(from->tls_key_file);
    to->tls_client_ca_file = copy_option(from->tls_client_ca_file);
    to->tls_client_crl_file = copy_option(from->tls_client_crl_file);
    if (to->threads <= 0)
        to->threads = DEFAULT_THREADS;
    fill_limits(&to->limits);
}

static const struct rpc_transport *find_transport(const char *name)
{
    static const struct rpc_transport *const all[] = {&rpc_transport_nghttp2, &rpc_transport_core};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (name == NULL || strcmp(name, all[i]->name) == 0)
            return all[i];
    return NULL;
}

static const char *check_options(const struct rpc_server_options *options)
{
    const struct rpc_transport *transport = find_transport(options->transport);
    if (transport == NULL)
        return "there is no such gRPC transport";
    if (options->listen_fd == 0 && (options->address == NULL || options->address[0] == '\0'))
        return "the gRPC server has no address";
    if ((options->tls_cert_file == NULL) != (options->tls_key_file == NULL))
        return "TLS needs a certificate and its key";
    if (options->tls_client_ca_file != NULL && options->tls_cert_file == NULL)
        return "mutual TLS needs a certificate of the server's own";
    if (options->tls_client_crl_file != NULL && options->tls_client_ca_file == NULL)
        return "a revocation list needs the authority of the clients' certificates";
    if (options->limits.max_message_bytes > INT32_MAX / 2)
        return "the message limit is too large";
    if (transport == &rpc_transport_core && (options->tls_client_crl_file != NULL || options->listen_fd != 0))
        return "gRPC core takes neither a revocation list nor a socket that listens already";
    return NULL;
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
    copy_options(&server->options, options);
    server->transport = find_transport(options->transport);
    snprintf(server->request_id_prefix, sizeof server->request_id_prefix, "%016" PRIx64, random);
    server->files = files;
    server->health = rpc_health_new(&server->registry);
    server->reflection = rpc_reflection_new(&server->registry, files);
    rpc_server_add(server, rpc_health_service(server->health));
    rpc_server_add(server, rpc_reflection_service(server->reflection, false));
    rpc_server_add(server, rpc_reflection_service(server->reflection, true));
    return server;
}

void rpc_server_add(struct rpc_server *server, ProtobufCService *service)
{
    rpc_registry_add(&server->registry, service, server->files);
}

void rpc_server_observe(struct rpc_server *server, rpc_observe_fn *observe, void *arg)
{
    server->observe = observe;
    server->observe_arg = arg;
}

enum status rpc_server_start(struct rpc_server *server)
{
    TRY(server->transport->start(server));
    server->is_running = true;
    return STATUS_OK;
}

int rpc_server_port(const struct rpc_server *server)
{
    return server->transport->port(server);
}

void rpc_server_set_serving(struct rpc_server *server, bool is_serving)
{
    rpc_health_set(server->health, is_serving);
}

bool rpc_server_is_stale(const struct rpc_server *server)
{
    return server->options.tls_cert_file != NULL && server->transport->is_stale(server);
}

enum status rpc_server_reload(struct rpc_server *server)
{
    return server->options.tls_cert_file != NULL ? server->transport->reload(server) : STATUS_OK;
}

bool rpc_server_is_turning(const struct rpc_server *server, int64_t limit_ms)
{
    return server->transport->is_turning(server, limit_ms);
}

bool rpc_server_counters(const struct rpc_server *server, struct rpc_counters *ret_counters)
{
    *ret_counters = (struct rpc_counters){};
    return server->is_running && server->transport->count(server, ret_counters);
}

const char *rpc_limit_name(enum rpc_limit limit)
{
    static const char *const names[RPC_LIMIT_COUNT] = {
        [RPC_LIMIT_CONNECTIONS] = "connections",
        [RPC_LIMIT_ADDRESS] = "connections_of_an_address",
        [RPC_LIMIT_CALLS] = "calls",
        [RPC_LIMIT_HEADERS] = "headers",
        [RPC_LIMIT_MESSAGE] = "message",
        [RPC_LIMIT_MEMORY] = "memory",
        [RPC_LIMIT_HANDSHAKE] = "handshake",
        [RPC_LIMIT_SETTINGS] = "settings",
        [RPC_LIMIT_PROGRESS] = "progress",
        [RPC_LIMIT_ANSWER] = "answer",
        [RPC_LIMIT_RESETS] = "resets",
        [RPC_LIMIT_PINGS] = "pings",
        [RPC_LIMIT_PROTOCOL] = "protocol",
        [RPC_LIMIT_DESCRIPTORS] = "descriptors",
    };
    return names[limit];
}

void rpc_server_stop(struct rpc_server *server, int64_t grace_ms)
{
    if (!server->is_running)
        return;
    rpc_server_set_serving(server, false);
    atomic_store(&server->is_draining, true);
    server->transport->stop(server, grace_ms);
    server->is_running = false;
}

void rpc_server_free(struct rpc_server *server)
{
    if (server == NULL)
        return;
    rpc_server_stop(server, 0);
    if (server->transport_data != NULL)
        server->transport->free(server);
    rpc_registry_clear(&server->registry);
    rpc_health_free(server->health);
    rpc_reflection_free(server->reflection);
    rpc_files_free(server->files);
    free((char *)(uintptr_t)server->options.address);
    free((char *)(uintptr_t)server->options.tls_cert_file);
    free((char *)(uintptr_t)server->options.tls_key_file);
    free((char *)(uintptr_t)server->options.tls_client_ca_file);
    free((char *)(uintptr_t)server->options.tls_client_crl_file);
    free(server);
}
