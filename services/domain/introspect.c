/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/introspect.h"

#include "base/must.h"
#include "memory/change.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
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

/* In place of those of an earlier look. */
static void take_networks(struct introspection *answer, const struct source_rule *sources)
{
    free(answer->networks);
    answer->network_count = answer->is_own ? 0 : sources->count;
    answer->networks = source_copy(sources->networks, answer->network_count);
}

/* The token lives; this use of it is refused. */
static void refuse(struct introspection *answer, const struct credential_facts *credential)
{
    answer->is_active = answer->must_store = false;
    answer->credential_id = credential->id;
    memcpy(answer->client_id, credential->client_id, sizeof answer->client_id);
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
    struct role_set held = role_set_and(&answer->required, &answer->roles);
    answer->is_allowed = !answer->requires_unknown && role_set_equal(&held, &answer->required);
    answer->expires = token_expires(token, credential, settings);
    take_networks(answer, &credential->sources);
}

/* Decides and fills in. A use moves view->token.last_used. Perhaps more than once: see memory_look. */
static void decide(const struct introspect *introspect, struct introspection *answer, struct memory_view *view)
{
    int64_t now = answer->now;
    struct token_facts *token = &view->token;
    answer->is_active = view->is_known && token_is_active(token, view->credential, view->settings, now);
    answer->verdict = SOURCE_WITHIN;
    if (!answer->is_active)
        return;
    answer->verdict = source_judge(&view->credential->sources, &answer->source);
    if (answer->verdict == SOURCE_REFUSED) {
        refuse(answer, view->credential);
        return;
    }
    const struct settings held = own_settings(&view->credential->limits, view->settings);
    int64_t used = now - answer->used_ago;
    answer->is_idle_over = token_is_over(token, view->credential, view->settings, LIMIT_IDLE_TIMEOUT, used);
    answer->is_life_over = token_is_over(token, view->credential, view->settings, LIMIT_TOKEN_LIFE, used);
    if (answer->is_use && used > token->last_used)
        token->last_used = used;
    answer->must_store =
        introspect->follow != NULL && answer->is_use && token->last_used > token->stored &&
        token->stored + held.idle_timeout - now < settings_store_margin(&held, introspect->flush_interval);
    struct token_facts seen = *token;
    if (seen.last_used > now) /* by a clock that was, or is, ahead of this one */
        seen.last_used = now;
    fill_in(answer, &seen, view->credential, view->settings);
    answer->idle_timeout = held.idle_timeout;
    /* C9: another replica may not know of the last uses yet. */
    int64_t unknown = introspect->follow == NULL ? 0 : introspect->flush_interval;
    answer->valid_for = answer->expires - now > unknown ? answer->expires - now - unknown : 0;
}

static struct memory_use use_of(const struct introspection *introspection, const struct token_facts *token)
{
    return (struct memory_use){
        .token = token,
        .credential_id = introspection->credential_id,
        .api = introspection->api,
        .used = introspection->now - introspection->used_ago,
        .is_allowed = introspection->is_allowed,
        .count = introspection->use_count,
        .source = &introspection->source,
    };
}

void introspection_init(struct introspection *introspection)
{
    memset(introspection, 0, offsetof(struct introspection, client_id));
    introspection->use_count = 1;
}

/* Of uses that are reported together, the first alone can have come after a pause. */
static void note_observed(const struct introspect *introspect, const struct introspection *introspection)
{
    int64_t id = introspection->credential_id, used = introspection->now - introspection->used_ago;
    if (introspection->is_idle_over)
        memory_note_observed(introspect->memory, id, LIMIT_IDLE_TIMEOUT, used, 1);
    if (introspection->is_life_over)
        memory_note_observed(introspect->memory, id, LIMIT_TOKEN_LIFE, used, introspection->use_count);
    bool are_all = introspection->is_life_over || introspection->verdict == SOURCE_OBSERVED;
    if (are_all || introspection->is_idle_over)
        memory_count_observed(introspect->memory, id, introspection->api, used, are_all ? introspection->use_count : 1);
}

void introspection_done(struct introspection *introspection)
{
    free(introspection->networks);
    introspection->networks = NULL;
}

/* Counted once, however often it is looked at. */
static void note_refused(const struct introspect *introspect, struct introspection *introspection)
{
    if (!introspection->is_use || introspection->is_counted)
        return;
    introspection->is_counted = true;
    memory_count_refused(introspect->memory, introspection->credential_id, introspection->api,
                         introspection->now - introspection->used_ago, introspection->use_count);
    if (!introspection->is_quiet)
        memory_note_news(introspect->memory);
}

