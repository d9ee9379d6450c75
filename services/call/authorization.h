/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envoy's Authorization in front of any AuthService: a Check becomes an Introspect, and what that answers an answer in
 * Envoy's words. The rules are gateway.h's and Introspect's.
 */
#ifndef CALL_AUTHORIZATION_H
#define CALL_AUTHORIZATION_H

#include <protobuf-c/protobuf-c.h>

struct authorization {
    ProtobufCService service; /* first: what the port calls, with a struct call */
    ProtobufCService *auth;
    const char *const *identities;
};

/* `auth` is borrowed. It is asked as `identities` (struct call), and whoever reaches a Check may use it then; NULL: as
 * the Check's caller. */
void authorization_init(struct authorization *authorization, ProtobufCService *auth, const char *const *identities);

#endif
