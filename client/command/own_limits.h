/* SPDX-License-Identifier: Apache-2.0 */
/* --limits: a credential's own limits in words, such as "idle_timeout=5m,max_tokens_per_hour=60:observe". */
#ifndef OWN_LIMITS_H
#define OWN_LIMITS_H

#include <gatehouse/v1/credential_admin.pb-c.h>

#include "output.h"

enum { OWN_LIMITS = 4 };

/* What a request borrows from. */
struct own_limits_words {
    Gatehouse__V1__CredentialLimits message;
    Google__Protobuf__Duration durations[OWN_LIMITS];
    Gatehouse__V1__Limit observed[OWN_LIMITS];
};

/* Sets *ret_field if the option is there, and is not "none". False: reported. */
[[nodiscard]] bool own_limits_take(struct context *context, struct own_limits_words *words,
                                   Gatehouse__V1__CredentialLimits **ret_field);

/* The same words, and what was observed so far. */
column_format column_own_limits;

#endif
