/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/work.h"

#include "domain/domain.h"

#include <stdlib.h>
#include <string.h>

struct change {
    struct change *next;
    enum change_kind kind;
    struct position position;
    struct credential_facts *facts;
    struct token_key key;
    struct settings settings;
    struct role role;
    int64_t credential_id;
};

static void free_change(struct change *change)
{
    credential_facts_free(change->facts);
    free(change);
}

void work_reset(struct work *work)
{
    while (work->changes != NULL) {
        struct change *change = work->changes;
        work->changes = change->next;
        free_change(change);
    }
    work->tokens_ended = 0;
    work->credentials_affected = 0;
}

void work_begin(struct work *work, struct store_tx *tx)
{
    work_reset(work);
    work->tx = tx;
    work->now = clock_now(work->domain->clock);
}

enum status work_sober_time(struct work *work, int64_t *ret_time)
{
    int64_t own = clock_sober(work->domain->clock), database = 0;
    TRY(store_now(work->tx, &database));
    *ret_time = database < own ? database : own;
    return STATUS_OK;
}

static enum status read_value(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

enum status work_next(struct store_tx *tx, const char *counter, int64_t *ret_value)
{
    return store_run(tx,
                     "INSERT INTO counter (name, value) VALUES ($1, 1)"
                     " ON CONFLICT (name) DO UPDATE SET value = counter.value + 1 RETURNING value",
                     read_value, ret_value, store_text(counter));
}

static struct change *add(struct work *work, enum change_kind kind)
{
    struct change *change = calloc(1, sizeof *change);
    if (change == NULL)
        abort();
    change->kind = kind;
    change->next = work->changes;
    work->changes = change;
    return change;
}

/* Not 0, which stands for none. */
static int64_t make_change_id(void)
{
    int64_t id = 0;
    while (id == 0)
        crypto_random(&id, sizeof id);
    return id;
}

static enum status append_log(struct work *work, struct change *change, const void *subject, size_t len)
{
    TRY(work_next(work->tx, "revision", &change->position.revision));
    change->position.change_id = make_change_id();
    store_announce(work->tx);
    return store_send(work->tx,
                      "INSERT INTO change_log (revision, kind, subject, at, change_id) VALUES ($1, $2, $3, $4, $5)",
                      store_int(change->position.revision), store_int(change->kind), store_blob(subject, len),
                      store_int(work->now), store_int(change->position.change_id));
}

enum status work_change_credential(struct work *work, struct credential_facts *facts)
{
    struct change *change = add(work, CHANGE_CREDENTIAL);
    change->facts = facts;
    return append_log(work, change, facts->client_id, CLIENT_ID_LEN);
}

enum status work_change_token(struct work *work, const struct token_key *key)
{
    struct change *change = add(work, CHANGE_TOKEN);
    change->key = *key;
    return append_log(work, change, key->bytes, TOKEN_KEY_BYTES);
}

enum status work_change_settings(struct work *work, const struct settings *settings)
{
    struct change *change = add(work, CHANGE_SETTINGS);
    change->settings = *settings;
    return append_log(work, change, "", 0);
}

enum status work_change_role(struct work *work, const struct role *role)
{
    struct change *change = add(work, CHANGE_ROLE);
    change->role = *role;
    return append_log(work, change, role->id, strlen(role->id));
}

enum status work_change_purge(struct work *work, int64_t credential_id)
{
    struct change *change = add(work, CHANGE_PURGE);
    change->credential_id = credential_id;
    return append_log(work, change, &credential_id, sizeof credential_id);
}

enum status work_change_all(struct work *work)
{
    return append_log(work, add(work, CHANGE_ALL), "", 0);
}

/* is_next: what is known can be compared with it; else only what ends is obeyed. */
static void apply(struct domain *domain, struct change *change, bool is_next)
{
    switch (change->kind) {
    case CHANGE_CREDENTIAL:
        if (!is_next)
            break;
        directory_put_credential(domain->directory, change->facts);
        change->facts = NULL; /* the directory has it now */
        break;
    case CHANGE_TOKEN:
        token_table_remove(domain->tokens, &change->key);
        break;
    case CHANGE_SETTINGS:
        if (is_next)
            directory_put_settings(domain->directory, &change->settings);
        break;
    case CHANGE_ROLE:
        if (is_next)
            directory_put_role(domain->directory, &change->role);
        break;
    case CHANGE_PURGE:
        if (is_next)
            directory_purge(domain->directory, change->credential_id);
        break;
    case CHANGE_ALL: /* whoever writes it has read everything */
        break;
    }
}

/* Where others write, too, theirs may be missing before it: the log will say when the position moves. */
static void obey(struct domain *domain, struct change *change)
{
    bool is_next = domain->replica == NULL || replica_begin_own(domain->replica, change->position);
    apply(domain, change, is_next);
    if (domain->replica == NULL)
        directory_set_position(domain->directory, change->position);
    else
        replica_end_own(domain->replica);
}

void work_apply(struct work *work)
{
    struct change *oldest_first = NULL;
    while (work->changes != NULL) {
        struct change *change = work->changes;
        work->changes = change->next;
        change->next = oldest_first;
        oldest_first = change;
    }
    while (oldest_first != NULL) {
        struct change *change = oldest_first;
        oldest_first = change->next;
        obey(work->domain, change);
        free_change(change);
    }
}
