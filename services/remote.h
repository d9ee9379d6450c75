/* SPDX-License-Identifier: Apache-2.0 */
/* The server behind an edge: the connection to it, anew when its certificates or its secret change, and the services on
 * it that the ports are given. */
#ifndef REMOTE_H
#define REMOTE_H

#include "call/authorization.h"
#include "call/door.h"
#include "call/peer.h"
#include "config.h"

#include <gatehouse.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { REMOTE_FILES = 4 }; /* authority, certificate, key, secret */

/* A connection with its memory, and the two services on it. */
struct remote_link {
    struct gatehouse *connection;
    struct edge *auth;
    ProtobufCService *admin;
};

struct remote {
    const struct config *config;
    const char **introspect_identities;     /* local_list_identities */
    struct peer_trust peer_trust;           /* who is believed for whom they call */
    struct remote_link now, former;         /* former: calls may still be on their way over it */
    _Atomic(struct gatehouse *) connection; /* now's, for other threads; NULL: none */
    int64_t former_since;
    bool is_due; /* reading the files again waits for the end of the former */
    struct timespec changed[REMOTE_FILES];
    struct door auth, admin;
    struct authorization authorization; /* Envoy's */

    bool was_trusted;
    int64_t untrusted_since, asked_why;
    _Atomic bool is_asking;

    pthread_t cutter; /* between remote_begin_stop and remote_stop */
    bool is_cutting;
    int64_t cut_from; /* by CLOCK_MONOTONIC */
    sem_t drained;    /* posted: the cutter ends */
};

/* False: the log says why. */
bool remote_start(struct remote *remote, const struct config *config);
/* Of a stop, before the ports' drain: whatever is under way to the server soon after grace_ms is cancelled, until
 * remote_stop. Nobody waits for the answer by then, and a server that hangs would keep this process for as long as its
 * callers' deadlines last. */
void remote_begin_stop(struct remote *remote, int64_t grace_ms);
/* Reports the uses that the server does not know yet, for a second at most. Also one that was never begun. */
void remote_stop(struct remote *remote);

/* Of one thread, now and then: ends a former connection whose calls are over, and says in the log when memory is
 * trusted no more, and why. True: a file has changed since it was read. */
bool remote_is_stale(struct remote *remote);

/* Reads the files again. Where they cannot be used, the log says why, and the connection stays. */
void remote_reload(struct remote *remote);

/* Is there a connection to the server now? */
bool remote_is_ready(const struct remote *remote);

/* What the memory does; all zero where there is none. */
void remote_cache_stats(const struct remote *remote, struct gatehouse_cache_stats *ret_stats);

#endif
