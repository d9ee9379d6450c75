/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/introspect.h"

#include <stdatomic.h>
#include <string.h>

/* Under a lock, and much quicker than snprintf. */
static void copy_text(char *to, size_t size, const char *from)
{
    if (memccpy(to, from, '\0', size) == NULL)
        to[size - 1] = '\0';
}

static void fill_in(struct introspection *answer, const struct token_facts *token,
                    const struct credential_facts *credential, const struct settings *settings)
{
    answer->credential_id = credential->id;
    memcpy(answer->client_id, credential->client_id, sizeof answer->client_id);
    copy_text(answer->name, sizeof answer->name, credential->name);
    copy_text(answer->owner, sizeof answer->owner, credential->owner);
    answer->roles = token_roles(token, credential);
    answer->issued = token_key_issued(&token->key);
    answer->idle_timeout = settings->idle_timeout;
    struct role_set held = role_set_and(&answer->required, &answer->roles);
    answer->is_allowed = !answer->requires_unknown && role_set_equal(&held, &answer->required);
    answer->expires = token_expires(token, credential, settings);
}

/* Decides and fills in. A use moves token->last_used. */
static void decide(struct domain *domain, struct introspection *answer, struct token_facts *token, int64_t now)
{
    directory_lock(domain->directory);
    const struct settings *settings = directory_settings(domain->directory);
    struct token_limits limits = domain_limits(domain, settings, now);
    answer->is_active = !token->credential->is_purged && token_is_active(token, token->credential, &limits, now);
    if (answer->is_active) {
        int64_t used = now - answer->used_ago;
        if (answer->is_use && used > token->last_used)
            token->last_used = used;
        answer->revision = directory_revision(domain->directory);
        fill_in(answer, token, token->credential, settings);
    }
    directory_unlock(domain->directory);
}

static uint32_t count_use(struct domain *domain, struct introspection *answer, struct token_facts *token, int64_t now)
{
    if (answer->is_counted)
        return answer->api_number;
    answer->is_counted = true;
    int64_t used = now - answer->used_ago;
    int64_t before = atomic_load_explicit(&token->credential->last_used, memory_order_relaxed);
    if (used > before)
        atomic_store_explicit(&token->credential->last_used, used, memory_order_relaxed);
    answer->api_number =
        usage_count(domain->usage, answer->credential_id, answer->api, used, answer->is_allowed, answer->use_count);
    return answer->api_number;
}

bool introspect_in_memory(struct domain *domain, struct introspection *introspection)
{
    introspection->is_active = false;
    if (!introspection->is_token)
        return true;
    struct token_facts token;
    if (!token_table_get(domain->tokens, &introspection->key, &token, &introspection->generation))
        return false;
    int64_t now = clock_now(domain->clock);
    decide(domain, introspection, &token, now);
    /* On a store that others write to, a use that they noted may be there and not here yet. */
    if (!introspection->is_active && store_is_shared(domain->store))
        return false;
    if (introspection->is_active && introspection->is_use) {
        uint32_t api = count_use(domain, introspection, &token, now);
        token_table_touch(domain->tokens, &introspection->key, token.last_used, api);
    }
    return true;
}

static enum status load_tx(struct store_tx *tx, void *arg)
{
    struct introspection *introspection = arg;
    enum status status = token_load(tx, &introspection->key, &introspection->row);
    introspection->is_found = status == STATUS_OK;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static bool make_facts(struct introspection *introspection, struct token_facts *token)
{
    struct directory *directory = introspection->domain->directory;
    *token = (struct token_facts){
        .key = introspection->key,
        .last_used = introspection->row.last_used,
        .epoch = introspection->row.epoch,
        .is_narrowed = introspection->row.is_narrowed,
        .roles = introspection->row.roles,
    };
    directory_lock(directory);
    token->credential = directory_find_id(directory, introspection->row.credential_id);
    directory_unlock(directory);
    return token->credential != NULL;
}

/* Was the token issued after something that another replica did, and that is not known here yet? */
static bool is_ahead(const struct introspection *introspection)
{
    struct domain *domain = introspection->domain;
    if (!introspection->is_found || domain->replica == NULL || introspection->has_caught_up)
        return false;
    directory_lock(domain->directory);
    const struct credential_facts *credential = directory_find_id(domain->directory, introspection->row.credential_id);
    bool is_known = credential != NULL && credential->epoch >= introspection->row.epoch;
    directory_unlock(domain->directory);
    return !is_known;
}

static void load_done(enum status status, void *arg);

static void load_again(enum status status, void *arg)
{
    struct introspection *introspection = arg;
    if (status == STATUS_OK)
        store_read(introspection->domain->store, load_tx, load_done, introspection);
    else
        introspection->done(status, introspection);
}

static void load_done(enum status status, void *arg)
{
    struct introspection *introspection = arg;
    struct domain *domain = introspection->domain;
    struct token_facts token;
    introspection->is_active = false;
    if (status == STATUS_OK && is_ahead(introspection)) {
        introspection->has_caught_up = true;
        replica_refresh(domain->replica, load_again, introspection);
        return;
    }
    if (status == STATUS_OK && introspection->is_found && make_facts(introspection, &token)) {
        int64_t now = clock_now(domain->clock);
        decide(domain, introspection, &token, now);
        bool is_use = introspection->is_active && introspection->is_use;
        /* Only what is live is worth a place in memory. If something was revoked meanwhile, ask again: it may have been
         * this. */
        if (introspection->is_active) {
            uint32_t api = is_use ? count_use(domain, introspection, &token, now) : 0;
            if (!token_table_put(domain->tokens, &token, introspection->generation, is_use, api)) {
                if (!introspect_in_memory(domain, introspection))
                    store_read(domain->store, load_tx, load_done, introspection);
                else
                    introspection->done(STATUS_OK, introspection);
                return;
            }
        }
    }
    introspection->done(status, introspection);
}

void introspect_in_store(struct domain *domain, struct introspection *introspection, introspect_done_fn *done)
{
    introspection->domain = domain;
    introspection->done = done;
    introspection->has_caught_up = false;
    store_read(domain->store, load_tx, load_done, introspection);
}
