/* SPDX-License-Identifier: Apache-2.0 */
#include "records/credential.h"

#include "records/list.h"
#include "records/token_count.h"
#include "records/user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Credentials that are being loaded, and then their parts. */
struct loading {
    struct arena *arena;
    int64_t now;
    struct credential **credentials; /* by id, when their parts are loaded; there is room for all that are asked for */
    size_t count;
};

static enum status read_sources(const struct store_row *row, struct arena *arena, struct source_rule *sources)
{
    struct network networks[SOURCE_NETWORKS_MAX];
    if (!source_parse(store_row_text(row, 18), networks, &sources->count))
        return STATUS_INTERNAL;
    sources->networks = arena_array(arena, struct network, (size_t)sources->count);
    if (sources->count > 0)
        memcpy(sources->networks, networks, (size_t)sources->count * sizeof networks[0]);
    sources->is_observed = store_row_int(row, 19) != 0;
    return STATUS_OK;
}

static enum status read_credential(const struct store_row *row, void *arg)
{
    struct loading *loading = arg;
    struct credential *credential = arena_new(loading->arena, struct credential);
    credential->id = store_row_int(row, 0);
    snprintf(credential->client_id, sizeof credential->client_id, "%s", store_row_text(row, 1));
    credential->name = arena_text(loading->arena, store_row_text(row, 2));
    credential->owner = arena_text(loading->arena, store_row_text(row, 3));
    credential->created = store_row_int(row, 4);
    credential->updated = store_row_int(row, 5);
    credential->expires = store_row_int(row, 6);
    credential->deleted = store_row_int(row, 7);
    credential->epoch = store_row_int(row, 8);
    credential->version = store_row_int(row, 9);
    credential->last_used = store_row_int(row, 10);
    credential->created_by = arena_text(loading->arena, store_row_text(row, 11));
    credential->announce = store_row_int(row, 12);
    credential->self_rotation = store_row_int(row, 13) != 0;
    credential->suspended = store_row_int(row, 14);
    credential->resumed = store_row_int(row, 15);
    credential->warned = store_row_int(row, 16);
    credential->last_from = arena_text(loading->arena, store_row_text(row, 17));
    credential->contact = arena_text(loading->arena, store_row_text(row, 20));
    credential->labels = arena_text(loading->arena, store_row_text(row, 21));
    loading->credentials[loading->count++] = credential;
    return read_sources(row, loading->arena, &credential->sources);
}

static int compare_ids(const void *id, const void *credential)
{
    int64_t left = *(const int64_t *)id, right = (*(struct credential *const *)credential)->id;
    return (left > right) - (left < right);
}

static int compare_credentials(const void *a, const void *b)
{
    return compare_ids(&(*(struct credential *const *)a)->id, b);
}

/* NULL: it is not among them. */
static struct credential *find(const struct loading *loading, int64_t id)
{
    struct credential **found =
        bsearch(&id, loading->credentials, loading->count, sizeof *loading->credentials, compare_ids);
    return found == NULL ? NULL : *found;
}

/* Of the rows of a part the first column is the credential's id. */
static struct credential *find_of(const struct loading *loading, const struct store_row *row)
{
    return find(loading, store_row_int(row, 0));
}

static enum status read_grant(const struct store_row *row, void *arg)
{
    const struct loading *loading = arg;
    struct credential *credential = find_of(loading, row);
    if (credential == NULL || credential->grant_count == ROLES_MAX)
        return STATUS_INTERNAL;
    struct credential_grant *grant = &credential->grants[credential->grant_count++];
    grant->role = (int)store_row_int(row, 1);
    grant->granted = store_row_int(row, 2);
    grant->granted_by = arena_text(loading->arena, store_row_text(row, 3));
    grant->revoked = store_row_int(row, 4);
    grant->revoked_by = arena_text(loading->arena, store_row_text(row, 5));
    if (grant->revoked == 0)
        role_set_add(&credential->granted, grant->role);
    return STATUS_OK;
}

/* In its place, if it is among the first SECRETS_MAX: what comes after these has ended. */
static void put_secret(struct credential *credential, const struct credential_secret *secret, int64_t now)
{
    int at = credential->secret_count;
    while (at > 0 && secret_comes_before(secret->id, secret->ends, credential->secrets[at - 1].id,
                                         credential->secrets[at - 1].ends, now))
        at--;
    if (at == SECRETS_MAX)
        return;
    if (credential->secret_count < SECRETS_MAX)
        credential->secret_count++;
    for (int i = credential->secret_count - 1; i > at; i--)
        credential->secrets[i] = credential->secrets[i - 1];
    credential->secrets[at] = *secret;
}

