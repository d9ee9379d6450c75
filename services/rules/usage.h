/* SPDX-License-Identifier: Apache-2.0 */
/* Who called which API in which hour: how an API is named, and what is counted. */
#ifndef RULES_USAGE_H
#define RULES_USAGE_H

#include <stdint.h>

enum { API_MAX = 256, USAGE_APIS_PER_CREDENTIAL = 256 };

#define USAGE_HOUR (3600 * INT64_C(1000000))

/* Makes "GET /cases/{id}" of "GET /cases/4711?x=y"; "unnamed" of ""; "{token}" of a token or secret key of ours. `api`
 * has at most API_MAX bytes. */
void usage_normalise(const char *api, char normal[static API_MAX + 1]);

/* What is to be added to the store's row of (credential, api, hour). */
struct usage_delta {
    int64_t credential_id;
    uint32_t api;
    int64_t hour;
    int64_t allowed;
    int64_t denied;
    int64_t observed; /* what is only observed would have refused; of uses, among the two */
    int64_t first_used;
    int64_t last_used;
    int64_t credential_used; /* the last that is a use of the credential, too; 0: all were refused */
};

#endif
