/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/token.h"

#include "clock.h"
#include "domain/domain.h"

#include <stdio.h>
#include <string.h>

bool token_is_active(const struct token_facts *token, const struct credential_facts *credential,
                     const struct token_limits *limits, int64_t now)
{
    return token->epoch == credential->epoch && token->last_used > limits->used_after &&
           token_key_issued(&token->key) > limits->issued_after && credential->deleted == 0 &&
           (credential->expires == 0 || now < credential->expires);
}

int64_t token_expires(const struct token_facts *token, const struct credential_facts *credential,
                      const struct settings *settings)
{
    int64_t expires = token->last_used + settings->idle_timeout;
    int64_t cap = token_key_issued(&token->key) + settings->max_token_life;
    if (settings->max_token_life != 0 && cap < expires)
        expires = cap;
    if (credential->expires != 0 && credential->expires < expires)
        expires = credential->expires;
    return expires;
}

struct role_set token_roles(const struct token_facts *token, const struct credential_facts *credential)
{
    return token->is_narrowed ? role_set_and(&token->roles, &credential->effective) : credential->effective;
}

/* The same bytes on every machine: word by word, least significant byte first. */
static void roles_to_bytes(const struct role_set *roles, uint8_t bytes[static ROLES_MAX / 8])
{
    for (int i = 0; i < ROLES_MAX / 8; i++)
        bytes[i] = (uint8_t)(roles->words[i / 8] >> (8 * (i % 8)));
}

static struct role_set roles_from_bytes(const uint8_t *bytes)
{
    struct role_set roles = {0};
    for (int i = 0; i < ROLES_MAX / 8; i++)
        roles.words[i / 8] |= (uint64_t)bytes[i] << (8 * (i % 8));
    return roles;
}

enum status token_insert(struct store_tx *tx, const struct token_row *row, const char *client_id, int64_t *ret_inserted)
{
    uint8_t roles[ROLES_MAX / 8];
    roles_to_bytes(&row->roles, roles);
    return store_send_counted(
        tx,
        "INSERT INTO token (key, credential, epoch, last_used, roles) SELECT $1, id, epoch, $2, $3 FROM credential"
        " WHERE id = $4 AND client_id = $5 AND epoch = $6 AND deleted = 0",
        ret_inserted, store_blob(row->key.bytes, TOKEN_KEY_BYTES), store_int(row->last_used),
        store_blob(row->is_narrowed ? roles : NULL, row->is_narrowed ? sizeof roles : 0), store_int(row->credential_id),
        store_text(client_id), store_int(row->epoch));
}

static enum status read_row(const struct store_row *from, struct token_row *row)
{
    size_t len = 0;
    const void *key = store_row_blob(from, 0, &len);
    if (len != TOKEN_KEY_BYTES)
        return STATUS_INTERNAL;
    memcpy(row->key.bytes, key, TOKEN_KEY_BYTES);
    row->credential_id = store_row_int(from, 1);
    row->epoch = store_row_int(from, 2);
    row->last_used = store_row_int(from, 3);
    const void *roles = store_row_blob(from, 4, &len);
    row->is_narrowed = len == ROLES_MAX / 8;
    row->roles = row->is_narrowed ? roles_from_bytes(roles) : (struct role_set){0};
    const char *api = store_row_text(from, 5);
    snprintf(row->last_api, sizeof row->last_api, "%s", api == NULL ? "" : api);
    return STATUS_OK;
}

struct loading {
    struct token_row *row;
    bool is_found;
};

static enum status read_one(const struct store_row *row, void *arg)
{
    struct loading *loading = arg;
    loading->is_found = true;
    return read_row(row, loading->row);
}

#define TOKEN_COLUMNS "key, credential, epoch, last_used, roles, last_api"

enum status token_load(struct store_tx *tx, const struct token_key *key, struct token_row *ret_row)
{
    struct loading loading = {ret_row, false};
    TRY(store_run(tx, "SELECT " TOKEN_COLUMNS " FROM token WHERE key = $1", read_one, &loading,
                  store_blob(key->bytes, TOKEN_KEY_BYTES)));
    return loading.is_found ? STATUS_OK : STATUS_NOT_FOUND;
}

