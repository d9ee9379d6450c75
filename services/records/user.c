/* SPDX-License-Identifier: Apache-2.0 */
#include "records/user.h"

#include "records/pattern.h"

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

static enum status load_parts(struct store_tx *tx, struct user *user)
{
    TRY(user_row_load_roles(tx, user->id, &user->has, &user->had, NULL));
    return store_run(tx, "SELECT count(*) FROM credential WHERE owner = $1 AND deleted = 0", store_read_int,
                     &user->credential_count, store_text(user->id));
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
    return load_parts(tx, ret_user);
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
    struct store_tx *tx;
    user_each_fn *each;
    void *arg;
};

static enum status read_listed(const struct store_row *row, void *arg)
{
    struct listing *listing = arg;
    struct user user = {.id = store_row_text(row, 0)};
    user.created = store_row_int(row, 1);
    user.updated = store_row_int(row, 2);
    user.version = store_row_int(row, 3);
    return listing->each(&user, listing->arg);
}

#define USER_MATCHES \
    " deleted = 0 AND id > $1 AND lower(id) LIKE $2 ESCAPE '\\' AND ($3 < 0 OR EXISTS (SELECT 1 FROM user_role r" \
    " WHERE r.user_id = user_account.id AND r.role = $3 AND r.revoked = 0))"

enum status user_row_list(struct store_tx *tx, const char *after, const char *text, int role, int limit,
                          user_each_fn *each, void *arg)
{
    char pattern[2 * PATTERN_TEXT_MAX + 3];
    pattern_make(text, pattern);
    struct listing listing = {tx, each, arg};
    return store_run(
        tx, "SELECT id, created, updated, version FROM user_account WHERE" USER_MATCHES " ORDER BY id LIMIT $4",
        read_listed, &listing, store_text(after), store_text(pattern), store_int(role), store_int(limit));
}

enum status user_row_count(struct store_tx *tx, const char *text, int role, int64_t *ret_count)
{
    char pattern[2 * PATTERN_TEXT_MAX + 3];
    pattern_make(text, pattern);
    return store_run(tx, "SELECT count(*) FROM user_account WHERE" USER_MATCHES, store_read_int, ret_count,
                     store_text(""), store_text(pattern), store_int(role));
}
