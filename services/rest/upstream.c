/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "call/call.h"

#include <gatehouse.h>
#include <stdio.h>
#include <stdlib.h>

struct upstream {
    ProtobufCService service; /* first: it is what is handed out */
    ProtobufCService *remote;
};

/* One call on its way to the remote server. */
struct passage {
    struct gatehouse_call remote; /* first: it is the closure_data */
    struct call *call;
    ProtobufCClosure closure;
};

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

static void answered(const ProtobufCMessage *response, void *closure_data)
{
    struct passage *passage = closure_data;
    struct call *call = passage->call;
    if (response == NULL) {
        call->error.status = (enum status)passage->remote.status;
        bool is_servers = passage->remote.reason[0] != '\0';
        utf8_copy(call->error.message, sizeof call->error.message,
                  is_servers ? passage->remote.message : own_words(call->error.status));
        if (!is_servers)
            log_write(LOG_LEVEL_WARN, "upstream_failed", "request_id", call->request_id, "status",
                      status_name(call->error.status), "message", passage->remote.message, NULL);
        utf8_copy(call->error.reason, sizeof call->error.reason, passage->remote.reason);
        utf8_copy(call->error.field, sizeof call->error.field, passage->remote.field);
        call->error.retry_after_ms = passage->remote.retry_after_ms;
        if (call->error.status == STATUS_UNAVAILABLE && call->error.retry_after_ms == 0)
            call->error.retry_after_ms = 1000; /* the server behind is away */
    }
    passage->closure(response, call);
    free(passage);
}

static void invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                   ProtobufCClosure closure, void *closure_data)
{
    struct upstream *upstream = (struct upstream *)service;
    struct call *call = closure_data;
    struct passage *passage = calloc(1, sizeof *passage);
    if (passage == NULL) {
        (void)!call_fail(call, STATUS_UNAVAILABLE, "OUT_OF_MEMORY", "out of memory");
        closure(NULL, call);
        return;
    }
    bool speaks_for_itself = call->authorization == NULL && call->identities != NULL && call->identities[0] != NULL;
    int64_t left_ms = call->deadline == INT64_MAX ? 0 : (call->deadline - clock_monotonic()) / 1000;
    passage->call = call;
    passage->closure = closure;
    passage->remote.timeout_ms = call->deadline != INT64_MAX && left_ms < 1 ? 1 : left_ms;
    passage->remote.authorization = speaks_for_itself || call->authorization != NULL ? call->authorization : "";
    passage->remote.request_id = call->request_id;
    passage->remote.traceparent = call->traceparent;
    passage->remote.peer = call->peer[0] == '\0' ? NULL : call->peer;
    upstream->remote->invoke(upstream->remote, method, request, answered, &passage->remote);
}

static void nothing(ProtobufCService *service)
{
    (void)service; /* upstream_free frees it */
}

ProtobufCService *upstream_new(ProtobufCService *remote)
{
    struct upstream *upstream = calloc(1, sizeof *upstream);
    if (upstream == NULL)
        return NULL;
    upstream->service = (ProtobufCService){remote->descriptor, invoke, nothing};
    upstream->remote = remote;
    return &upstream->service;
}

void upstream_free(ProtobufCService *service)
{
    free(service);
}