static enum status delete_row(struct store_tx *tx, const struct token_key *key)
{
    return store_send(tx, "DELETE FROM token WHERE key = $1", store_blob(key->bytes, TOKEN_KEY_BYTES));
}

/* Under the directory's lock. */
static bool is_live(struct directory *directory, const struct token_row *row, const struct token_limits *limits,
                    int64_t now)
{
    struct token_facts facts = {.key = row->key, .last_used = row->last_used, .epoch = row->epoch};
    const struct credential_facts *credential = directory_find_id(directory, row->credential_id);
    return credential != NULL && token_is_active(&facts, credential, limits, now);
}

enum status token_end(struct work *work, const struct token_key *key, bool *ret_live)
{
    struct directory *directory = work->domain->directory;
    struct token_row row;
    *ret_live = false;
    enum status status = token_load(work->tx, key, &row);
    if (status == STATUS_OK) {
        directory_lock(directory);
        struct token_limits limits = settings_limits(directory_settings(directory), work->now);
        *ret_live = is_live(directory, &row, &limits, work->now);
        directory_unlock(directory);
        status = delete_row(work->tx, key);
    }
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    return work_change_token(work, key);
}

enum status token_store_use(struct store_tx *tx, bool is_shared, const struct token_use_row *use, int64_t *ret_changed)
{
    struct store_value used = store_int(use->used), last_api = store_text(use->api);
    struct store_value key = store_blob(use->key.bytes, TOKEN_KEY_BYTES), wrong_after = store_int(use->wrong_after);
    if (!is_shared) /* half the work */
        return store_send_counted(tx,
                                  "UPDATE token SET last_used = $1, last_api = $2 WHERE key = $3"
                                  " AND (last_used <= $1 OR last_used > $4)",
                                  ret_changed, used, last_api, key, wrong_after);
    /* Whoever is changing it now ends it, or notes a use of the same moment. */
    return store_send_counted(tx,
                              "UPDATE token SET last_used = $1, last_api = $2 WHERE key ="
                              " (SELECT key FROM token WHERE key = $3 AND (last_used <= $1 OR last_used > $4)"
                              " /* if free */)",
                              ret_changed, used, last_api, key, wrong_after);
}

static enum status read_counts(const struct store_row *row, void *arg)
{
    int64_t *counts = arg;
    counts[0] = store_row_int(row, 0);
    counts[1] = store_row_int(row, 1);
    return STATUS_OK;
}

/* issued > limit, for keys that hold whole seconds: the least key of the second after it. */
static struct token_key key_after(int64_t issued_after)
{
    return token_key_at(issued_after == INT64_MIN ? 0 : issued_after + 1);
}

enum status token_count_live(struct store_tx *tx, int64_t credential_id, int64_t epoch,
                             const struct token_limits *limits, int64_t *ret_count)
{
    struct token_key from = key_after(limits->issued_after);
    int64_t counts[2] = {0};
    TRY(store_run(tx,
                  "SELECT count(*), 0 FROM token WHERE credential = $1 AND key >= $2 AND epoch = $3 AND last_used > $4",
                  read_counts, counts, store_int(credential_id), store_blob(from.bytes, TOKEN_KEY_BYTES),
                  store_int(epoch), store_int(limits->used_after)));
    *ret_count = counts[0];
    return STATUS_OK;
}

enum status token_count_ended_by(struct store_tx *tx, const struct token_limits *now, const struct token_limits *next,
                                 int64_t at, int64_t *ret_tokens, int64_t *ret_credentials)
{
    struct token_key from = key_after(now->issued_after), next_from = key_after(next->issued_after);
    int64_t counts[2] = {0};
    TRY(store_run(tx,
                  "SELECT count(*), count(DISTINCT t.credential) FROM token t JOIN credential c ON c.id = t.credential"
                  " WHERE t.key >= $1 AND t.last_used > $2 AND t.epoch = c.epoch AND c.deleted = 0"
                  " AND (c.expires = 0 OR c.expires > $3) AND (t.key < $4 OR t.last_used <= $5)",
                  read_counts, counts, store_blob(from.bytes, TOKEN_KEY_BYTES), store_int(now->used_after),
                  store_int(at), store_blob(next_from.bytes, TOKEN_KEY_BYTES), store_int(next->used_after)));
    *ret_tokens = counts[0];
    *ret_credentials = counts[1];
    return STATUS_OK;
}

