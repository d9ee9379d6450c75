/* SPDX-License-Identifier: Apache-2.0 */
#include "records/role.h"

#include <stdio.h>

static enum status count_rows(struct store_tx *tx, int64_t *ret_count)
{
    return store_run(tx, "SELECT count(*) FROM role", store_read_int, ret_count);
}

enum status role_row_seed(struct store_tx *tx, int64_t now)
{
    int64_t count = 0;
    TRY(count_rows(tx, &count));
    for (int i = (int)count; i < ROLES_BUILT_IN; i++) {
        struct role role = role_built_in(i);
        TRY(role_row_insert(tx, &role, now));
    }
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
    };
    role.is_built_in = role.number < ROLES_BUILT_IN;
    snprintf(role.id, sizeof role.id, "%s", store_row_text(row, 1));
    snprintf(role.name, sizeof role.name, "%s", store_row_text(row, 2));
    snprintf(role.group, sizeof role.group, "%s", store_row_text(row, 3));
    snprintf(role.description, sizeof role.description, "%s", store_row_text(row, 4));
    return listing->each(&role, listing->arg);
}

enum status role_row_list(struct store_tx *tx, role_each_fn *each, void *arg)
{
    struct listing listing = {each, arg};
    return store_run(tx, "SELECT number, id, name, role_group, description, retired, version FROM role ORDER BY number",
                     read_role, &listing);
}

enum status role_row_insert(struct store_tx *tx, struct role *role, int64_t now)
{
    int64_t count = 0;
    TRY(count_rows(tx, &count));
    if (count >= ROLES_MAX)
        return STATUS_RESOURCE_EXHAUSTED;
    role->number = (int)count; /* roles are never removed */
    role->is_built_in = role->number < ROLES_BUILT_IN;
    role->version = 1;
    return store_run(tx,
                     "INSERT INTO role (id, number, name, role_group, description, created, retired, version)"
                     " VALUES ($1, $2, $3, $4, $5, $6, 0, 1)",
                     NULL, NULL, store_text(role->id), store_int(role->number), store_text(role->name),
                     store_text(role->group), store_text(role->description), store_int(now));
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
