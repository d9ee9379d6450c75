/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service of a remote server (client/gatehouse.h) made to look like one of this process: takes a struct call, makes a
 * struct gatehouse_call of it and hands status, message, reason, field and retry back. `gatehoused --rest-only
 * --upstream ADDRESS` runs the shim on these.
 *
 * The caller's Authorization is passed on as it is. A call without one goes without one, unless it carries identities
 * (rest_options.check_identities): then the connection's own token or certificate speaks for it.
 */
#ifndef UPSTREAM_H
#define UPSTREAM_H

#include <protobuf-c/protobuf-c.h>

/* remote is borrowed: gatehouse_auth_service(…) and the like. NULL: out of memory. Free with upstream_free, after the
 * shim was stopped. */
ProtobufCService *upstream_new(ProtobufCService *remote);
void upstream_free(ProtobufCService *service);

#endif