struct listing {
    token_each_fn *each;
    void *arg;
};

static enum status read_listed(const struct store_row *row, void *arg)
{
    struct listing *listing = arg;
    struct token_row token;
    TRY(read_row(row, &token));
    return listing->each(&token, listing->arg);
}

enum status token_list(struct store_tx *tx, int64_t credential_id, int64_t epoch, const struct token_limits *limits,
                       const struct token_key *before, int limit, token_each_fn *each, void *arg)
{
    struct token_key from = key_after(limits->issued_after);
    struct listing listing = {each, arg};
    return store_run(
        tx,
        "SELECT " TOKEN_COLUMNS " FROM token WHERE credential = $1 AND key >= $2 AND key < $3 AND epoch = $4"
        " AND last_used > $5 ORDER BY key DESC LIMIT $6",
        read_listed, &listing, store_int(credential_id), store_blob(from.bytes, TOKEN_KEY_BYTES),
        store_blob(before->bytes, TOKEN_KEY_BYTES), store_int(epoch), store_int(limits->used_after), store_int(limit));
}

/* Reaping */

struct look {
    struct token_reaping *reaping;
    struct token_key *ahead; /* whose last use has not come yet */
    int ahead_count;
};

/* The credential is the store's, not memory's: memory may not know yet what others have done, or that it was lost. */
static enum status look_at(const struct store_row *from, void *arg)
{
    struct look *look = arg;
    struct token_reaping *reaping = look->reaping;
    struct token_row row;
    TRY(read_row(from, &row));
    bool is_orphan = store_row_is_null(from, 6);
    const struct credential_facts credential = {
        .epoch = store_row_int(from, 6), .expires = store_row_int(from, 7), .deleted = store_row_int(from, 8)};
    struct token_facts facts = {.key = row.key, .last_used = row.last_used, .epoch = row.epoch};
    int64_t used = token_table_last_used(reaping->tokens, &row.key);
    if (row.last_used > reaping->latest)
        look->ahead[look->ahead_count++] = row.key;
    if (used > facts.last_used)
        facts.last_used = used;
    if (is_orphan || !token_is_active(&facts, &credential, &reaping->limits, reaping->at))
        reaping->removed[reaping->removed_count++] = row.key;
    reaping->seen++;
    reaping->cursor = row.key;
    return STATUS_OK;
}

enum status token_reap(struct store_tx *tx, struct arena *arena, struct token_reaping *reaping, int limit)
{
    struct look look = {.reaping = reaping, .ahead = arena_array(arena, struct token_key, (size_t)limit)};
    struct token_key from = reaping->cursor;
    reaping->removed = arena_array(arena, struct token_key, (size_t)limit);
    reaping->seen = reaping->removed_count = 0;
    TRY(store_run(
        tx,
        "SELECT t.key, t.credential, t.epoch, t.last_used, t.roles, t.last_api, c.epoch, c.expires, c.deleted"
        " FROM token t LEFT JOIN credential c ON c.id = t.credential WHERE t.key > $1 ORDER BY t.key LIMIT $2",
        look_at, &look, store_blob(from.bytes, TOKEN_KEY_BYTES), store_int(limit)));
    for (int i = 0; i < look.ahead_count; i++)
        TRY(store_send(tx, "UPDATE token SET last_used = $1 WHERE key = $2 AND last_used > $1",
                       store_int(reaping->latest), store_blob(look.ahead[i].bytes, TOKEN_KEY_BYTES)));
    for (int i = 0; i < reaping->removed_count; i++)
        TRY(delete_row(tx, &reaping->removed[i]));
    if (reaping->seen < limit)
        reaping->cursor = (struct token_key){0};
    return STATUS_OK;
}
