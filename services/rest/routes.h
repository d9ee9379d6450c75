/* SPDX-License-Identifier: Apache-2.0 */
/* What is served, by subject. Each handler answers request (http_reply) now or later. */
#ifndef REST_ROUTES_H
#define REST_ROUTES_H

#include "exchange.h"

typedef void route_fn(const struct rest_options *options, struct http_request *request);

/* oauth.c */
route_fn oauth_token, oauth_introspect, oauth_revoke, oauth_metadata;
/* POST /console/session: a token for the console's cookie, for who shows client ID and secret key in a form. */
void oauth_sign_in(struct exchange *exchange);
/* session.c */
route_fn session_handle;
/* Where the console's own page asks, and shows no bearer token: the person whom a sign-on proxy vouches for, or the
 * token of its cookie, becomes the call's. */
void session_identify(struct exchange *exchange);
/* Logs and counts it if somebody names a person who may not. */
void session_check(const struct rest_options *options, struct http_request *request);
/* Puts a new token into the cookie, and has the one end that was in it. Returns the client ID in its one spelling. */
const char *session_keep(struct exchange *exchange, const char *client_id, const char *token);
/* check.c */
route_fn check_bearer, token_review;
/* openapi.c */
route_fn openapi_describe;
/* admin.c. `path` is below the prefix, "/v1/…". false: there is no such path. */
bool admin_handle(const struct rest_options *options, struct http_request *request, const char *path);
/* "etag", or "credential.etag": the field of the request that makes it conditional, in the arena. NULL: it has none.
 */
const char *admin_etag_field(struct arena *arena, const struct contract_method *route,
                             const ProtobufCMessageDescriptor *descriptor);

#endif
