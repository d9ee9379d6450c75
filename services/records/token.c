/* SPDX-License-Identifier: Apache-2.0 */
#include "records/token.h"

#include "records/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum status token_row_insert(struct store_tx *tx, const struct token_row *row, const char *client_id,
                             int64_t *ret_inserted)
{
    uint8_t roles[ROLES_MAX / 8];
    roles_to_bytes(&row->roles, roles);
    return store_send_counted(
        tx,
        "INSERT INTO token (key, credential, epoch, last_used, roles) SELECT $1, id, epoch, $2, $3 FROM credential"
        " WHERE id = $4 AND client_id = $5 AND epoch = $6 AND deleted = 0 AND suspended = 0",
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

enum status token_row_load(struct store_tx *tx, const struct token_key *key, struct token_row *ret_row)
{
    struct loading loading = {ret_row, false};
    TRY(store_run(tx, "SELECT " TOKEN_COLUMNS " FROM token WHERE key = $1", read_one, &loading,
                  store_blob(key->bytes, TOKEN_KEY_BYTES)));
    return loading.is_found ? STATUS_OK : STATUS_NOT_FOUND;
}

/* PostgreSQL's alone: SQLite has no list of bytes, and no way between it and us. */
static struct store_value list_of_keys(struct store_tx *tx, struct arena *arena, const struct token_key *keys,
                                       size_t count)
{
    const char **texts = arena_array(arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        char hex[TOKEN_ACCESSOR_LEN + 1];
        token_key_format(&keys[i], hex);
        texts[i] = arena_format(arena, "\\x%s", hex);
    }
    return list_of_texts(tx, arena, texts, count);
}

struct loading_all {
    token_loaded_fn *each;
    void *arg;
};

static enum status read_loaded(const struct store_row *row, void *arg)
{
    const struct loading_all *loading = arg;
    struct token_row token;
    TRY(read_row(row, &token));
    loading->each(&token, loading->arg);
    return STATUS_OK;
}

enum status token_row_load_all(struct store_tx *tx, const struct token_key *keys, size_t count, token_loaded_fn *each,
                               void *arg)
{
    struct loading_all loading = {each, arg};
    for (size_t i = 0; store_dialect(tx) == STORE_SQLITE && i < count; i++)
        TRY(store_run(tx, "SELECT " TOKEN_COLUMNS " FROM token WHERE key = $1", read_loaded, &loading,
                      store_blob(keys[i].bytes, TOKEN_KEY_BYTES)));
    if (store_dialect(tx) == STORE_SQLITE || count == 0)
        return STATUS_OK;
    struct arena arena = {0};
    enum status status = store_run_by(
        tx,
        STORE_SQL_IN("store_sql_postgres", "SELECT " TOKEN_COLUMNS " FROM token WHERE key = ANY (CAST($1 AS BYTEA[]))"),
        read_loaded, &loading, list_of_keys(tx, &arena, keys, count));
    arena_done(&arena);
    return status;
}

struct finding {
    const struct token_key *keys;
    size_t count;
    bool *is_missing;
};

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, TOKEN_KEY_BYTES);
}

static enum status read_present(const struct store_row *row, void *arg)
{
    const struct finding *finding = arg;
    size_t len = 0;
    const void *key = store_row_blob(row, 0, &len);
    const struct token_key *found =
        len == TOKEN_KEY_BYTES ? bsearch(key, finding->keys, finding->count, sizeof *found, compare_keys) : NULL;
    if (found != NULL)
        finding->is_missing[found - finding->keys] = false;
    return STATUS_OK;
}

static enum status find_each(struct store_tx *tx, struct finding *finding)
{
    for (size_t i = 0; i < finding->count; i++)
        TRY(store_run(tx, "SELECT key FROM token WHERE key = $1", read_present, finding,
                      store_blob(finding->keys[i].bytes, TOKEN_KEY_BYTES)));
    return STATUS_OK;
}

static enum status find_all(struct store_tx *tx, struct arena *arena, struct finding *finding)
{
    return store_run_by(
        tx, STORE_SQL_IN("store_sql_postgres", "SELECT key FROM token WHERE key = ANY (CAST($1 AS BYTEA[]))"),
        read_present, finding, list_of_keys(tx, arena, finding->keys, finding->count));
}

