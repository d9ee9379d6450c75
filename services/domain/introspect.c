/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/introspect.h"

#include "memory/change.h"

#include <stdatomic.h>
#include <string.h>

enum {
    STORE_TRIES = 20, /* while others are changing the row */
    CATCH_UPS = 20,   /* each of which took longer than the lease */
};

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
static void decide(const struct introspect *introspect, struct introspection *answer, struct token_facts *token)
{
    int64_t now = answer->now = clock_now(introspect->clock);
    directory_lock(introspect->memory->directory);
    const struct settings *settings = directory_settings(introspect->memory->directory);
    struct token_limits limits = settings_limits(settings, now);
    answer->is_active = token_is_active(token, token->credential, &limits, now);
    if (answer->is_active) {
        int64_t used = now - answer->used_ago;
        if (answer->is_use && used > token->last_used)
            token->last_used = used;
        answer->must_store =
            introspect->follow != NULL && answer->is_use && token->last_used > token->stored &&
            token->stored + settings->idle_timeout - now < settings_store_margin(settings, introspect->flush_interval);
        struct token_facts seen = *token;
        if (seen.last_used > now) /* by a clock that was, or is, ahead of this one */
            seen.last_used = now;
        fill_in(answer, &seen, token->credential, settings);
    }
    directory_unlock(introspect->memory->directory);
}

static uint32_t count_use(const struct introspect *introspect, struct introspection *answer, struct token_facts *token)
{
    if (answer->is_counted)
        return answer->api_number;
    answer->is_counted = true;
    int64_t used = answer->now - answer->used_ago;
    int64_t before = atomic_load_explicit(&token->credential->last_used, memory_order_relaxed);
    if (used > before)
        atomic_store_explicit(&token->credential->last_used, used, memory_order_relaxed);
    answer->api_number = usage_count(introspect->memory->usage, answer->credential_id, answer->api, used,
                                     answer->is_allowed, answer->use_count);
    return answer->api_number;
}

bool introspect_in_memory(const struct introspect *introspect, struct introspection *introspection)
{
    introspection->is_active = false;
    if (!introspection->is_token)
        return true;
    struct token_facts token;
    introspection->revision =
        directory_position(introspect->memory->directory).revision; /* before the look-up: a lower bound */
    if (!token_table_get(introspect->memory->tokens, &introspection->key, &token, &introspection->generation))
        return false;
    decide(introspect, introspection, &token);
    /* On a store that others write to, a use that they noted may be there and not here yet. */
    if (introspect->follow != NULL && (!introspection->is_active || introspection->must_store))
        return false;
    if (introspection->is_active && introspection->is_use) {
        uint32_t api = count_use(introspect, introspection, &token);
        token_table_touch(introspect->memory->tokens, &introspection->key, token.last_used, api);
    }
    return true;
}

