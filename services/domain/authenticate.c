/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/authenticate.h"

#include <string.h>

/* Between the directory's begin and end. */
static bool is_right(struct directory *directory, const struct attempt *attempt,
                     const uint8_t digest[static SHA256_BYTES], int64_t now, struct client *ret_client)
{
    static const struct credential_facts nobody = {.secret_count = 0};
    static const struct secret_facts none = {.id = 0};
    struct credential_entry *entry = directory_find(directory, attempt->client_id);
    struct credential_facts found;
    const struct credential_facts *facts = entry == NULL ? &nobody : directory_facts(entry, &found);
    bool has_secret = false;
    for (int i = 0; i < SECRETS_MAX; i++) { /* each is compared, also one that is not there: equal work */
        const struct secret_facts *secret = i < facts->secret_count ? &facts->secrets[i] : &none;
        bool is_equal = crypto_equal(digest, secret->digest, SHA256_BYTES);
        if (is_equal && i < facts->secret_count && !secret_has_ended(secret->ends, now)) {
            has_secret = true;
            ret_client->secret_id = secret->id;
            ret_client->secret_ends = secret->ends;
        }
    }
    enum credential_state state = credential_state(facts->deleted, facts->suspended, facts->expires, now);
    if (!has_secret || (state != CREDENTIAL_LIVE && state != CREDENTIAL_SUSPENDED))
        return false;
    ret_client->is_suspended = state == CREDENTIAL_SUSPENDED;
    ret_client->credential_id = facts->id;
    ret_client->epoch = facts->epoch;
    ret_client->expires = facts->expires;
    ret_client->effective = facts->effective;
    ret_client->entry = entry;
    ret_client->verdict = source_judge(&facts->sources, &ret_client->source);
    return true;
}

static bool find(const struct memory *memory, struct clock *clock, const struct attempt *attempt,
                 struct client *ret_client)
{
    int64_t now = clock_now(clock);
    uint8_t digest[SHA256_BYTES];
    uint64_t turn;
    bool is_found;
    ret_client->source = source_of(attempt->peer == NULL ? "" : attempt->peer);
    crypto_sha256(attempt->secret, strlen(attempt->secret), digest);
    do {
        turn = directory_begin(memory->directory);
        is_found = is_right(memory->directory, attempt, digest, now, ret_client);
    } while (!directory_end(memory->directory, turn));
    crypto_wipe(digest, sizeof digest);
    return is_found;
}

bool authenticate_knows(const struct memory *memory, struct clock *clock, const struct attempt *attempt)
{
    struct client client;
    return find(memory, clock, attempt, &client) && !client.is_suspended;
}

enum status authenticate_client(const struct memory *memory, struct clock *clock, const struct attempt *attempt,
                                struct client *ret_client, struct throttle_verdict *ret_verdict)
{
    if (find(memory, clock, attempt, ret_client)) {
        if (ret_client->is_suspended)
            return STATUS_FAILED_PRECONDITION;
        if (ret_client->verdict == SOURCE_REFUSED)
            return STATUS_PERMISSION_DENIED;
        secret_uses_note(memory->secrets, ret_client->secret_id, clock_now(clock));
        return STATUS_OK;
    }
    *ret_verdict = throttle_failure(memory->throttle, attempt->peer, attempt->client_id, clock_steady(clock));
    return ret_verdict->is_allowed ? STATUS_UNAUTHENTICATED : STATUS_RESOURCE_EXHAUSTED;
}
