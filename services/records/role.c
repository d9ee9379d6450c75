/* SPDX-License-Identifier: Apache-2.0 */
#include "records/role.h"

#include <stdio.h>

static enum status count_rows(struct store_tx *tx, int64_t *ret_count)
{
    return store_run(tx, "SELECT count(*) FROM role", store_read_int, ret_count);
}

static enum status seed_one(struct store_tx *tx, int64_t now, struct role role, role_each_fn *each, void *arg)
{
    enum { ABSENT = -1 };
    int64_t is_built_in = ABSENT;
    TRY(store_run(tx, "SELECT built_in FROM role WHERE id = $1", store_read_int, &is_built_in, store_text(role.id)));
    if (is_built_in == 1)
        return STATUS_OK;
    enum status status = is_built_in == ABSENT ? role_row_insert(tx, &role, now) : STATUS_OK;
    if (status == STATUS_RESOURCE_EXHAUSTED)
        return STATUS_OK;
    TRY(status);
    role.is_built_in = is_built_in == ABSENT;
    return each(&role, arg);
}

enum status role_row_seed(struct store_tx *tx, int64_t now, role_each_fn *each, void *arg)
{
    for (int i = 0; i < ROLES_BUILT_IN; i++)
        TRY(seed_one(tx, now, role_built_in(i), each, arg));
    return STATUS_OK;
}

struct listing {
    role_each_fn *each;
    void *arg;
};

static enum status read_role(const struct store_row *row, void *arg)
{
    const struct listing *listing = arg;
    struct role role = {
        .number = (int)store_row_int(row, 0),
        .is_retired = store_row_int(row, 5) != 0,
        .version = store_row_int(row, 6),
        .is_built_in = store_row_int(row, 7) != 0,
    };
    snprintf(role.id, sizeof role.id, "%s", store_row_text(row, 1));
    snprintf(role.name, sizeof role.name, "%s", store_row_text(row, 2));
    snprintf(role.group, sizeof role.group, "%s", store_row_text(row, 3));
    snprintf(role.description, sizeof role.description, "%s", store_row_text(row, 4));
    return listing->each(&role, listing->arg);
}

enum status role_row_list(struct store_tx *tx, role_each_fn *each, void *arg)
{
    struct listing listing = {each, arg};
    return store_run(
        tx, "SELECT number, id, name, role_group, description, retired, version, built_in FROM role ORDER BY number",
        read_role, &listing);
}

enum status role_row_insert(struct store_tx *tx, struct role *role, int64_t now)
{
    int64_t count = 0;
    TRY(count_rows(tx, &count));
    if (count >= ROLES_MAX)
        return STATUS_RESOURCE_EXHAUSTED;
    role->number = (int)count; /* roles are never removed */
    role->version = 1;
    return store_run(tx,
                     "INSERT INTO role (id, number, name, role_group, description, created, retired, version,"
                     " built_in) VALUES ($1, $2, $3, $4, $5, $6, 0, 1, $7)",
                     NULL, NULL, store_text(role->id), store_int(role->number), store_text(role->name),
                     store_text(role->group), store_text(role->description), store_int(now),
                     store_int(role->is_built_in));
}

enum status role_row_update(struct store_tx *tx, struct role *role)
{
    role->version++;
    return store_run(tx,
                     "UPDATE role SET name = $1, role_group = $2, description = $3, retired = $4, version = $5"
                     " WHERE number = $6",
                     NULL, NULL, store_text(role->name), store_text(role->group), store_text(role->description),
                     store_int(role->is_retired), store_int(role->version), store_int(role->number));
}
