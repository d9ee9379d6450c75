/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/authenticate.h"

#include <string.h>

static bool find(const struct memory *memory, struct clock *clock, const struct attempt *attempt,
                 struct client *ret_client)
{
    static const struct credential_facts nobody = {.secret_count = 0};
    struct directory *directory = memory->directory;
    int64_t now = clock_now(clock);
    uint8_t digest[SHA256_BYTES];
    crypto_sha256(attempt->secret, strlen(attempt->secret), digest);
    directory_lock(directory);
    const struct credential_facts *facts = directory_find(directory, attempt->client_id);
    bool is_known = facts != NULL;
    if (!is_known)
        facts = &nobody;
    bool is_right = false;
    for (int i = 0; i < SECRETS_MAX; i++) { /* each is compared, also one that is not there: equal work */
        const struct secret_facts *secret = &facts->secrets[i];
        bool is_equal = crypto_equal(digest, secret->digest, SHA256_BYTES);
        if (is_equal && i < facts->secret_count && !secret_has_ended(secret->ends, now)) {
            is_right = true;
            ret_client->secret_id = secret->id;
        }
    }
    is_right = is_right && credential_state(facts->deleted, facts->expires, now) == CREDENTIAL_LIVE;
    if (is_right) {
        ret_client->credential_id = facts->id;
        ret_client->epoch = facts->epoch;
        ret_client->effective = facts->effective;
        ret_client->facts = directory_find_id(directory, facts->id);
    }
    directory_unlock(directory);
    crypto_wipe(digest, sizeof digest);
    return is_right;
}

bool authenticate_knows(const struct memory *memory, struct clock *clock, const struct attempt *attempt)
{
    struct client client;
    return find(memory, clock, attempt, &client);
}

enum status authenticate_client(const struct memory *memory, struct clock *clock, const struct attempt *attempt,
                                struct client *ret_client, struct throttle_verdict *ret_verdict)
{
    if (find(memory, clock, attempt, ret_client)) {
        secret_uses_note(memory->secrets, ret_client->secret_id, clock_now(clock));
        return STATUS_OK;
    }
    *ret_verdict = throttle_failure(memory->throttle, attempt->peer, attempt->client_id, clock_steady(clock));
    return ret_verdict->is_allowed ? STATUS_UNAUTHENTICATED : STATUS_RESOURCE_EXHAUSTED;
}
