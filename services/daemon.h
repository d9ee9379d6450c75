/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the daemon, put together and taken apart: config, what works on the store or the server behind, then rpc
 * and rest. */
#ifndef DAEMON_H
#define DAEMON_H

#include "config.h"
#include "local.h"
#include "remote.h"
#include "rest/rest.h"
#include "rpc/server.h"
#include "supervisor.h"

struct daemon {
    struct config config;
    struct supervisor_sockets sockets;
    bool is_edge;
    struct local local;   /* what works on the store; not at an edge */
    struct remote remote; /* else the server behind */
    struct metrics *metrics;
    struct rpc_server *rpc;
    struct rest_server *rest;
    struct directory_ends ends[2]; /* within 7 and 30 days, as counted last, */
    int64_t ends_counted;          /* then; all that is in memory is looked at for it */
    _Atomic bool is_draining;
    bool is_serving; /* as the health service says */
};

/* Opens the store and the domain, or begins to wait for the store, and listens. False: the log says why; daemon_stop is
 * still to be called. */
bool daemon_start(struct daemon *daemon);

/* It serves on, but is not ready any more: /readyz and the health service say so. */
void daemon_begin_stop(struct daemon *daemon);

/* Closes the ports, HTTP's and gRPC's at the same time. Also after a start that failed. Accepted calls are answered;
 * then what is in memory is stored. */
void daemon_stop(struct daemon *daemon);

/* Not while it drains or waits for its store, nor without word from a database that others write to, nor without a
 * connection to the server behind. */
bool daemon_is_ready(void *daemon);

/* A line on a clock that has jumped, or is behind; "" in ordinary life. */
void daemon_describe_clock(void *daemon, char text[static READY_DETAIL_MAX]);

#endif
