/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway asks "may this request pass?", over HTTP (rest/check.c) or as Envoy does (authorization.c). Here is
 * what the forms have in common: what the question means to Introspect, and what its answer means to the gateway.
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include "base/arena.h"
#include "call/call.h"

#include <gatehouse/v1/auth.pb-c.h>

enum { GATEWAY_API_SIZE = 224, GATEWAY_HEADERS = 4, GATEWAY_CHALLENGE_SIZE = 64 };

/* The token in the value of an Authorization header; NULL: there is none. */
const char *gateway_token(const char *authorization);

/* "POST /api/cases", of what the gateway says the request was (NULL: it does not); "" where that is no text. Without
 * the query, which usage counting cuts off anyway. */
void gateway_api(const char *method, const char *path, char api[static GATEWAY_API_SIZE]);

struct gateway_header {
    const char *name;  /* "X-Auth-Roles" */
    const char *value; /* printable ASCII; "": there is nothing to say */
};

struct gateway_verdict {
    int code;          /* 200, 401 or 403; 0: the question could not be answered, the call's error says why */
    const char *error; /* of 401 and 403: RFC 6750's code, or NULL */
    struct gateway_header headers[GATEWAY_HEADERS]; /* of 200: whose token it is; in the arena */
};

/* `answer`: Introspect's; NULL: it failed by `error`. has_token: false where the request carried none. */
struct gateway_verdict gateway_judge(const struct call_error *error, const Gatehouse__V1__IntrospectResponse *answer,
                                     bool has_token, struct arena *arena);

/* The value of WWW-Authenticate (RFC 6750, section 3). error may be NULL. */
void gateway_challenge(const char *error, char challenge[static GATEWAY_CHALLENGE_SIZE]);

#endif
