/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service of a remote server (client/gatehouse.h) made to look like one of this process: takes a struct call, makes a
 * struct gatehouse_call of it and hands status, message, reason, field and retry back.
 *
 * The caller's bearer token is passed on as it is, and its address. A call without one speaks for nobody: neither the
 * connection's own token nor its certificate stands behind it. When a caller hangs up, its call is cancelled at the
 * server, too; Revoke is carried out all the same.
 */
#ifndef EDGE_UPSTREAM_H
#define EDGE_UPSTREAM_H

#include "call/call.h"
#include "call/peer.h"

#include <gatehouse.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* Both are borrowed: gatehouse_auth_service(…) and the like, and who is believed for whom they call. Free with
 * upstream_free, when no call of it is under way. */
ProtobufCService *upstream_new(ProtobufCService *remote, const struct peer_trust *trust);
void upstream_free(ProtobufCService *service);

/* One call on its way to the server. */
struct passage {
    struct gatehouse_call remote; /* first: it is the closure_data */
    struct call *call;
    struct passage *previous, *next; /* upstream.c's own */
};

/* When the caller hangs up, what is under way for it at the server is cancelled. By a handler before it returns, if it
 * may give the call to the service later, or enters a passage of its own: all others the service watches itself, but
 * Revoke, which is carried out. */
void upstream_watch(ProtobufCService *service, struct call *call);

/* A handler's own passage is under way: before the call to the server, and first of all in its closure. */
void upstream_enter(ProtobufCService *service, struct passage *passage);
void upstream_leave(ProtobufCService *service, struct passage *passage);

/* What the call to the server has of the caller's: the time that is left, request id and trace. By the connection's own
 * right, until its authorization is set. It borrows from `call`. */
struct gatehouse_call upstream_call(const struct call *call);

/* Fails `call` as `remote` has failed. is_own: it was by the connection's own right, so that a refusal is none of the
 * caller. */
void upstream_fail(struct call *call, const struct gatehouse_call *remote, bool is_own);

/* The token in a call's authorization; NULL: there is none. */
const char *upstream_bearer(const struct call *call);

#endif
