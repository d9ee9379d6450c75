/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/edge.h"

#include "base/clock.h"
#include "base/must.h"
#include "call/call.h"
#include "contract/contract.h"
#include "edge/upstream.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define UNTRUSTED_FOR (CLOCK_SECOND / 4)

struct edge {
    ProtobufCService service; /* first */
    struct gatehouse *connection;
    ProtobufCService *memory;  /* the cache's; by the edge's own right */
    ProtobufCService *through; /* by the caller's */
    struct contract *contract;
    const char *const *identities;
    const struct peer_trust *trust;
    unsigned introspect, watch;      /* AuthService's methods */
    _Atomic int64_t untrusted_until; /* by clock_monotonic: memory was found not to be trusted */
};

/* One Introspect by the edge's own right: of its caller first, then of what it asks. */
struct asking {
    struct passage passage; /* first */
    struct edge *edge;
    const ProtobufCMessage *request;
    ProtobufCClosure closure;
};

/* A closure of the library's, on its thread, or at once from memory; it owns the asking. */
static void answered(const ProtobufCMessage *response, void *closure_data)
{
    struct asking *asking = closure_data;
    struct call *call = asking->passage.call;
    upstream_leave(asking->edge->through, &asking->passage);
    if (response == NULL)
        upstream_fail(call, &asking->passage.remote, true);
    asking->closure(response, call);
    free(asking);
}

static void ask(struct asking *asking, const ProtobufCMessage *request, ProtobufCClosure closure)
{
    struct edge *edge = asking->edge;
    asking->passage.remote = upstream_call(asking->passage.call);
    upstream_enter(edge->through, &asking->passage);
    edge->memory->invoke(edge->memory, edge->introspect, request, closure, &asking->passage.remote);
}

static bool may_introspect(const struct edge *edge, const Gatehouse__V1__IntrospectResponse *caller)
{
    const char *required = edge->contract->methods[edge->introspect].
                               requires;
    for (size_t i = 0; caller != NULL && caller->active && i < caller->n_roles; i++)
        if (strcmp(caller->roles[i], required) == 0)
            return true;
    return false;
}

/* Without memory this would be two calls in place of one, for the caller and for what it asks: those that come next go
 * through. It is looked at where memory was of no use only, for it takes locks. */
static void look_at_trust(struct edge *edge)
{
    struct gatehouse_cache_stats stats;
    gatehouse_cache_stats(edge->connection, &stats);
    if (!stats.is_trusted)
        atomic_store(&edge->untrusted_until, clock_monotonic() + UNTRUSTED_FOR);
}

/* Whoever has left meanwhile asks nothing more. */
static void go_on(struct asking *asking, const Gatehouse__V1__IntrospectResponse *caller)
{
    struct asking asked = *asking;
    struct call *call = asked.passage.call;
    enum status status = call_waits(call);
    if (status == STATUS_OK && may_introspect(asked.edge, caller)) {
        ask(asking, asked.request, answered);
        return;
    }
    free(asking);
    if (status == STATUS_OK) {
        asked.edge->through->invoke(asked.edge->through, asked.edge->introspect, asked.request, asked.closure, call);
        return;
    }
    (void)!call_fail(call, status, "", "the call has ended before it was answered");
    asked.closure(NULL, call);
}

/* Likewise, of the question who calls. */
static void caller_known(const ProtobufCMessage *response, void *closure_data)
{
    struct asking *asking = closure_data;
    upstream_leave(asking->edge->through, &asking->passage);
    if (!asking->passage.remote.is_from_memory)
        look_at_trust(asking->edge);
    go_on(asking, (const Gatehouse__V1__IntrospectResponse *)response);
}

static struct asking *asking_new(struct edge *edge, struct call *call, const ProtobufCMessage *request,
                                 ProtobufCClosure closure)
{
    struct asking *asking = must(malloc(sizeof *asking));
    *asking = (struct asking){.passage.call = call, .edge = edge, .request = request, .closure = closure};
    upstream_watch(edge->through, call);
    return asking;
}

static bool is_named(const struct edge *edge, const struct call *call)
{
    for (const char *const *name = call->identities; *name != NULL; name++)
        for (const char *const *named = edge->identities; *named != NULL; named++)
            if (strcmp(*name, *named) == 0)
                return true;
    return false;
}

/* false: it goes through. */
static bool introspect(struct edge *edge, struct call *call, const Gatehouse__V1__IntrospectRequest *request,
                       ProtobufCClosure closure)
{
    const char *token = upstream_bearer(call);
    if (request->client_id[0] != '\0' || request->client_secret[0] != '\0')
        return false;
    if (token == NULL && is_named(edge, call)) {
        ask(asking_new(edge, call, &request->base, closure), &request->base, answered);
        return true;
    }
    if (token == NULL || clock_monotonic() < atomic_load(&edge->untrusted_until))
        return false;
    struct address address;
    peer_resolve(edge->trust, call);
    if (!address_parse(call->peer, strlen(call->peer), &address)) /* what has no address, the server judges */
        return false;
    Gatehouse__V1__IntrospectRequest caller = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    caller.token = (char *)(uintptr_t)token;
    caller.api = (char *)(uintptr_t)call->method; /* as the server counts it */
    caller.peer = (char *)(uintptr_t)call->peer;
    ask(asking_new(edge, call, &request->base, closure), &caller.base, caller_known);
    return true;
}

/* The service's invoke: whoever holds it calls it, on any thread. */
static void invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                   ProtobufCClosure closure, void *closure_data)
{
    struct edge *edge = (struct edge *)service;
    if (method == edge->watch) {
        (void)!call_fail(closure_data, STATUS_UNIMPLEMENTED, "NOT_AT_EDGE",
                         "an edge does not pass Watch on; open it to the server itself");
        closure(NULL, closure_data);
    } else if (method != edge->introspect ||
               !introspect(edge, closure_data, (const Gatehouse__V1__IntrospectRequest *)request, closure)) {
        edge->through->invoke(edge->through, method, request, closure, closure_data);
    }
}

/* The service's destroy. */
static void nothing(ProtobufCService *service)
{
    (void)service; /* edge_free frees it */
}

static unsigned find_method(const char *name)
{
    const ProtobufCServiceDescriptor *descriptor = &gatehouse__v1__auth_service__descriptor;
    const ProtobufCMethodDescriptor *method = protobuf_c_service_descriptor_get_method_by_name(descriptor, name);
    return (unsigned)((const ProtobufCMethodDescriptor *)must((void *)(uintptr_t)method) - descriptor->methods);
}

struct edge *edge_new(struct gatehouse *connection, const char *const *identities, const struct peer_trust *trust)
{
    struct edge *edge = must(calloc(1, sizeof *edge));
    edge->service = (ProtobufCService){&gatehouse__v1__auth_service__descriptor, invoke, nothing};
    edge->connection = connection;
    edge->memory = gatehouse_auth_service(connection);
    edge->through = upstream_new(edge->memory, trust);
    edge->contract = contract_new(edge->service.descriptor);
    edge->identities = identities;
    edge->trust = trust;
    edge->introspect = find_method("Introspect");
    edge->watch = find_method("Watch");
    return edge;
}

void edge_free(struct edge *edge)
{
    if (edge == NULL)
        return;
    upstream_free(edge->through);
    contract_free(edge->contract);
    free(edge);
}

ProtobufCService *edge_auth_service(struct edge *edge)
{
    return &edge->service;
}
