/* SPDX-License-Identifier: Apache-2.0 */
/* The services, implemented: who calls, may they, and what they are answered. */
#ifndef API_API_H
#define API_API_H

#include "domain/domain.h"

#include <protobuf-c/protobuf-c.h>

struct api;

struct api_options {
    struct domain *domain; /* borrowed */
    /* Names that mutual TLS may prove (struct call, identities); NULL-ended; NULL: none. */
    const char *const *introspect_identities;
    const char *const *admin_identities;
    /* Envoy's Check introspects as these, and whoever reaches it may use it then; NULL: as its caller. */
    const char *const *gateway_identities;
    /* Whose word counts as to whom it calls for (struct call, told_peer): by name, or by address or network (all are
     * valid). */
    const char *const *peer_identities;
    const char *const *trusted_proxies;
};

/* What the options name must outlive it. No call may be under way at api_free. */
struct api *api_new(const struct api_options *options);
void api_free(struct api *api);

/* Invoked with a struct call * as closure_data (call.h). */
ProtobufCService *api_auth_service(struct api *api);
ProtobufCService *api_credential_admin(struct api *api);
ProtobufCService *api_authorization(struct api *api); /* Envoy's */

/* How many failed authentications were refused for being too many. */
uint64_t api_throttled(const struct api *api);

/* Those who watch (watch.h). */
struct watch *api_watch(const struct api *api);

#endif
