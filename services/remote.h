/* SPDX-License-Identifier: Apache-2.0 */
/* The server behind the shim (--rest-only): the connection to it, anew when its certificates or its secret change. */
#ifndef REMOTE_H
#define REMOTE_H

#include "call/door.h"
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { REMOTE_FILES = 4 }; /* authority, certificate, key, secret */

/* A connection, and the two services that the shim calls on it. */
struct remote_link {
    struct gatehouse *connection;
    ProtobufCService *auth, *admin;
};

struct remote {
    const struct config *config;
    struct remote_link now, former;         /* former: calls may still be on their way over it */
    _Atomic(struct gatehouse *) connection; /* now's, for other threads; NULL: none */
    int64_t former_since;
    bool is_due; /* reading the files again waits for the end of the former */
    struct timespec changed[REMOTE_FILES];
    struct door auth, admin;
};

/* False: the log says why. */
bool remote_start(struct remote *remote, const struct config *config);
void remote_stop(struct remote *remote); /* also one that was never begun */

/* Of one thread, now and then: ends a former connection whose calls are over. True: a file has changed since it was
 * read. */
bool remote_is_stale(struct remote *remote);

/* Reads the files again. Where they cannot be used, the log says why, and the connection stays. */
void remote_reload(struct remote *remote);

/* Is there a connection to the server now? */
bool remote_is_ready(const struct remote *remote);

#endif
