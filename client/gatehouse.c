/* SPDX-License-Identifier: Apache-2.0 */
#include "gatehouse.h"
#include "base/utf8.h"
#include "cache.h"
#include "internal.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_TIMEOUT_MS = 10000, LEASE_LEAST_MS = 50, LEASE_MOST_MS = 10000 };

static const char default_address[] = "127.0.0.1:50051";

/* "host:port", or one of gRPC's own schemes. */
static bool is_address(const char *address)
{
    static const char *const schemes[] = {"unix:", "unix-abstract:", "dns:", "ipv4:", "ipv6:"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(address, schemes[i], strlen(schemes[i])) == 0)
            return address[strlen(schemes[i])] != '\0';
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address)
        return false;
    size_t digits = strspn(colon + 1, "0123456789");
    return digits > 0 && digits <= 5 && colon[1 + digits] == '\0' && atoi(colon + 1) <= 65535;
}

static grpc_arg integer_arg(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
}

static grpc_arg string_arg(const char *key, const char *value)
{
    return (grpc_arg){.type = GRPC_ARG_STRING, .key = (char *)(uintptr_t)key, .value.string = (char *)(uintptr_t)value};
}

grpc_channel *gatehouse_channel_new(const struct gatehouse *gatehouse)
{
    grpc_arg args[13];
    size_t count = 0;
    args[count++] = integer_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0); /* a token is not shown to a proxy */
    args[count++] = integer_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    args[count++] = integer_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    args[count++] = string_arg(GRPC_ARG_LB_POLICY_NAME, "round_robin"); /* over all addresses that a name has */
    args[count++] = integer_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    args[count++] = integer_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
    args[count++] = integer_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
    args[count++] = integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS, 60000);
    args[count++] = integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
    args[count++] = integer_arg(GRPC_ARG_ENABLE_CHANNELZ, 0);
    args[count++] = string_arg(GRPC_ARG_PRIMARY_USER_AGENT_STRING, "gatehouse-c/" GATEHOUSE_VERSION);
    if (gatehouse->server_name != NULL)
        args[count++] = string_arg(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, gatehouse->server_name);
    grpc_channel_args all = {.num_args = count, .args = args};
    return grpc_channel_create(gatehouse->address, gatehouse->credentials, &all);
}

static char *copy(const char *text)
{
    char *result = text != NULL ? strdup(text) : NULL;
    if (text != NULL && result == NULL)
        abort();
    return result;
}

static void connection_free(struct gatehouse *gatehouse)
{
    for (struct invocation *one = gatehouse->idle.first, *next; one != NULL; one = next) {
        next = one->next;
        gatehouse_invocation_free(one);
    }
    if (gatehouse->wake_call != NULL)
        grpc_call_unref(gatehouse->wake_call);
    gatehouse_cache_free(gatehouse->cache);
    grpc_channel_destroy(gatehouse->channel);
    grpc_channel_credentials_release(gatehouse->credentials);
    grpc_completion_queue_destroy(gatehouse->queue);
    for (struct remote_service *service = gatehouse->others, *next; service != NULL; service = next) {
        next = service->next;
        gatehouse_remote_service_free(service);
    }
    gatehouse_remote_service_free(gatehouse->auth);
    gatehouse_remote_service_free(gatehouse->admin);
    free(gatehouse->address);
    free(gatehouse->server_name);
    gatehouse_token_wipe(gatehouse->client_id);
    gatehouse_token_wipe(gatehouse->client_secret);
    gatehouse_token_wipe(gatehouse->token);
    pthread_mutex_destroy(&gatehouse->lock);
    pthread_cond_destroy(&gatehouse->changed);
    free(gatehouse);
    gatehouse_process_end();
}