static enum status load_tx(struct store_tx *tx, void *arg)
{
    struct introspection *introspection = arg;
    enum status status = token_row_load(tx, &introspection->key, &introspection->row);
    introspection->is_found = status == STATUS_OK;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* What the store says, and what memory may know better: a use that is not stored yet. */
static bool make_facts(struct introspection *introspection, struct token_facts *token)
{
    const struct introspect *introspect = introspection->introspect;
    int64_t used = token_table_last_used(introspect->memory->tokens, &introspection->key);
    *token = (struct token_facts){
        .key = introspection->key,
        .last_used = used > introspection->row.last_used ? used : introspection->row.last_used,
        .stored = introspection->row.last_used,
        .epoch = introspection->row.epoch,
        .is_narrowed = introspection->row.is_narrowed,
        .roles = introspection->row.roles,
    };
    directory_lock(introspect->memory->directory);
    token->credential = directory_find_id(introspect->memory->directory, introspection->row.credential_id);
    directory_unlock(introspect->memory->directory);
    return token->credential != NULL;
}

/* Was the token issued after something that another replica did, and that is not known here yet? */
static bool is_ahead(const struct introspection *introspection)
{
    const struct introspect *introspect = introspection->introspect;
    if (!introspection->is_found)
        return false;
    directory_lock(introspect->memory->directory);
    const struct credential_facts *credential =
        directory_find_id(introspect->memory->directory, introspection->row.credential_id);
    bool is_known = credential != NULL && credential->epoch >= introspection->row.epoch;
    directory_unlock(introspect->memory->directory);
    return !is_known;
}

static void load(struct introspection *introspection);

static void load_again(enum status status, void *arg)
{
    struct introspection *introspection = arg;
    if (status == STATUS_OK)
        load(introspection);
    else
        introspection->done(status, introspection);
}

/* What memory says is older than the lease: reads the log, and then the token once more. */
static void catch_up(struct introspection *introspection)
{
    if (introspection->catch_ups++ < CATCH_UPS)
        follow_refresh(introspection->introspect->follow, load_again, introspection);
    else
        load_again(STATUS_UNAVAILABLE, introspection);
}

/* The answer is known, and its use is in the store where it must be. Only what is live is worth a place in memory. */
static void keep(struct introspection *introspection, struct token_facts *token)
{
    const struct introspect *introspect = introspection->introspect;
    uint32_t api = introspection->is_use ? count_use(introspect, introspection, token) : 0;
    if (token_table_put(introspect->memory->tokens, token, introspection->generation, api))
        introspection->done(STATUS_OK, introspection);
    else if (introspect_in_memory(introspect,
                                  introspection)) /* something was revoked meanwhile: it may have been this */
        introspection->done(STATUS_OK, introspection);
    else
        load(introspection);
}

static enum status use_tx(struct store_tx *tx, void *arg)
{
    struct introspection *introspection = arg;
    char api[API_MAX + 1];
    const struct token_use_row use = {
        .key = introspection->key, .used = introspection->facts.last_used, .wrong_after = INT64_MAX, .api = api};
    usage_normalise(introspection->api, api);
    return token_row_store_use(tx, &use, &introspection->stored_rows);
}

/* If the row was not changed, it has gone, or another replica was about to do the same: the next load tells which. */
static void use_done(enum status status, void *arg)
{
    struct introspection *introspection = arg;
    bool is_tried_enough =
        status == STATUS_OK && introspection->stored_rows == 0 && ++introspection->store_tries == STORE_TRIES;
    if (is_tried_enough)
        status = STATUS_UNAVAILABLE;
    if (status != STATUS_OK) {
        introspection->is_active = false;
        introspection->done(status == STATUS_UNKNOWN ? STATUS_UNAVAILABLE : status, introspection);
    } else if (introspection->stored_rows == 0) {
        load(introspection);
    } else if (!follow_has_lease(introspection->introspect->follow)) { /* it may have taken long */
        catch_up(introspection);
    } else {
        introspection->facts.stored = introspection->facts.last_used;
        keep(introspection, &introspection->facts);
    }
}

/* The store does not have it: then memory must not, either. */
static void forget(struct introspection *introspection)
{
    const struct introspect *introspect = introspection->introspect;
    if (token_table_last_used(introspect->memory->tokens, &introspection->key) == INT64_MIN)
        return;
    change_forget_token(introspect->memory, &introspection->key);
    flush_note_missing(introspect->flush, 1);
}

static void load_done(enum status status, void *arg)
{
    struct introspection *introspection = arg;
    const struct introspect *introspect = introspection->introspect;
    struct follow *follow = introspect->follow;
    introspection->is_active = false;
    /* The load may have taken long: is what memory says still to be believed? */
    bool is_behind =
        follow != NULL && (!follow_has_lease(follow) || (introspection->catch_ups == 0 && is_ahead(introspection)));
    if (status == STATUS_OK && is_behind) {
        catch_up(introspection);
        return;
    }
    if (status == STATUS_OK && !introspection->is_found)
        forget(introspection);
    if (status == STATUS_OK && introspection->is_found && make_facts(introspection, &introspection->facts))
        decide(introspect, introspection, &introspection->facts);
    if (!introspection->is_active)
        introspection->done(status, introspection);
    else if (introspection->must_store)
        store_submit(introspect->store, &(struct store_job){.kind = STORE_WRITE_BESIDE,
                                                            .fn = use_tx,
                                                            .done = use_done,
                                                            .arg = introspection,
                                                            .waits = introspection->waits,
                                                            .waiter = introspection->waiter});
    else
        keep(introspection, &introspection->facts);
}

static void load(struct introspection *introspection)
{
    const struct introspect *introspect = introspection->introspect;
    struct token_facts none;
    introspection->revision = directory_position(introspect->memory->directory).revision;
    (void)token_table_get(introspect->memory->tokens, &introspection->key, &none, &introspection->generation);
    store_submit(introspect->store, &(struct store_job){.kind = STORE_READ,
                                                        .fn = load_tx,
                                                        .done = load_done,
                                                        .arg = introspection,
                                                        .waits = introspection->waits,
                                                        .waiter = introspection->waiter});
}

void introspect_in_store(const struct introspect *introspect, struct introspection *introspection,
                         introspect_done_fn *done)
{
    introspection->introspect = introspect;
    introspection->done = done;
    introspection->catch_ups = 0;
    introspection->store_tries = 0;
    load(introspection);
}
