/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/token.h"

bool token_is_active(const struct token_facts *token, const struct credential_facts *credential,
                     const struct settings *settings, int64_t now)
{
    const struct token_limits limits = own_token_limits(&credential->limits, settings, now);
    return token->epoch == credential->epoch && token->last_used > limits.used_after &&
           token_key_issued(&token->key) > limits.issued_after &&
           credential_state(credential->deleted, credential->suspended, credential->expires, now) == CREDENTIAL_LIVE;
}

bool token_is_over(const struct token_facts *token, const struct credential_facts *credential,
                   const struct settings *settings, enum limit limit, int64_t now)
{
    if (!credential->limits.of[limit].is_observed)
        return false;
    struct credential_facts held = *credential;
    held.limits.of[limit].is_observed = false;
    return !token_is_active(token, &held, settings, now);
}

int64_t token_expires(const struct token_facts *token, const struct credential_facts *credential,
                      const struct settings *settings)
{
    const struct settings held = own_settings(&credential->limits, settings);
    int64_t expires = token->last_used + held.idle_timeout;
    int64_t cap = token_key_issued(&token->key) + held.max_token_life;
    if (held.max_token_life != 0 && cap < expires)
        expires = cap;
    if (credential->expires != 0 && credential->expires < expires)
        expires = credential->expires;
    return expires;
}

struct role_set token_roles(const struct token_facts *token, const struct credential_facts *credential)
{
    return token->is_narrowed ? role_set_and(&token->roles, &credential->effective) : credential->effective;
}