/* The credentials are the connection's from now on. */
static struct gatehouse *connect_with(const char *address, const struct gatehouse_options *options,
                                      grpc_channel_credentials *credentials)
{
    struct gatehouse *gatehouse = calloc(1, sizeof *gatehouse);
    if (gatehouse == NULL)
        abort();
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_init(&gatehouse->lock, NULL);
    pthread_cond_init(&gatehouse->changed, NULL);
    gatehouse->address = copy(address);
    gatehouse->server_name = copy(options->tls_server_name);
    gatehouse->credentials = credentials;
    gatehouse->channel = gatehouse_channel_new(gatehouse);
    gatehouse->queue = grpc_completion_queue_create_for_next(NULL);
    gatehouse->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    gatehouse->random = (uint32_t)now.tv_nsec;
    gatehouse->client_id = copy(options->client_id);
    gatehouse->client_secret = copy(options->client_secret);
    gatehouse_token_set(gatehouse, options->access_token);
    gatehouse->auth = gatehouse_remote_service_new(gatehouse, &gatehouse__v1__auth_service__descriptor);
    gatehouse->admin = gatehouse_remote_service_new(gatehouse, &gatehouse__v1__credential_admin__descriptor);
    gatehouse->wake_call = grpc_channel_create_registered_call(gatehouse->channel, NULL, 0, gatehouse->queue,
                                                               gatehouse->auth->methods[0].handle,
                                                               gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    gatehouse->cache = gatehouse_cache_new(gatehouse, options);
    return gatehouse;
}

struct gatehouse *gatehouse_open(const struct gatehouse_options *options, char error[256])
{
    char unread[256];
    error = error != NULL ? error : unread;
    error[0] = '\0';
    if (options == NULL) {
        snprintf(error, 256, "options must not be NULL");
        return NULL;
    }
    if (gatehouse_process_is_forked()) {
        snprintf(error, 256, "%s", GATEHOUSE_FORKED);
        return NULL;
    }
    const char *address = options->address != NULL ? options->address : default_address;
    if (!is_address(address)) {
        snprintf(error, 256, "\"%.*s\" is not an address; expected host:port", (int)utf8_fitting(address, 200),
                 address);
        return NULL;
    }
    if ((options->client_id == NULL) != (options->client_secret == NULL)) {
        snprintf(error, 256, "a client ID needs a secret, and a secret its client ID");
        return NULL;
    }
    if (!gatehouse_error_is_header(options->access_token)) {
        snprintf(error, 256, "the access token holds characters that no token has");
        return NULL;
    }
    if (options->cache_lease_ms != 0 &&
        (options->cache_lease_ms < LEASE_LEAST_MS || options->cache_lease_ms > LEASE_MOST_MS)) {
        snprintf(error, 256, "cache_lease_ms must be from %d to %d", LEASE_LEAST_MS, LEASE_MOST_MS);
        return NULL;
    }
    gatehouse_process_begin();
    grpc_channel_credentials *credentials = gatehouse_credentials_new(options, error);
    if (credentials == NULL) {
        gatehouse_process_end();
        return NULL;
    }
    struct gatehouse *gatehouse = connect_with(address, options, credentials);
    if (!gatehouse_run(gatehouse)) {
        snprintf(error, 256, "no thread can be started");
        grpc_completion_queue_shutdown(gatehouse->queue);
        grpc_completion_queue_next(gatehouse->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        connection_free(gatehouse);
        return NULL;
    }
    return gatehouse;
}

int gatehouse_is_connected(struct gatehouse *gatehouse)
{
    return !gatehouse_process_is_forked() &&
           grpc_channel_check_connectivity_state(gatehouse->channel, 1) == GRPC_CHANNEL_READY;
}

/* Under the lock. */
static void cancel(struct invocation *invocation)
{
    invocation->is_cancelled = true;
    if (invocation->call != NULL)
        grpc_call_cancel(invocation->call, NULL);
}

/* Likewise. */
static void cancel_all(struct gatehouse *gatehouse)
{
    for (struct invocation *one = gatehouse->running.first; one != NULL; one = one->next)
        cancel(one);
    for (struct invocation *one = gatehouse->sleeping.first; one != NULL; one = one->next)
        cancel(one);
    gatehouse_wake(gatehouse);
}

void gatehouse_cancel_all(struct gatehouse *gatehouse)
{
    if (gatehouse_process_is_forked())
        return;
    pthread_mutex_lock(&gatehouse->lock);
    cancel_all(gatehouse);
    pthread_mutex_unlock(&gatehouse->lock);
}

void gatehouse_close(struct gatehouse *gatehouse)
{
    if (gatehouse == NULL || gatehouse_process_is_forked())
        return; /* forked: it is the parent's, and some other thread may have been in the midst of it */
    if (gatehouse_process_is_own_thread()) {
        fprintf(stderr, "libgatehouse: gatehouse_close was called from a closure\n");
        abort();
    }
    gatehouse_cache_close(gatehouse->cache);
    pthread_mutex_lock(&gatehouse->lock);
    gatehouse->is_closing = true;
    cancel_all(gatehouse);
    while (gatehouse->active > 0)
        pthread_cond_wait(&gatehouse->changed, &gatehouse->lock);
    pthread_mutex_unlock(&gatehouse->lock);
    gatehouse_token_revoke(gatehouse);
    grpc_completion_queue_shutdown(gatehouse->queue);
    pthread_join(gatehouse->thread, NULL);
    connection_free(gatehouse);
}

void gatehouse_call_cancel(struct gatehouse_call *call)
{
    struct invocation *invocation = __atomic_load_n(&call->internal, __ATOMIC_ACQUIRE);
    if (invocation == NULL || gatehouse_process_is_forked())
        return;
    struct gatehouse *gatehouse = invocation->owner;
    pthread_mutex_lock(&gatehouse->lock);
    if (invocation->user == call) { /* else it has ended, and may be another call's by now */
        cancel(invocation);
        if (invocation->state != STATE_RUNNING)
            gatehouse_wake(gatehouse);
    }
    pthread_mutex_unlock(&gatehouse->lock);
}

ProtobufCService *gatehouse_auth_service(struct gatehouse *gatehouse)
{
    if (gatehouse->cache != NULL)
        return &gatehouse_cache_service(gatehouse->cache)->base;
    return &gatehouse->auth->service.base;
}

ProtobufCService *gatehouse_credential_admin(struct gatehouse *gatehouse)
{
    if (gatehouse->cache != NULL)
        return &gatehouse_cache_admin(gatehouse->cache)->base;
    return &gatehouse->admin->service.base;
}

ProtobufCService *gatehouse_service(struct gatehouse *gatehouse, const ProtobufCServiceDescriptor *descriptor)
{
    if (gatehouse_process_is_forked())
        return &gatehouse_remote_service_new(gatehouse, descriptor)
                    ->service.base; /* refuses each call; nobody frees it */
    pthread_mutex_lock(&gatehouse->lock);
    struct remote_service *service = gatehouse->others;
    while (service != NULL && service->service.base.descriptor != descriptor)
        service = service->next;
    if (service == NULL) {
        service = gatehouse_remote_service_new(gatehouse, descriptor);
        service->next = gatehouse->others;
        gatehouse->others = service;
    }
    pthread_mutex_unlock(&gatehouse->lock);
    return &service->service.base;
}
