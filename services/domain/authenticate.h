/* SPDX-License-Identifier: Apache-2.0 */
/* Is the secret key that a client shows its own? */
#ifndef DOMAIN_AUTHENTICATE_H
#define DOMAIN_AUTHENTICATE_H

#include "base/clock.h"
#include "base/status.h"
#include "memory/memory.h"

/* A client that has shown its secret key. */
struct client {
    int64_t credential_id;
    int64_t epoch;
    int64_t secret_id;
    int64_t secret_ends, expires;   /* the secret key's end, the credential's; 0: none */
    struct credential_entry *entry; /* of the directory */
    struct role_set effective;
    bool is_suspended;
    struct source source; /* from where it comes, and may it? */
    enum source_verdict verdict;
    char client_id[CLIENT_ID_TEXT_MAX + 1]; /* in its one spelling; the asker's */
};

struct attempt {
    const char *client_id;
    const char *secret;
    const char *peer; /* where it comes from */
};

/* Would they be right, as far as this process knows? In the same time whether they are or not, and nothing is noted. */
bool authenticate_knows(const struct memory *memory, struct clock *clock, const struct attempt *attempt);

/* The same time, too. FAILED_PRECONDITION: they are right, and the credential is suspended.
 * PERMISSION_DENIED: they are right, and may not be used from there. UNAUTHENTICATED: they are
 * wrong. RESOURCE_EXHAUSTED: they are wrong, and were so too often lately. Either way *ret_verdict says more. */
enum status authenticate_client(const struct memory *memory, struct clock *clock, const struct attempt *attempt,
                                struct client *ret_client, struct throttle_verdict *ret_verdict);

#endif
