/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/utf8.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { RETRY_MS = 1000 };

/* A bearer token that is none: who shows it is known by no certificate either. */
static const char nobody[] = "Bearer -";

struct upstream {
    ProtobufCService service; /* first: it is what is handed out */
    ProtobufCService *remote;
    const struct peer_trust *trust;
    const ProtobufCMethodDescriptor *revoke; /* AuthService's; NULL: it has none */
    pthread_mutex_t lock;
    struct passage *passages; /* that are under way */
};

struct passing {
    struct passage passage; /* first */
    struct upstream *upstream;
    ProtobufCClosure closure;
};

const char *upstream_bearer(const struct call *call)
{
    static const char scheme[] = "Bearer ";
    const char *authorization = call->authorization;
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return NULL;
    authorization += sizeof scheme - 1;
    return authorization + strspn(authorization, " ");
}

/* HTTP/2 takes no value that ends in a space. */
static bool is_sendable(const char *token)
{
    size_t len = token == NULL ? 0 : strlen(token);
    return len > 0 && token[len - 1] != ' ' && token[len - 1] != '\t';
}

struct gatehouse_call upstream_call(const struct call *call)
{
    int64_t left_ms = call->deadline == INT64_MAX ? 0 : (call->deadline - clock_monotonic()) / 1000;
    return (struct gatehouse_call){
        .timeout_ms = call->deadline != INT64_MAX && left_ms < 1 ? 1 : left_ms,
        .request_id = call->request_id,
        .traceparent = call->traceparent,
    };
}

/* Without a reason it is not the server that says so, but gRPC core or OpenSSL, of addresses and certificates: that is
 * for the log. */
static const char *own_words(enum status status)
{
    switch ((int)status) {
    case STATUS_UNAVAILABLE:
        return "the server behind cannot be reached; try again";
    case STATUS_DEADLINE_EXCEEDED:
        return "the server behind did not answer in time";
    case STATUS_CANCELLED:
        return "the call was cancelled";
    case STATUS_RESOURCE_EXHAUSTED:
        return "this is too much for the server behind";
    default:
        return "the server behind gave no answer that makes sense";
    }
}

static void log_failure(const struct call *call, const struct gatehouse_call *remote)
{
    log_write(LOG_LEVEL_WARN, "upstream_failed", "request_id", call->request_id, "status",
              status_name((enum status)remote->status), "reason", remote->reason[0] == '\0' ? NULL : remote->reason,
              "message", remote->message, NULL);
}

void upstream_fail(struct call *call, const struct gatehouse_call *remote, bool is_own)
{
    bool is_refused = remote->status == GATEHOUSE_UNAUTHENTICATED || remote->status == GATEHOUSE_PERMISSION_DENIED;
    if (is_own && is_refused) {
        log_failure(call, remote);
        (void)!call_fail_retry(call, STATUS_UNAVAILABLE, "EDGE_REFUSED", RETRY_MS,
                               "the server behind does not let this edge introspect");
        return;
    }
    struct call_error *error = &call->error;
    bool is_servers = remote->reason[0] != '\0';
    error->status = (enum status)remote->status;
    utf8_copy(error->message, sizeof error->message, is_servers ? remote->message : own_words(error->status));
    if (!is_servers)
        log_failure(call, remote);
    utf8_copy(error->reason, sizeof error->reason, remote->reason);
    utf8_copy(error->field, sizeof error->field, remote->field);
    error->retry_after_ms = remote->retry_after_ms;
    if (error->status == STATUS_UNAVAILABLE && error->retry_after_ms == 0)
        error->retry_after_ms = RETRY_MS; /* the server behind is away */
}

void upstream_enter(ProtobufCService *service, struct passage *passage)
{
    struct upstream *upstream = (struct upstream *)service;
    pthread_mutex_lock(&upstream->lock);
    passage->previous = NULL;
    passage->next = upstream->passages;
    if (passage->next != NULL)
        passage->next->previous = passage;
    upstream->passages = passage;
    pthread_mutex_unlock(&upstream->lock);
}

void upstream_leave(ProtobufCService *service, struct passage *passage)
{
    struct upstream *upstream = (struct upstream *)service;
    pthread_mutex_lock(&upstream->lock);
    *(passage->previous != NULL ? &passage->previous->next : &upstream->passages) = passage->next;
    if (passage->next != NULL)
        passage->next->previous = passage->previous;
    pthread_mutex_unlock(&upstream->lock);
}

/* An on_cancel, on a thread of the transport: the server behind need not work for a caller that has left. Where the
 * answer came meanwhile, the passage is gone, and nothing is to be done. */
static void on_cancel(struct call *call)
{
    struct upstream *upstream = call->handler_data;
    pthread_mutex_lock(&upstream->lock);
    struct passage *passage = upstream->passages;
    while (passage != NULL && passage->call != call)
        passage = passage->next;
    if (passage != NULL)
        gatehouse_call_cancel(&passage->remote);
    pthread_mutex_unlock(&upstream->lock);
}

void upstream_watch(ProtobufCService *service, struct call *call)
{
    call->handler_data = service;
    call->on_cancel = on_cancel;
}

/* A closure, on the connection's thread; it owns the passing. */
static void answered(const ProtobufCMessage *response, void *closure_data)
{
    struct passing *passing = closure_data;
    struct call *call = passing->passage.call;
    upstream_leave(&passing->upstream->service, &passing->passage);
    if (response == NULL)
        upstream_fail(call, &passing->passage.remote, false);
    passing->closure(response, call);
    free(passing);
}

/* The service's invoke: whoever holds it calls it, on any thread. */
static void invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                   ProtobufCClosure closure, void *closure_data)
{
    struct upstream *upstream = (struct upstream *)service;
    struct call *call = closure_data;
    struct passing *passing = must(malloc(sizeof *passing));
    peer_resolve(upstream->trust, call);
    *passing = (struct passing){{.remote = upstream_call(call), .call = call}, upstream, closure};
    struct gatehouse_call *remote = &passing->passage.remote;
    remote->authorization = is_sendable(upstream_bearer(call)) ? call->authorization : nobody;
    remote->peer = call->peer[0] == '\0' ? NULL : call->peer;
    if (call->on_cancel == NULL && &service->descriptor->methods[method] != upstream->revoke)
        upstream_watch(service, call);
    upstream_enter(service, &passing->passage);
    upstream->remote->invoke(upstream->remote, method, request, answered, remote);
}

/* The service's destroy. */
static void nothing(ProtobufCService *service)
{
    (void)service; /* upstream_free frees it */
}

ProtobufCService *upstream_new(ProtobufCService *remote, const struct peer_trust *trust)
{
    struct upstream *upstream = must(calloc(1, sizeof *upstream));
    upstream->service = (ProtobufCService){remote->descriptor, invoke, nothing};
    upstream->remote = remote;
    upstream->trust = trust;
    upstream->revoke = protobuf_c_service_descriptor_get_method_by_name(remote->descriptor, "Revoke");
    pthread_mutex_init(&upstream->lock, NULL);
    return &upstream->service;
}

void upstream_free(ProtobufCService *service)
{
    if (service != NULL)
        pthread_mutex_destroy(&((struct upstream *)service)->lock);
    free(service);
}