static enum status read_secret(const struct store_row *row, void *arg)
{
    const struct loading *loading = arg;
    struct credential *credential = find_of(loading, row);
    size_t len = 0;
    const void *digest = store_row_blob(row, 2, &len);
    if (credential == NULL || len != SHA256_BYTES)
        return STATUS_INTERNAL;
    struct credential_secret secret = {.id = store_row_int(row, 1),
                                       .created = store_row_int(row, 4),
                                       .ends = store_row_int(row, 5),
                                       .last_used = store_row_int(row, 6)};
    memcpy(secret.digest, digest, SHA256_BYTES);
    snprintf(secret.hint, sizeof secret.hint, "%s", store_row_text(row, 3));
    put_secret(credential, &secret, loading->now);
    return STATUS_OK;
}

/* A limit_each_fn. */
static void add_limit(const struct limit_row *row, void *arg)
{
    struct credential *credential = find(arg, row->credential_id);
    if (credential == NULL)
        return;
    credential->limits.of[row->limit] = credential->limits_stored.of[row->limit] = row->own;
    credential->limits_seen[row->limit] = row->seen;
}

static enum status read_owner_role(const struct store_row *row, void *arg)
{
    struct credential *credential = find_of(arg, row);
    int role = (int)store_row_int(row, 1);
    int64_t revoked = store_row_int(row, 2);
    if (credential == NULL)
        return STATUS_INTERNAL;
    role_set_add(revoked == 0 ? &credential->owner_has : &credential->owner_had, role);
    credential->owner_revoked[role] = revoked;
    return STATUS_OK;
}

static void carry(struct credential *credential)
{
    credential->effective = credential_effective(&credential->granted, credential->owner, &credential->owner_has);
}

enum status credential_row_load_owner(struct store_tx *tx, struct credential *credential)
{
    credential->owner_has = credential->owner_had = (struct role_set){0};
    if (credential->owner[0] != '\0')
        TRY(user_row_load_roles(tx, credential->owner, &credential->owner_has, &credential->owner_had,
                                credential->owner_revoked));
    carry(credential);
    return STATUS_OK;
}

/* What other tables have of those that were found: a statement for each table, however many these are. */
static enum status load_parts(struct store_tx *tx, struct loading *loading)
{
    if (loading->count == 0)
        return STATUS_OK;
    qsort(loading->credentials, loading->count, sizeof *loading->credentials, compare_credentials);
    int64_t *ids = arena_array(loading->arena, int64_t, loading->count);
    for (size_t i = 0; i < loading->count; i++)
        ids[i] = loading->credentials[i]->id;
    struct store_value list = list_of_ids(tx, loading->arena, ids, loading->count);
    TRY(store_run_by(tx,
                     LIST_SQL_IDS(tx,
                                  "SELECT credential, role, granted, granted_by, revoked, revoked_by"
                                  " FROM credential_role WHERE credential",
                                  "$1", ""),
                     read_grant, loading, list));
    TRY(store_run_by(tx,
                     LIST_SQL_IDS(tx,
                                  "SELECT credential, id, digest, hint, created, ends, last_used FROM secret"
                                  " WHERE ends <> 1 /* SECRET_ENDS_NOW */ AND credential",
                                  "$1", ""),
                     read_secret, loading, list));
    TRY(limit_row_load(tx, list, add_limit, loading));
    TRY(store_run_by(tx,
                     LIST_SQL_IDS(tx,
                                  "SELECT c.id, u.role, u.revoked FROM credential c"
                                  " JOIN user_role u ON u.user_id = c.owner WHERE c.id",
                                  "$1", ""),
                     read_owner_role, loading, list));
    for (size_t i = 0; i < loading->count; i++)
        carry(loading->credentials[i]);
    return STATUS_OK;
}

#define CREDENTIAL_COLUMNS \
    "id, client_id, name, owner, created, updated, expires, deleted, epoch, version, last_used, created_by, " \
    "announce, self_rotation, suspended, resumed, warned, last_from, networks, networks_observed, contact, labels"

/* By a statement that says which one. */
static enum status load_one(struct store_tx *tx, struct arena *arena, int64_t now, const char *sql,
                            struct store_value which, struct credential **ret_credential)
{
    struct credential *credential = NULL;
    struct loading loading = {.arena = arena, .now = now, .credentials = &credential};
    TRY(store_run_by(tx, sql, read_credential, &loading, which));
    TRY(load_parts(tx, &loading));
    if (loading.count == 0)
        return STATUS_NOT_FOUND;
    *ret_credential = credential;
    return STATUS_OK;
}