enum status token_row_find_missing(struct store_tx *tx, const struct token_key *keys, size_t count, bool *ret_missing)
{
    enum { AT_ONCE = 1000 };
    enum status status = STATUS_OK;
    memset(ret_missing, true, count * sizeof *ret_missing);
    for (size_t at = 0; status == STATUS_OK && at < count; at += AT_ONCE) {
        struct arena arena = {0};
        struct finding finding = {&keys[at], count - at < AT_ONCE ? count - at : AT_ONCE, &ret_missing[at]};
        status = store_dialect(tx) == STORE_SQLITE ? find_each(tx, &finding) : find_all(tx, &arena, &finding);
        arena_done(&arena);
    }
    return status;
}

enum status token_row_remove(struct store_tx *tx, const struct token_key *key)
{
    return store_send(tx, "DELETE FROM token WHERE key = $1", store_blob(key->bytes, TOKEN_KEY_BYTES));
}

enum status token_row_store_use(struct store_tx *tx, const struct token_use_row *use, int64_t *ret_changed)
{
    /* Whoever is changing it now ends it, or notes a use of the same moment. */
    const char *sql = STORE_SQL_BY(tx,
                                   "UPDATE token SET last_used = $1, last_api = $2 WHERE key = $3 "
                                   "AND (last_used <= $1 OR last_used > $4)",
                                   "UPDATE token SET last_used = $1, last_api = $2 WHERE key = "
                                   "(SELECT key FROM token WHERE key = $3"
                                   " AND (last_used <= $1 OR last_used > $4) FOR UPDATE SKIP LOCKED)");
    return store_send_by(tx, sql, ret_changed, store_int(use->used), store_text(use->api),
                         store_blob(use->key.bytes, TOKEN_KEY_BYTES), store_int(use->wrong_after));
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

enum status token_row_count_live(struct store_tx *tx, int64_t credential_id, int64_t epoch,
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

enum status token_row_count_up_to(struct store_tx *tx, int64_t credential_id, int64_t epoch,
                                  const struct token_limits *limits, int64_t most, int64_t *ret_count)
{
    struct token_key from = key_after(limits->issued_after);
    return store_run(tx,
                     "SELECT count(*) FROM (SELECT 1 FROM token WHERE credential = $1 AND key >= $2 AND epoch = $3"
                     " AND last_used > $4 LIMIT $5) AS live",
                     store_read_int, ret_count, store_int(credential_id), store_blob(from.bytes, TOKEN_KEY_BYTES),
                     store_int(epoch), store_int(limits->used_after), store_int(most));
}

/* Live by the limits of now ($1 to $3), and no more by the next ($4, $5). Those of credentials that have limits of
 * their own are not among them. */
#define ENDED_BY \
    " FROM token t CROSS JOIN credential c" \
    " WHERE c.id = t.credential AND t.key >= $1 AND t.last_used > $2 AND t.epoch = c.epoch AND c.deleted = 0" \
    " AND c.suspended = 0 AND (c.expires = 0 OR c.expires > $3) AND (t.key < $4 OR t.last_used <= $5)" \
    " AND NOT EXISTS (SELECT 1 FROM credential_limit own WHERE own.credential = t.credential AND own.kind < 2)"

enum status token_row_count_ended_by(struct store_tx *tx, const struct token_limits *now,
                                     const struct token_limits *next, int64_t at, int64_t *ret_tokens,
                                     int64_t *ret_credentials)
{
    struct token_key from = key_after(now->issued_after), next_from = key_after(next->issued_after);
    int64_t counts[2] = {0};
    TRY(store_run(tx, "SELECT count(*), count(DISTINCT t.credential)" ENDED_BY, read_counts, counts,
                  store_blob(from.bytes, TOKEN_KEY_BYTES), store_int(now->used_after), store_int(at),
                  store_blob(next_from.bytes, TOKEN_KEY_BYTES), store_int(next->used_after)));
    *ret_tokens = counts[0];
    *ret_credentials = counts[1];
    return STATUS_OK;
}

struct credential_listing {
    token_credential_fn *each;
    void *arg;
};

static enum status read_credential(const struct store_row *row, void *arg)
{
    const struct credential_listing *listing = arg;
    return listing->each(store_row_int(row, 0), listing->arg);
}

enum status token_row_list_ended_by(struct store_tx *tx, const struct token_limits *now,
                                    const struct token_limits *next, int64_t at, int limit, token_credential_fn *each,
                                    void *arg)
{
    struct token_key from = key_after(now->issued_after), next_from = key_after(next->issued_after);
    struct credential_listing listing = {each, arg};
    return store_run(tx, "SELECT DISTINCT t.credential" ENDED_BY " LIMIT $6", read_credential, &listing,
                     store_blob(from.bytes, TOKEN_KEY_BYTES), store_int(now->used_after), store_int(at),
                     store_blob(next_from.bytes, TOKEN_KEY_BYTES), store_int(next->used_after), store_int(limit));
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

enum status token_row_list(struct store_tx *tx, int64_t credential_id, int64_t epoch, const struct token_limits *limits,
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

/* A token, and its credential as far as it decides whether it lives. */
#define HELD_COLUMNS \
    "t.key, t.credential, t.epoch, t.last_used, t.roles, t.last_api, c.epoch, c.expires, c.deleted, c.suspended," \
    " i.value, i.observed, i.floor, i.floor_set, l.value, l.observed, l.floor, l.floor_set"
#define LIMITS_OF(credential) \
    " LEFT JOIN credential_limit i ON i.credential = " credential " AND i.kind = 0 /* LIMIT_IDLE_TIMEOUT */" \
    " LEFT JOIN credential_limit l ON l.credential = " credential " AND l.kind = 1 /* LIMIT_TOKEN_LIFE */"

struct paging {
    token_page_fn *each;
    void *arg;
};

static struct own_limit read_limit(const struct store_row *row, int column)
{
    return (struct own_limit){.value = store_row_int(row, column),
                              .is_observed = store_row_int(row, column + 1) != 0,
                              .floor = store_row_int(row, column + 2),
                              .floor_set = store_row_int(row, column + 3)};
}

static enum status read_paged(const struct store_row *row, void *arg)
{
    const struct paging *paging = arg;
    struct token_row token;
    TRY(read_row(row, &token));
    struct token_holder holder = {
        .is_missing = store_row_is_null(row, 6),
        .epoch = store_row_int(row, 6),
        .expires = store_row_int(row, 7),
        .deleted = store_row_int(row, 8),
        .suspended = store_row_int(row, 9),
        .limits = {{[LIMIT_IDLE_TIMEOUT] = read_limit(row, 10), [LIMIT_TOKEN_LIFE] = read_limit(row, 14)}}};
    return paging->each(&token, &holder, paging->arg);
}

enum status token_row_page(struct store_tx *tx, const struct token_key *after, int limit, token_page_fn *each,
                           void *arg)
{
    struct paging paging = {each, arg};
    return store_run(tx,
                     "SELECT " HELD_COLUMNS " FROM token t LEFT JOIN credential c ON c.id = t.credential" LIMITS_OF(
                         "t.credential") " WHERE t.key > $1 ORDER BY t.key LIMIT $2",
                     read_paged, &paging, store_blob(after->bytes, TOKEN_KEY_BYTES), store_int(limit));
}

enum status token_row_each_limited(struct store_tx *tx, token_page_fn *each, void *arg)
{
    struct paging paging = {each, arg};
    return store_run(tx,
                     "SELECT " HELD_COLUMNS " FROM (SELECT credential AS id FROM credential_limit"
                     " WHERE kind < 2 /* LIMIT_TOKENS */ GROUP BY credential ORDER BY credential) AS limited"
                     " JOIN credential c ON c.id = limited.id JOIN token t ON t.credential = limited.id" LIMITS_OF(
                         "limited.id") " ORDER BY limited.id",
                     read_paged, &paging);
}

enum status token_row_lower_use(struct store_tx *tx, const struct token_key *key, int64_t latest)
{
    return store_send(tx, "UPDATE token SET last_used = $1 WHERE key = $2 AND last_used > $1", store_int(latest),
                      store_blob(key->bytes, TOKEN_KEY_BYTES));
}
