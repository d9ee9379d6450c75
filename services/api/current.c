/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a call is answered from memory, memory must be current: it is, while this replica's lease lasts. Otherwise the
 * change log is read first; where it cannot be, the answer is UNAVAILABLE. Administrators always see what the other
 * replicas' administrators did.
 */
#include "api/internal.h"
#include "base/must.h"
#include "domain/follow.h"

#include <stdlib.h>

enum { LOOKS_MAX = 20 }; /* each of which took longer than the lease */

struct waiting {
    struct follow *follow;
    int looks;
    invoke_fn *invoke;
    ProtobufCService *service;
    unsigned method;
    const ProtobufCMessage *request;
    ProtobufCClosure closure;
    struct call *call;
};

/* A look that took longer than the lease proves too little: look again. */
static void go_on(enum status status, void *arg)
{
    struct waiting *waiting = arg;
    bool is_late = status == STATUS_OK && !follow_has_lease(waiting->follow);
    if (is_late && ++waiting->looks < LOOKS_MAX) {
        follow_refresh(waiting->follow, go_on, waiting);
        return;
    }
    if (is_late)
        status = STATUS_UNAVAILABLE;
    if (status == STATUS_OK) {
        waiting->invoke(waiting->service, waiting->method, waiting->request, waiting->closure, waiting->call);
    } else {
        answer_failure(waiting->call, status);
        waiting->closure(NULL, waiting->call);
    }
    free(waiting);
}

void current_invoke(struct api *api, bool is_always, invoke_fn *invoke, ProtobufCService *service, unsigned method,
                    const ProtobufCMessage *request, ProtobufCClosure closure, void *closure_data)
{
    struct follow *follow = api->domain->follow;
    if (follow_is_current(follow) && !(is_always && follow != NULL)) {
        invoke(service, method, request, closure, closure_data);
        return;
    }
    struct waiting *waiting = must(malloc(sizeof *waiting));
    *waiting = (struct waiting){follow, 0, invoke, service, method, request, closure, closure_data};
    follow_refresh(follow, go_on, waiting);
}