/* Counted once, however often it is looked at. False: memory has dropped the token meanwhile, to make room or because
 * it ended, and does not know of its use. */
static bool note_use(const struct introspect *introspect, struct introspection *introspection,
                     const struct token_facts *token)
{
    bool is_noted = false;
    if (introspection->is_counted) {
        is_noted = token_table_touch(introspect->memory->tokens, &introspection->key, token->last_used,
                                     introspection->api_number);
    } else {
        struct memory_use use = use_of(introspection, token);
        is_noted = memory_note_use(introspect->memory, &use, &introspection->api_number);
        note_observed(introspect, introspection);
    }
    introspection->is_counted = true;
    if (!introspection->is_quiet)
        memory_note_news(introspect->memory);
    return is_noted;
}

bool introspect_in_memory(const struct introspect *introspect, struct introspection *introspection, int64_t now)
{
    struct memory_view view;
    introspection->is_active = false;
    introspection->verdict = SOURCE_WITHIN;
    if (!introspection->is_token)
        return true;
    introspection->now = now;
    do {
        memory_look(introspect->memory, &introspection->key, &view);
        decide(introspect, introspection, &view);
    } while (!memory_look_done(introspect->memory, &view));
    introspection->position = view.position;
    if (!view.is_known)
        return false;
    if (introspection->verdict == SOURCE_REFUSED) { /* it lives, whatever uses others may have noted */
        note_refused(introspect, introspection);
        return true;
    }
    /* On a store that others write to, a use that they noted may be there and not here yet. */
    if (introspect->follow != NULL && (!introspection->is_active || introspection->must_store))
        return false;
    return !introspection->is_active || !introspection->is_use || note_use(introspect, introspection, &view.token);
}

static enum status load_tx(struct store_tx *tx, void *arg)
{
    struct introspection *introspection = arg;
    enum status status = token_row_load(tx, &introspection->key, &introspection->row);
    introspection->is_found = status == STATUS_OK;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* What the store says, and what memory may know better. */
static void decide_row(struct introspection *introspection)
{
    const struct introspect *introspect = introspection->introspect;
    const struct token_facts token = {
        .key = introspection->key,
        .last_used = introspection->row.last_used,
        .stored = introspection->row.last_used,
        .epoch = introspection->row.epoch,
        .is_narrowed = introspection->row.is_narrowed,
        .roles = introspection->row.roles,
    };
    struct memory_view view;
    introspection->now = clock_now(introspect->clock);
    do {
        memory_look_row(introspect->memory, &token, introspection->row.credential_id, &view);
        decide(introspect, introspection, &view);
    } while (!memory_look_done(introspect->memory, &view));
    introspection->facts = view.token;
}

/* Was the token issued after something that another replica did, and that is not known here yet? */
static bool is_ahead(const struct introspection *introspection)
{
    struct credential_facts facts;
    struct directory *directory = introspection->introspect->memory->directory;
    bool is_known;
    uint64_t turn;
    if (!introspection->is_found)
        return false;
    do {
        turn = directory_begin(directory);
        const struct credential_entry *credential = directory_find_id(directory, introspection->row.credential_id);
        is_known = credential != NULL && directory_facts(credential, &facts)->epoch >= introspection->row.epoch;
    } while (!directory_end(directory, turn));
    return !is_known;
}

static void load(struct introspection *introspection);

/* Whom follow_refresh calls, on the store's thread: memory is current, or cannot be. */
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
    if (introspection->is_use && !introspection->is_counted) {
        struct memory_use use = use_of(introspection, token);
        introspection->api_number = memory_count_use(introspect->memory, &use);
        note_observed(introspect, introspection);
        introspection->is_counted = true;
    }
    uint32_t api = introspection->is_use ? introspection->api_number : 0;
    bool is_kept = token_table_put(introspect->memory->tokens, token, introspection->generation, api);
    if (introspection->is_use && !introspection->is_quiet)
        memory_note_news(introspect->memory);
    if (is_kept)
        introspection->done(STATUS_OK, introspection);
    else if (introspect_in_memory(introspect, introspection, clock_now(introspect->clock)))
        /* something was revoked meanwhile: it may have been this */
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
    if (token_table_last_used(introspect->memory->tokens, &introspection->key, NULL) == INT64_MIN)
        return;
    change_forget_token(introspect->memory, &introspection->key);
    flush_note_missing(introspect->flush, 1);
}

/* Memory knew the token when the row was read, and has made room since: what it knew was stored after that. */
static bool has_missed_a_use(const struct introspection *introspection)
{
    struct token_table *tokens = introspection->introspect->memory->tokens;
    return introspection->is_found && !introspection->is_active && introspection->was_in_memory &&
           token_table_last_used(tokens, &introspection->key, NULL) == INT64_MIN;
}

