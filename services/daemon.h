/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the daemon, put together and taken apart: config, store, domain, api, then rpc and rest. */
#ifndef DAEMON_H
#define DAEMON_H

#include "api/api.h"
#include "config.h"
#include "rest/rest.h"
#include "rpc/server.h"
#include "supervisor.h"

#include <sys/stat.h>

struct daemon {
    struct config config;
    struct supervisor_sockets sockets;
    struct store *store;
    struct domain *domain;
    struct api *api;
    struct gatehouse *upstream; /* --rest-only */
    ProtobufCService *auth, *admin;
    const char **introspect_identities; /* the configured ones, and the shim's if it serves checks */
    struct metrics *metrics;
    struct rpc_server *rpc;
    struct rest_server *rest;
    _Atomic bool is_draining;
    struct stat store_file; /* of SQLite, when it was opened; st_nlink 0: none */
    bool is_serving;        /* as the health service says */
};

/* Store and domain only. What is wrong is in the log. */
bool daemon_open_store(struct daemon *daemon, bool create);

/* Brings the schema of the store up to date and closes it. False: a line in the log says why not. */
bool daemon_migrate(struct daemon *daemon);

/* Opens the store and the domain, and listens. False: the log says why; daemon_stop is still to be called. */
bool daemon_start(struct daemon *daemon, bool is_rest_only);

/* It serves on, but is not ready any more: /readyz and the health service say so. */
void daemon_begin_stop(struct daemon *daemon);

/* Closes the ports, HTTP's and gRPC's at the same time. Also after a start that failed. Accepted calls are answered;
 * then what is in memory is stored. */
void daemon_stop(struct daemon *daemon, bool is_rest_only);

/* Is the file of the store still where it was opened? What is written now into one that was moved away or deleted would
 * be missed by whoever opens the store next. */
bool daemon_has_store_file(const struct daemon *daemon);

/* Not while it drains, nor without word from a database that others write to. */
bool daemon_is_ready(void *daemon);

/* A line on a clock that has jumped, or is behind; "" in ordinary life. */
void daemon_describe_clock(void *daemon, char text[static READY_DETAIL_MAX]);

#endif
