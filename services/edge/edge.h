/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AuthService at an edge: Introspect from the memory next door (libgatehouse's cache), all else through to the server
 * with the caller's own bearer token.
 *
 * Who may introspect is what the server would say: a bearer token that is live and holds resource_server, which is
 * looked up in the same memory and so counts as used; or an identity that the edge's own configuration names. Whoever
 * else asks is passed on, so that it is the server that refuses them, and writes it down. So is who shows a secret key.
 */
#ifndef EDGE_EDGE_H
#define EDGE_EDGE_H

#include "call/peer.h"

#include <gatehouse.h>
#include <protobuf-c/protobuf-c.h>

struct edge;

/* Borrows all. identities: those (struct call) for which the edge introspects by its own right; NULL-ended. trust: who
 * is believed for whom they call. */
struct edge *edge_new(struct gatehouse *connection, const char *const *identities, const struct peer_trust *trust);
/* When no call is under way: after gatehouse_close. NULL is fine. */
void edge_free(struct edge *edge);

/* Invoked with a struct call. Watch is refused: UNIMPLEMENTED, NOT_AT_EDGE. */
ProtobufCService *edge_auth_service(struct edge *edge);

#endif
