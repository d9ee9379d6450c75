/* SPDX-License-Identifier: Apache-2.0 */
/* The library's only state of its own: two facts that no connection knows. */
#include "internal.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_uint open_connections;
static atomic_bool is_forked;
static _Thread_local bool is_ours;

/* In the child, whose only thread this is. gRPC core's threads and the state of its locks stayed in the parent, so no
 * call to it is safe any more, for good; the count is the parent's, and never falls to zero here. */
static void on_fork(void)
{
    is_ours = false;
    if (atomic_load(&open_connections) > 0)
        atomic_store(&is_forked, true);
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, on_fork);
}

void gatehouse_process_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    atomic_fetch_add(&open_connections, 1);
    grpc_init();
}

void gatehouse_process_end(void)
{
    grpc_shutdown();
    atomic_fetch_sub(&open_connections, 1);
}

bool gatehouse_process_is_forked(void)
{
    return atomic_load(&is_forked);
}

void gatehouse_process_own_thread(void)
{
    is_ours = true;
}

bool gatehouse_process_is_own_thread(void)
{
    return is_ours;
}
