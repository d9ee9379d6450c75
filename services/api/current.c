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

struct looking {
    struct follow *follow;
    int looks;
    store_done_fn *done;
    void *arg;
};

/* A look that took longer than the lease proves too little: look again. */
static void go_on(enum status status, void *arg)
{
    struct looking *looking = arg;
    bool is_late = status == STATUS_OK && !follow_has_lease(looking->follow);
    if (is_late && ++looking->looks < LOOKS_MAX) {
        follow_refresh(looking->follow, go_on, looking);
        return;
    }
    looking->done(is_late ? STATUS_UNAVAILABLE : status, looking->arg);
    free(looking);
}

bool current_wait(struct api *api, bool is_always, store_done_fn *done, void *arg)
{
    struct follow *follow = api->domain->follow;
    if (follow == NULL || (follow_is_current(follow) && !is_always))
        return true;
    struct looking *looking = must(malloc(sizeof *looking));
    *looking = (struct looking){follow, 0, done, arg};
    follow_refresh(follow, go_on, looking);
    return false;
}

struct waiting {
    invoke_fn *invoke;
    ProtobufCService *service;
    unsigned method;
    const ProtobufCMessage *request;
    ProtobufCClosure closure;
    struct call *call;
};

/* A store_done_fn, of current_wait: on a thread of the store's; or called at once. Frees the waiting. */
static void invoke_now(enum status status, void *arg)
{
    struct waiting *waiting = arg;
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
    if (follow == NULL || (follow_is_current(follow) && !is_always)) {
        invoke(service, method, request, closure, closure_data);
        return;
    }
    struct waiting *waiting = must(malloc(sizeof *waiting));
    *waiting = (struct waiting){invoke, service, method, request, closure, closure_data};
    if (current_wait(api, is_always, invoke_now, waiting))
        invoke_now(STATUS_OK, waiting);
}