enum status credential_row_load(struct store_tx *tx, struct arena *arena, const char *client_id, int64_t now,
                                struct credential **ret_credential)
{
    return load_one(tx, arena, now, STORE_SQL("SELECT " CREDENTIAL_COLUMNS " FROM credential WHERE client_id = $1"),
                    store_text(client_id), ret_credential);
}

enum status credential_row_load_id(struct store_tx *tx, struct arena *arena, int64_t id, int64_t now,
                                   struct credential **ret_credential)
{
    return load_one(tx, arena, now, STORE_SQL("SELECT " CREDENTIAL_COLUMNS " FROM credential WHERE id = $1"),
                    store_int(id), ret_credential);
}

/* At most so many are in memory at a time, each with room for all roles. */
enum { AT_ONCE = 250 };

/* The next of those that are asked for, by a statement that says which. */
static enum status load_some(struct store_tx *tx, struct loading *loading, size_t count, const char *sql,
                             struct store_value which)
{
    loading->credentials = arena_array(loading->arena, struct credential *, count);
    TRY(store_run_by(tx, sql, read_credential, loading, which));
    return load_parts(tx, loading);
}

static enum status each_of_ids(struct store_tx *tx, struct loading *loading, const int64_t *ids, size_t count,
                               credential_each_fn *each, void *arg)
{
    TRY(load_some(tx, loading, count,
                  LIST_SQL_IDS(tx, "SELECT " CREDENTIAL_COLUMNS " FROM credential WHERE id", "$1", ""),
                  list_of_ids(tx, loading->arena, ids, count)));
    for (size_t i = 0; i < count; i++) {
        struct credential *credential = find(loading, ids[i]);
        if (credential != NULL)
            TRY(each(credential, arg));
    }
    return STATUS_OK;
}

