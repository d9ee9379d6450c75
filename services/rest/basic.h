/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP Basic (RFC 7617) as OAuth uses it: both parts are form-encoded first (RFC 6749, section 2.3.1). */
#ifndef REST_BASIC_H
#define REST_BASIC_H

#include <stdbool.h>
#include <stddef.h>

enum { BASIC_MAX_BYTES = 2048 }; /* of the decoded text; more is refused */

struct basic {
    const char *client_id, *client_secret; /* point into text */
    char text[BASIC_MAX_BYTES + 1];        /* whoever parsed wipes it */
};

/* Of "<scheme> <rest>": is this its scheme, in any letter case? Then *ret_rest is what follows the spaces. */
bool basic_scheme_is(const char *authorization, const char *scheme, const char **ret_rest);

/* base64: what follows "Basic ". false: it is no base64 of form-encoded UTF-8 text with a colon in it; *ret_why (a
 * constant) says what is wrong. */
bool basic_parse(struct basic *basic, const char *base64, const char **ret_why);

#endif
