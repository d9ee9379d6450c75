/* SPDX-License-Identifier: Apache-2.0 */
#include "facts.h"

#include "calls.h"

#include "base/crypto.h"

#include <string.h>

#define MINUTE (60 * CLOCK_SECOND)

#define ASK(world, sql, otherwise, ...) \
    cluster_ask((world)->cluster, sql, STORE_VALUES(__VA_ARGS__), \
                sizeof STORE_VALUES(__VA_ARGS__) / sizeof(struct store_value), otherwise)

int64_t facts_idle_timeout(struct world *world)
{
    return ASK(world, "SELECT value FROM setting WHERE name = $1", 20 * MINUTE, store_text("idle_timeout"));
}

int64_t facts_own(struct world *world, const struct sim_credential *credential, enum limit limit)
{
    return ASK(world,
               "SELECT l.value FROM credential_limit l JOIN credential c ON c.id = l.credential"
               " WHERE c.client_id = $1 AND l.kind = $2 AND l.observed = 0",
               0, store_text(credential->client_id), store_int(limit));
}

int facts_networks(struct world *world, const struct sim_credential *credential)
{
    return (int)ASK(world,
                    "SELECT CASE networks WHEN $1 THEN 1 WHEN $2 THEN 2 ELSE 0 END FROM credential"
                    " WHERE client_id = $3 AND networks_observed = 0",
                    SIM_ANYWHERE, store_text(SIM_NETWORK_A), store_text(SIM_NETWORK_B),
                    store_text(credential->client_id));
}

int64_t facts_expiry(struct world *world, const struct sim_credential *credential)
{
    return ASK(world, "SELECT expires FROM credential WHERE client_id = $1 AND deleted = 0 AND suspended = 0", -1,
               store_text(credential->client_id));
}

bool facts_have_secret(struct world *world, const struct sim_credential *credential)
{
    uint8_t digest[SHA256_BYTES];
    crypto_sha256(credential->secret, strlen(credential->secret), digest);
    return ASK(world,
               "SELECT count(*) FROM secret s JOIN credential c ON c.id = s.credential WHERE c.client_id = $1"
               " AND s.digest = $2 AND s.ends = 0",
               0, store_text(credential->client_id), store_blob(digest, sizeof digest)) > 0;
}

int facts_roles_granted(struct world *world, const struct sim_credential *credential)
{
    int set = 0;
    for (int i = 0; i < SIM_ROLES; i++)
        set |= (int)ASK(world,
                        "SELECT count(*) FROM credential_role g JOIN credential c ON c.id = g.credential"
                        " JOIN role r ON r.number = g.role WHERE c.client_id = $1 AND r.id = $2 AND g.revoked = 0",
                        0, store_text(credential->client_id), store_text(sim_role_names[i]))
               << i;
    return set;
}

int facts_roles_of_owner(struct world *world)
{
    int set = 0;
    for (int i = 0; i < SIM_ROLES; i++)
        set |= (int)ASK(world,
                        "SELECT count(*) FROM user_role u JOIN role r ON r.number = u.role"
                        " WHERE r.id = $1 AND u.revoked = 0",
                        0, store_text(sim_role_names[i]))
               << i;
    return set;
}

void facts_describe(struct world *world, int token)
{
    const struct sim_token *of = &world->model.tokens[token];
    struct store_value key = store_text(of->accessor);
    int64_t used = ASK(world, "SELECT last_used FROM token WHERE lower(hex(key)) = $1", 0, key);
    int64_t epochs = ASK(world,
                         "SELECT c.epoch - t.epoch FROM token t JOIN credential c ON c.id = t.credential"
                         " WHERE lower(hex(key)) = $1",
                         -1, key);
    int64_t floor = ASK(world, "SELECT value FROM setting WHERE name = $1", INT64_MIN, store_text("idle_floor"));
    if (used == 0)
        world_say(world, "token %d has no row", token);
    else
        world_say(world,
                  "token %d: in its row it was used %lld s ago, epochs since %lld; the floor of uses is %lld s ago",
                  token, (long long)((world->time - used) / CLOCK_SECOND), (long long)epochs,
                  (long long)(world->time / CLOCK_SECOND - floor / CLOCK_SECOND));
}

bool facts_have_row(struct world *world, const struct sim_token *token)
{
    return ASK(world, "SELECT count(*) FROM token WHERE lower(hex(key)) = $1", 0, store_text(token->accessor)) > 0;
}

int64_t facts_revision(struct world *world)
{
    return ASK(world, "SELECT value FROM counter WHERE name = $1", 0, store_text("revision"));
}