static enum status each_of_names(struct store_tx *tx, struct loading *loading, const char *const *client_ids,
                                 size_t count, credential_each_fn *each, void *arg)
{
    TRY(load_some(tx, loading, count,
                  LIST_SQL_TEXTS(tx, "SELECT " CREDENTIAL_COLUMNS " FROM credential WHERE client_id", "$1", ""),
                  list_of_texts(tx, loading->arena, client_ids, count)));
    for (size_t i = 0; i < loading->count; i++)
        TRY(each(loading->credentials[i], arg));
    return STATUS_OK;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

enum status credential_row_each(struct store_tx *tx, const int64_t *ids, size_t count, int64_t now,
                                credential_each_fn *each, void *arg)
{
    enum status status = STATUS_OK;
    for (size_t at = 0; status == STATUS_OK && at < count; at += AT_ONCE) {
        struct arena arena = {0};
        struct loading loading = {.arena = &arena, .now = now};
        status = each_of_ids(tx, &loading, &ids[at], least(count - at, AT_ONCE), each, arg);
        arena_done(&arena);
    }
    return status;
}

enum status credential_row_each_named(struct store_tx *tx, const char *const *client_ids, size_t count, int64_t now,
                                      credential_each_fn *each, void *arg)
{
    enum status status = STATUS_OK;
    for (size_t at = 0; status == STATUS_OK && at < count; at += AT_ONCE) {
        struct arena arena = {0};
        struct loading loading = {.arena = &arena, .now = now};
        status = each_of_names(tx, &loading, &client_ids[at], least(count - at, AT_ONCE), each, arg);
        arena_done(&arena);
    }
    return status;
}

static struct store_value owner_value(const struct credential *credential)
{
    return credential->owner[0] == '\0' ? store_null() : store_text(credential->owner);
}

enum status credential_row_insert(struct store_tx *tx, const struct credential *credential)
{
    char networks[SOURCE_TEXT_MAX];
    source_format(&credential->sources, networks);
    TRY(store_run(
        tx,
        "INSERT INTO credential (id, client_id, name, owner, created, updated, expires, deleted, epoch, version,"
        " last_used, created_by, announce, self_rotation, networks, networks_observed, contact, labels)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 1, 1, 0, $8, $9, $10, $11, $12, $13, $14)",
        NULL, NULL, store_int(credential->id), store_text(credential->client_id), store_text(credential->name),
        owner_value(credential), store_int(credential->created), store_int(credential->updated),
        store_int(credential->expires), store_text(credential->created_by), store_int(credential->announce),
        store_int(credential->self_rotation), store_text(networks), store_int(credential->sources.is_observed),
        store_text(credential->contact), store_text(credential->labels)));
    return limit_row_save(tx, credential->id, &credential->limits_stored, &credential->limits);
}

enum status credential_row_save(struct store_tx *tx, const struct credential *credential)
{
    char networks[SOURCE_TEXT_MAX];
    source_format(&credential->sources, networks);
    TRY(store_run(tx,
                  "UPDATE credential SET name = $1, owner = $2, updated = $3, expires = $4, deleted = $5, epoch = $6,"
                  " version = $7, announce = $8, self_rotation = $9, suspended = $10, resumed = $11,"
                  " warned = $12, networks = $13, networks_observed = $14, contact = $15, labels = $16 WHERE id = $17",
                  NULL, NULL, store_text(credential->name), owner_value(credential), store_int(credential->updated),
                  store_int(credential->expires), store_int(credential->deleted), store_int(credential->epoch),
                  store_int(credential->version), store_int(credential->announce), store_int(credential->self_rotation),
                  store_int(credential->suspended), store_int(credential->resumed), store_int(credential->warned),
                  store_text(networks), store_int(credential->sources.is_observed), store_text(credential->contact),
                  store_text(credential->labels), store_int(credential->id)));
    return limit_row_save(tx, credential->id, &credential->limits_stored, &credential->limits);
}

enum status credential_row_store_use(struct store_tx *tx, int64_t id, int64_t used)
{
    const char *sql = STORE_SQL_BY(tx, "UPDATE credential SET last_used = $1 WHERE id = $2 AND last_used < $1",
                                   "UPDATE credential SET last_used = $1 WHERE id = (SELECT id FROM credential"
                                   " WHERE id = $2 AND last_used < $1 FOR NO KEY UPDATE SKIP LOCKED)");
    return store_send_by(tx, sql, NULL, store_int(used), store_int(id));
}

enum status credential_row_store_from(struct store_tx *tx, int64_t id, const char *from, int64_t latest)
{
    const char *sql = STORE_SQL_BY(tx,
                                   "UPDATE credential SET last_from = $1 WHERE id = $2 AND last_from <> $1"
                                   " AND last_used <= $3",
                                   "UPDATE credential SET last_from = $1 WHERE id = (SELECT id FROM credential"
                                   " WHERE id = $2 AND last_from <> $1 AND last_used <= $3"
                                   " FOR NO KEY UPDATE SKIP LOCKED)");
    return store_send_by(tx, sql, NULL, store_text(from), store_int(id), store_int(latest));
}

enum status credential_row_remove(struct store_tx *tx, int64_t id)
{
    TRY(store_run(tx, "DELETE FROM secret WHERE credential = $1", NULL, NULL, store_int(id)));
    TRY(store_run(tx, "DELETE FROM credential_role WHERE credential = $1", NULL, NULL, store_int(id)));
    TRY(limit_row_remove(tx, id));
    TRY(token_count_row_remove(tx, id));
    return store_run(tx, "DELETE FROM credential WHERE id = $1", NULL, NULL, store_int(id));
}

enum status credential_row_mend(struct store_tx *tx, int64_t latest, int64_t now, int limit, int64_t *ret_mended)
{
    int64_t deleted = 0, used = 0;
    const char *mend_deleted = STORE_SQL_BY(
        tx,
        "UPDATE credential SET deleted = $1 WHERE id IN"
        " (SELECT id FROM credential WHERE deleted <> 0 AND deleted > $2 ORDER BY deleted DESC LIMIT $3)",
        "UPDATE credential SET deleted = $1 WHERE ctid = ANY (ARRAY"
        " (SELECT ctid FROM credential WHERE deleted <> 0 AND deleted > $2 ORDER BY deleted DESC LIMIT $3))");
    const char *mend_used =
        STORE_SQL_BY(tx,
                     "UPDATE credential SET last_used = $1 WHERE id IN"
                     " (SELECT id FROM credential WHERE last_used > $2 ORDER BY last_used DESC LIMIT $3)",
                     "UPDATE credential SET last_used = $1 WHERE ctid = ANY (ARRAY"
                     " (SELECT ctid FROM credential WHERE last_used > $2 ORDER BY last_used DESC LIMIT $3))");
    TRY(store_run_by(tx, mend_deleted, NULL, NULL, store_int(now), store_int(latest), store_int(limit)));
    TRY(store_changes(tx, &deleted));
    TRY(store_run_by(tx, mend_used, NULL, NULL, store_int(now), store_int(latest), store_int(limit)));
    TRY(store_changes(tx, &used));
    *ret_mended = deleted + used;
    return STATUS_OK;
}

struct listing {
    int64_t *ids;
    int count;
};

static enum status read_id(const struct store_row *row, void *arg)
{
    struct listing *listing = arg;
    listing->ids[listing->count++] = store_row_int(row, 0);
    return STATUS_OK;
}

enum status credential_row_deleted(struct store_tx *tx, int64_t until, int limit, int64_t *ids, int *ret_count)
{
    struct listing listing = {ids, 0};
    TRY(store_run(tx, "SELECT id FROM credential WHERE deleted <> 0 AND deleted <= $1 ORDER BY deleted LIMIT $2",
                  read_id, &listing, store_int(until), store_int(limit)));
    *ret_count = listing.count;
    return STATUS_OK;
}

enum status credential_row_warn(struct store_tx *tx, int64_t id, int64_t warned)
{
    return store_run(tx, "UPDATE credential SET warned = $1 WHERE id = $2", NULL, NULL, store_int(warned),
                     store_int(id));
}

enum status credential_row_unused(struct store_tx *tx, int64_t since, int limit, int64_t *cursor, int64_t *ids,
                                  int *ret_count)
{
    struct listing listing = {ids, 0};
    int64_t last = 0;
    TRY(store_run(tx, "SELECT max(id) FROM (SELECT id FROM credential WHERE id > $1 ORDER BY id LIMIT $2) AS page",
                  store_read_int, &last, store_int(*cursor), store_int(limit)));
    TRY(store_run(tx,
                  "SELECT id FROM credential WHERE id > $1 AND id <= $2 AND deleted = 0 AND suspended = 0"
                  " AND (last_used <= $3 OR warned <> 0) ORDER BY id",
                  read_id, &listing, store_int(*cursor), store_int(last), store_int(since)));
    *cursor = last;
    *ret_count = listing.count;
    return STATUS_OK;
}

/* Its roles */

enum status credential_role_grant(struct store_tx *tx, int64_t id, const struct credential_grant *grant)
{
    return store_run(tx,
                     "INSERT INTO credential_role (credential, role, granted, granted_by, revoked, revoked_by)"
                     " VALUES ($1, $2, $3, $4, 0, '') ON CONFLICT (credential, role) DO UPDATE SET"
                     " granted = excluded.granted, granted_by = excluded.granted_by, revoked = 0, revoked_by = ''",
                     NULL, NULL, store_int(id), store_int(grant->role), store_int(grant->granted),
                     store_text(grant->granted_by));
}

enum status credential_role_revoke(struct store_tx *tx, int64_t id, const struct credential_grant *grant)
{
    return store_run(tx, "UPDATE credential_role SET revoked = $1, revoked_by = $2 WHERE credential = $3 AND role = $4",
                     NULL, NULL, store_int(grant->revoked), store_text(grant->revoked_by), store_int(id),
                     store_int(grant->role));
}

struct owned {
    credential_owned_fn *each;
    void *arg;
};

static enum status read_owned(const struct store_row *row, void *arg)
{
    const struct owned *owned = arg;
    owned->each(store_row_int(row, 0), (int)store_row_int(row, 1), owned->arg);
    return STATUS_OK;
}

enum status credential_role_of_owner(struct store_tx *tx, const char *owner, credential_owned_fn *each, void *arg)
{
    struct owned owned = {each, arg};
    return store_run(tx,
                     "SELECT c.id, r.role FROM credential c JOIN credential_role r ON r.credential = c.id"
                     " WHERE c.owner = $1 AND r.revoked = 0 ORDER BY c.id",
                     read_owned, &owned, store_text(owner));
}

enum status credential_role_is_held(struct store_tx *tx, int role, int64_t at, int64_t except, bool *ret_held)
{
    int64_t held = 0;
    TRY(store_run(tx,
                  "SELECT 1 FROM credential_role r JOIN credential c ON c.id = r.credential"
                  " WHERE r.role = $1 AND r.revoked = 0 AND c.id <> $2 AND c.deleted = 0 AND c.suspended = 0"
                  " AND (c.expires = 0 OR c.expires > $3)"
                  " AND (c.owner IS NULL OR EXISTS (SELECT 1 FROM user_role u"
                  " WHERE u.user_id = c.owner AND u.role = $1 AND u.revoked = 0))"
                  " AND (SELECT s.id FROM secret s WHERE s.credential = c.id AND (s.ends = 0 OR s.ends > $3) LIMIT 1)"
                  " IS NOT NULL" /* by EXISTS, PostgreSQL may join all secret keys */
                  " ORDER BY r.credential LIMIT 1",
                  store_read_int, &held, store_int(role), store_int(except), store_int(at)));
    *ret_held = held != 0;
    return STATUS_OK;
}
