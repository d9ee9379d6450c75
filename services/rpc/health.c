/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/health.h"

#include "rpc/server.h"

#include <grpc/health/v1/health.pb-c.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;
#define SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

enum { SERVICES_MAX = 32 }; /* far more than any server of ours has */

struct watch {
    struct watch *next;
    struct call *call;
    ProtobufCClosure closure;
    bool is_known;  /* does the server have the service? */
    bool is_behind; /* its reader is slow: it gets the newest status when there is room again */
};

struct rpc_health {
    ProtobufCService service; /* first: what the stubs are invoked on is this */
    const struct rpc_registry *registry;
    pthread_mutex_t lock; /* guards what follows; a call's own lock may be taken under it */
    bool is_serving;
    struct watch *watches;
};

static bool has_service(const struct rpc_health *health, const char *name)
{
    return *name == '\0' || rpc_registry_has_service(health->registry, name);
}

static serving_status current(const struct rpc_health *health)
{
    return health->is_serving ? SERVING : NOT_SERVING;
}

static void tell(struct call *call, ProtobufCClosure closure, serving_status status)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status = status;
    closure(&response.base, call);
}

static void check(struct rpc_health *health, const Grpc__Health__V1__HealthCheckRequest *request,
                  ProtobufCClosure closure, struct call *call)
{
    if (!has_service(health, request->service)) {
        (void)call_fail(call, STATUS_NOT_FOUND, "UNKNOWN_SERVICE", "the server has no such service");
        closure(NULL, call);
        return;
    }
    pthread_mutex_lock(&health->lock);
    serving_status status = current(health);
    pthread_mutex_unlock(&health->lock);
    tell(call, closure, status);
}

/* The server as a whole is "", and comes first. */
static size_t list_names(const struct rpc_health *health, const char *names[static SERVICES_MAX])
{
    size_t count = 0;
    names[count++] = "";
    for (const struct rpc_method *method = health->registry->methods; method != NULL; method = method->next) {
        const char *name = method->service->descriptor->name;
        size_t i = 0;
        while (i < count && strcmp(names[i], name) != 0)
            i++;
        if (i == count && count < SERVICES_MAX)
            names[count++] = name;
    }
    return count;
}

static void list(struct rpc_health *health, ProtobufCClosure closure, struct call *call)
{
    Grpc__Health__V1__HealthListResponse response = GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__INIT;
    Grpc__Health__V1__HealthCheckResponse each = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    Grpc__Health__V1__HealthListResponse__StatusesEntry entries[SERVICES_MAX], *statuses[SERVICES_MAX];
    const char *names[SERVICES_MAX];
    size_t count = list_names(health, names);
    pthread_mutex_lock(&health->lock);
    each.status = current(health);
    pthread_mutex_unlock(&health->lock);
    for (size_t i = 0; i < count; i++) {
        grpc__health__v1__health_list_response__statuses_entry__init(&entries[i]);
        entries[i].key = (char *)(uintptr_t)names[i];
        entries[i].value = &each;
        statuses[i] = &entries[i];
    }
    response.n_statuses = count;
    response.statuses = statuses;
    closure(&response.base, call);
}

/* Under the lock. */
static void tell_watch(struct rpc_health *health, struct watch *watch)
{
    watch->is_behind = !rpc_call_has_room(watch->call);
    if (!watch->is_behind)
        tell(watch->call, watch->closure, watch->is_known ? current(health) : SERVICE_UNKNOWN);
}

/* The stream's: there is room again. From any thread. */
static void on_ready(struct call *call)
{
    struct rpc_health *health = call->handler_data;
    pthread_mutex_lock(&health->lock);
    for (struct watch *watch = health->watches; watch != NULL; watch = watch->next)
        if (watch->call == call && watch->is_behind)
            tell_watch(health, watch);
    pthread_mutex_unlock(&health->lock);
}

static void end_watch(struct watch *watch)
{
    watch->closure(NULL, watch->call);
    free(watch);
}

/* Takes the call's watch out of the list; NULL: somebody else did. */
static struct watch *take_watch(struct call *call)
{
    struct rpc_health *health = call->handler_data;
    struct watch *found = NULL;
    pthread_mutex_lock(&health->lock);
    for (struct watch **at = &health->watches; *at != NULL; at = &(*at)->next)
        if ((*at)->call == call) {
            found = *at;
            *at = found->next;
            break;
        }
    pthread_mutex_unlock(&health->lock);
    return found;
}

/* The call's: from any thread, once. Frees the watch, unless the server's end has. */
static void on_cancel(struct call *call)
{
    struct watch *watch = take_watch(call);
    if (watch != NULL)
        end_watch(watch);
}

/* The stream's: the server drains. From any thread. Frees the watch, unless a cancellation has. */
static void on_finish(struct call *call)
{
    struct watch *watch = take_watch(call);
    if (watch == NULL)
        return;
    (void)call_fail(call, STATUS_UNAVAILABLE, "DRAINING", "the server ends this stream: begin another");
    end_watch(watch);
}

static void watch_begin(struct rpc_health *health, const Grpc__Health__V1__HealthCheckRequest *request,
                        ProtobufCClosure closure, struct call *call)
{
    struct watch *watch = malloc(sizeof *watch);
    if (watch == NULL) {
        (void)call_fail(call, STATUS_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory");
        closure(NULL, call);
        return;
    }
    *watch = (struct watch){.call = call, .closure = closure, .is_known = has_service(health, request->service)};
    call->handler_data = health;
    call->on_cancel = on_cancel;
    rpc_call_on_ready(call, on_ready);
    pthread_mutex_lock(&health->lock);
    watch->next = health->watches;
    health->watches = watch;
    tell_watch(health, watch);
    pthread_mutex_unlock(&health->lock);
    rpc_call_on_finish(call, on_finish);
}

/* The service's: on the call's thread. */
static void invoke(ProtobufCService *service, unsigned index, const ProtobufCMessage *request, ProtobufCClosure closure,
                   void *closure_data)
{
    struct rpc_health *health = (struct rpc_health *)service;
    const char *name = service->descriptor->methods[index].name;
    if (strcmp(name, "Watch") == 0)
        watch_begin(health, (const Grpc__Health__V1__HealthCheckRequest *)request, closure, closure_data);
    else if (strcmp(name, "List") == 0)
        list(health, closure, closure_data);
    else
        check(health, (const Grpc__Health__V1__HealthCheckRequest *)request, closure, closure_data);
}

struct rpc_health *rpc_health_new(const struct rpc_registry *registry)
{
    struct rpc_health *health = calloc(1, sizeof *health);
    if (health == NULL)
        abort();
    health->service = (ProtobufCService){.descriptor = &grpc__health__v1__health__descriptor, .invoke = invoke};
    health->registry = registry;
    health->is_serving = true;
    pthread_mutex_init(&health->lock, NULL);
    return health;
}

ProtobufCService *rpc_health_service(struct rpc_health *health)
{
    return &health->service;
}

void rpc_health_set(struct rpc_health *health, bool is_serving)
{
    pthread_mutex_lock(&health->lock);
    bool has_changed = health->is_serving != is_serving;
    health->is_serving = is_serving;
    for (struct watch *watch = health->watches; has_changed && watch != NULL; watch = watch->next)
        if (watch->is_known)
            tell_watch(health, watch);
    pthread_mutex_unlock(&health->lock);
}

void rpc_health_free(struct rpc_health *health)
{
    if (health == NULL)
        return;
    pthread_mutex_destroy(&health->lock);
    free(health);
}
