/* SPDX-License-Identifier: Apache-2.0 */
/* The connection's thread: what comes out of the completion queue, and those calls whose time has come. */
#include "cache.h"
#include "internal.h"

#include <grpc/support/time.h>
#include <signal.h>
#include <stddef.h>

static void on_woken(struct tag *tag)
{
    (void)tag; /* that the thread looks around is all */
}

/* gRPC core has no timers for C, and nothing but an event ends grpc_completion_queue_next. A batch of no operations is
 * an event at once. */
void gatehouse_wake(struct gatehouse *gatehouse)
{
    TSAN_RELEASE(&gatehouse->woken);
    grpc_call_start_batch(gatehouse->wake_call, NULL, 0, &gatehouse->woken, NULL);
}

void gatehouse_wake_now(struct gatehouse *gatehouse)
{
    pthread_mutex_lock(&gatehouse->lock);
    gatehouse_wake(gatehouse);
    pthread_mutex_unlock(&gatehouse->lock);
}

/* Takes out one sleeper that is cancelled or due; NULL: *ret_next says when the next one is. */
static struct invocation *take_due(struct gatehouse *gatehouse, gpr_timespec *ret_next, enum state *ret_state)
{
    gpr_timespec now = gpr_now(GPR_CLOCK_MONOTONIC);
    *ret_next = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    pthread_mutex_lock(&gatehouse->lock);
    struct invocation *sleeper = gatehouse->sleeping.first;
    for (; sleeper != NULL; sleeper = sleeper->next) {
        if (sleeper->is_cancelled || gpr_time_cmp(sleeper->wake, now) <= 0) {
            *ret_state = sleeper->state;
            gatehouse_invocation_wake(sleeper);
            break;
        }
        *ret_next = gpr_time_min(*ret_next, sleeper->wake);
    }
    pthread_mutex_unlock(&gatehouse->lock);
    return sleeper;
}

static bool is_cancelled(struct invocation *invocation)
{
    pthread_mutex_lock(&invocation->owner->lock);
    bool result = invocation->is_cancelled;
    pthread_mutex_unlock(&invocation->owner->lock);
    return result;
}

/* Returns when to look again. */
static gpr_timespec run_due(struct gatehouse *gatehouse)
{
    gpr_timespec next;
    enum state state;
    struct invocation *invocation;
    while ((invocation = take_due(gatehouse, &next, &state)) != NULL) {
        if (is_cancelled(invocation))
            gatehouse_invocation_fail(invocation, GATEHOUSE_CANCELLED, "cancelled");
        else if (state == STATE_BACKOFF)
            gatehouse_invocation_attempt(invocation);
        else
            gatehouse_invocation_fail(invocation, GATEHOUSE_DEADLINE_EXCEEDED,
                                      "the deadline passed before there was a token");
    }
    return next;
}

static void *run(void *data)
{
    struct gatehouse *gatehouse = data;
    gatehouse_process_own_thread();
    for (;;) {
        gpr_timespec next = run_due(gatehouse);
        if (gatehouse->cache != NULL)
            next = gpr_time_min(next, gatehouse_cache_run(gatehouse->cache));
        grpc_event event = grpc_completion_queue_next(gatehouse->queue, next, NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (event.type == GRPC_OP_COMPLETE) {
            struct tag *tag = event.tag;
            TSAN_ACQUIRE(tag);
            tag->run(tag);
        }
    }
}

/* The program's signals are none of its business. */
bool gatehouse_run(struct gatehouse *gatehouse)
{
    gatehouse->woken.run = on_woken;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&gatehouse->thread, NULL, run, gatehouse);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}