/* A store_done_fn, on a thread of the store, after load_tx. */
static void load_done(enum status status, void *arg)
{
    struct introspection *introspection = arg;
    const struct introspect *introspect = introspection->introspect;
    struct follow *follow = introspect->follow;
    introspection->is_active = false;
    introspection->verdict = SOURCE_WITHIN;
    /* The load may have taken long: is what memory says still to be believed? */
    bool is_behind =
        follow != NULL && (!follow_has_lease(follow) || (introspection->catch_ups == 0 && is_ahead(introspection)));
    if (status == STATUS_OK && is_behind) {
        catch_up(introspection);
        return;
    }
    if (status == STATUS_OK && !introspection->is_found)
        forget(introspection);
    if (status == STATUS_OK && introspection->is_found)
        decide_row(introspection);
    if (introspection->verdict == SOURCE_REFUSED)
        note_refused(introspect, introspection);
    if (status == STATUS_OK && introspection->verdict != SOURCE_REFUSED && has_missed_a_use(introspection))
        load(introspection);
    else if (!introspection->is_active)
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

/* What memory knows before the row is read: a lower bound. */
static void prepare(struct introspection *introspection)
{
    struct memory_view view;
    memory_look(introspection->introspect->memory, &introspection->key, &view);
    introspection->position = view.position;
    introspection->generation = view.generation;
    introspection->was_in_memory = view.is_known;
    (void)!memory_look_done(introspection->introspect->memory, &view);
    introspection->is_found = false;
}

static void load(struct introspection *introspection)
{
    prepare(introspection);
    store_submit(introspection->introspect->store, &(struct store_job){.kind = STORE_READ,
                                                                       .fn = load_tx,
                                                                       .done = load_done,
                                                                       .arg = introspection,
                                                                       .waits = introspection->waits,
                                                                       .waiter = introspection->waiter});
}

static void begin(const struct introspect *introspect, struct introspection *introspection, introspect_done_fn *done)
{
    introspection->introspect = introspect;
    introspection->done = done;
    introspection->catch_ups = 0;
    introspection->store_tries = 0;
}

void introspect_in_store(const struct introspect *introspect, struct introspection *introspection,
                         introspect_done_fn *done)
{
    begin(introspect, introspection, done);
    load(introspection);
}

/* Some that are loaded together; each goes on by itself. */
struct loading_together {
    size_t count;
    struct introspection **all;
    struct token_key *keys;
};

/* A token_loaded_fn: there may be several that ask for one token. */
static void take_row(const struct token_row *row, void *arg)
{
    const struct loading_together *together = arg;
    for (size_t i = 0; i < together->count; i++) {
        struct introspection *introspection = together->all[i];
        if (!token_key_equal(&introspection->key, &row->key))
            continue;
        introspection->row = *row;
        introspection->is_found = true;
    }
}

static enum status load_together_tx(struct store_tx *tx, void *arg)
{
    struct loading_together *together = arg;
    for (size_t i = 0; i < together->count; i++)
        together->all[i]->is_found = false;
    return token_row_load_all(tx, together->keys, together->count, take_row, together);
}

/* Each may be gone when load_done returns. */
static void load_together_done(enum status status, void *arg)
{
    struct loading_together *together = arg;
    for (size_t i = 0; i < together->count; i++)
        load_done(status, together->all[i]);
    free(together->all);
    free(together->keys);
    free(together);
}

void introspect_all_in_store(const struct introspect *introspect, struct introspection **all, size_t count,
                             introspect_done_fn *done)
{
    bool is_each = introspect->follow == NULL || count == 1; /* on a store of its own, the readers share them */
    for (size_t i = 0; is_each && i < count; i++)
        introspect_in_store(introspect, all[i], done);
    if (is_each || count == 0)
        return;
    struct loading_together *together = must(calloc(1, sizeof *together));
    *together = (struct loading_together){count, must(calloc(count, sizeof(struct introspection *))),
                                          must(calloc(count, sizeof *together->keys))};
    for (size_t i = 0; i < count; i++) {
        together->all[i] = all[i];
        together->keys[i] = all[i]->key;
        begin(introspect, all[i], done);
        prepare(all[i]);
    }
    store_submit(introspect->store, &(struct store_job){.kind = STORE_READ,
                                                        .fn = load_together_tx,
                                                        .done = load_together_done,
                                                        .arg = together,
                                                        .waits = all[0]->waits,
                                                        .waiter = all[0]->waiter});
}
