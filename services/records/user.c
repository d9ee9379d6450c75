/* SPDX-License-Identifier: Apache-2.0 */
#include "records/user.h"

#include "records/list.h"
#include "records/pattern.h"

#include <stdlib.h>
#include <string.h>

struct roles_of {
    struct role_set *has, *had;
    int64_t *revoked;
};

static enum status read_role(const struct store_row *row, void *arg)
{
    struct roles_of *roles = arg;
    int role = (int)store_row_int(row, 0);
    int64_t revoked = store_row_int(row, 1);
    role_set_add(revoked == 0 ? roles->has : roles->had, role);
    if (roles->revoked != NULL)
        roles->revoked[role] = revoked;
    return STATUS_OK;
}

enum status user_row_load_roles(struct store_tx *tx, const char *id, struct role_set *ret_has, struct role_set *ret_had,
                                int64_t *revoked)
{
    *ret_has = *ret_had = (struct role_set){0};
    struct roles_of roles = {ret_has, ret_had, revoked};
    return store_run(tx, "SELECT role, revoked FROM user_role WHERE user_id = $1", read_role, &roles, store_text(id));
}

static enum status read_user(const struct store_row *row, void *arg)
{
    struct user *user = arg;
    user->created = store_row_int(row, 0);
    user->updated = store_row_int(row, 1);
    user->version = store_row_int(row, 2);
    user->deleted = store_row_int(row, 3);
    return STATUS_OK;
}

/* Users by id, while their parts are loaded. */
struct loading {
    struct user *users;
    size_t count;
};

static int compare_id(const void *id, const void *user)
{
    return strcmp(id, ((const struct user *)user)->id);
}

/* Of the rows of a part the first column is the user's id. NULL: none of them. */
static struct user *find_of(const struct loading *loading, const struct store_row *row)
{
    return bsearch(store_row_text(row, 0), loading->users, loading->count, sizeof *loading->users, compare_id);
}

static enum status read_role_of(const struct store_row *row, void *arg)
{
    struct user *user = find_of(arg, row);
    if (user == NULL)
        return STATUS_INTERNAL;
    role_set_add(store_row_int(row, 2) == 0 ? &user->has : &user->had, (int)store_row_int(row, 1));
    return STATUS_OK;
}

static enum status read_credential_count(const struct store_row *row, void *arg)
{
    struct user *user = find_of(arg, row);
    if (user == NULL)
        return STATUS_INTERNAL;
    user->credential_count = store_row_int(row, 1);
    return STATUS_OK;
}

/* What other tables have of them: a statement for each table, however many they are. */
static enum status load_parts(struct store_tx *tx, struct arena *arena, struct loading *loading)
{
    const char **ids = arena_array(arena, const char *, loading->count);
    for (size_t i = 0; i < loading->count; i++)
        ids[i] = loading->users[i].id;
    struct store_value list = list_of_texts(tx, arena, ids, loading->count);
    TRY(store_run_by(tx, LIST_SQL_TEXTS(tx, "SELECT user_id, role, revoked FROM user_role WHERE user_id", "$1", ""),
                     read_role_of, loading, list));
    return store_run_by(tx,
                        LIST_SQL_TEXTS(tx, "SELECT owner, count(*) FROM credential WHERE deleted = 0 AND owner", "$1",
                                       " GROUP BY owner"),
                        read_credential_count, loading, list);
}

enum status user_row_load_any(struct store_tx *tx, const char *id, struct user *ret_user)
{
    *ret_user = (struct user){.id = id};
    return store_run(tx, "SELECT created, updated, version, deleted FROM user_account WHERE id = $1", read_user,
                     ret_user, store_text(id));
}

enum status user_row_load(struct store_tx *tx, const char *id, struct user *ret_user)
{
    TRY(user_row_load_any(tx, id, ret_user));
    if (ret_user->version == 0 || ret_user->deleted != 0)
        return STATUS_NOT_FOUND;
    struct arena arena = {0};
    enum status status = load_parts(tx, &arena, &(struct loading){ret_user, 1});
    arena_done(&arena);
    return status;
}

enum status user_row_save(struct store_tx *tx, const struct user *user, int64_t now)
{
    return store_run(tx,
                     "INSERT INTO user_account (id, created, updated, version, deleted) VALUES ($1, $2, $3, $4, $5)"
                     " ON CONFLICT (id) DO UPDATE SET updated = excluded.updated, version = excluded.version,"
                     " deleted = excluded.deleted",
                     NULL, NULL, store_text(user->id), store_int(now), store_int(now), store_int(user->version),
                     store_int(user->deleted));
}

enum status user_row_save_role(struct store_tx *tx, const char *id, int role, bool has, int64_t now)
{
    return store_run(tx,
                     "INSERT INTO user_role (user_id, role, granted, revoked) VALUES ($1, $2, $3, $4)"
                     " ON CONFLICT (user_id, role) DO UPDATE SET revoked = excluded.revoked",
                     NULL, NULL, store_text(id), store_int(role), store_int(now), store_int(has ? 0 : now));
}

struct listing {
    struct arena *arena;
    struct loading loading;
};

static enum status read_listed(const struct store_row *row, void *arg)
{
    struct listing *listing = arg;
    listing->loading.users[listing->loading.count++] =
        (struct user){.id = arena_text(listing->arena, store_row_text(row, 0)),
                      .created = store_row_int(row, 1),
                      .updated = store_row_int(row, 2),
                      .version = store_row_int(row, 3)};
    return STATUS_OK;
}

#define USER_MATCHES \
    " deleted = 0 AND id > $1 AND lower(id) LIKE $2 ESCAPE '\\' AND ($3 < 0 OR EXISTS (SELECT 1 FROM user_role r" \
    " WHERE r.user_id = user_account.id AND r.role = $3 AND r.revoked = 0))"

enum status user_row_list(struct store_tx *tx, struct arena *arena, const struct user_query *query, int limit,
                          struct user **ret_users, size_t *ret_count)
{
    char pattern[2 * PATTERN_TEXT_MAX + 3];
    pattern_make(query->text, pattern);
    struct listing listing = {arena, {arena_array(arena, struct user, (size_t)limit), 0}};
    TRY(store_run(tx,
                  "SELECT id, created, updated, version FROM user_account WHERE" USER_MATCHES " ORDER BY id LIMIT $4",
                  read_listed, &listing, store_text(query->after), store_text(pattern), store_int(query->role),
                  store_int(limit)));
    TRY(load_parts(tx, arena, &listing.loading));
    *ret_users = listing.loading.users;
    *ret_count = listing.loading.count;
    return STATUS_OK;
}

enum status user_row_count(struct store_tx *tx, const struct user_query *query, int64_t *ret_count)
{
    char pattern[2 * PATTERN_TEXT_MAX + 3];
    pattern_make(query->text, pattern);
    return store_run(tx, "SELECT count(*) FROM user_account WHERE" USER_MATCHES, store_read_int, ret_count,
                     store_text(""), store_text(pattern), store_int(query->role));
}
