/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/role.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *id, *name, *group, *description;
} built_in_roles[] = {
    {"service_agent", "Service Agent", "Access Rights", "Able to access Work Manager, standard Team Member level"},
    {"self_service_user", "Self Service User", "Access Rights",
     "Able to access the Self Service app (available in a future release)"},
    {"work_creator", "Work Creator", "Access Rights", "Create new Cases, Tickets, Actions in Work Manager"},
    {"work_assigner", "Work Assigner", "Access Rights", "Assign work items in Work Manager"},
    {"team_leader", "Team Leader", "Access Rights", "Team Leader level data in Work Manager (bots view, Queues page)"},
    {ROLE_USER_MANAGER, "User Manager", "Access to Builder", "Only the User Management section of Builder"},
    {"master_builder", "Master Builder", "Access to Builder",
     "Create and edit master data which can be shared between processes"},
    {"release_manager", "Release Manager", "Access to Builder", "Publish Case and Ticket processes in Builder"},
    {ROLE_RESOURCE_SERVER, "Resource Server", "Gatehouse", "Introspect tokens and report their use"},
};
enum { BUILT_IN_COUNT = sizeof built_in_roles / sizeof built_in_roles[0] };

bool role_id_is_valid(const char *id)
{
    size_t len = strlen(id);
    return len > 0 && len <= ROLE_ID_MAX && id[0] >= 'a' && id[0] <= 'z' &&
           strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static enum status read_count(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

static enum status role_count(struct store_tx *tx, int64_t *ret_count)
{
    return store_run(tx, "SELECT count(*) FROM role", read_count, ret_count);
}

enum status role_seed(struct store_tx *tx, int64_t now)
{
    int64_t count = 0;
    TRY(role_count(tx, &count));
    for (int i = (int)count; i < BUILT_IN_COUNT; i++) {
        struct role role = {0};
        snprintf(role.id, sizeof role.id, "%s", built_in_roles[i].id);
        snprintf(role.name, sizeof role.name, "%s", built_in_roles[i].name);
        snprintf(role.group, sizeof role.group, "%s", built_in_roles[i].group);
        snprintf(role.description, sizeof role.description, "%s", built_in_roles[i].description);
        TRY(role_insert(tx, &role, now));
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
    role.is_built_in = role.number < BUILT_IN_COUNT;
    snprintf(role.id, sizeof role.id, "%s", store_row_text(row, 1));
    snprintf(role.name, sizeof role.name, "%s", store_row_text(row, 2));
    snprintf(role.group, sizeof role.group, "%s", store_row_text(row, 3));
    snprintf(role.description, sizeof role.description, "%s", store_row_text(row, 4));
    return listing->each(&role, listing->arg);
}

enum status role_list(struct store_tx *tx, role_each_fn *each, void *arg)
{
    struct listing listing = {each, arg};
    return store_run(tx, "SELECT number, id, name, role_group, description, retired, version FROM role ORDER BY number",
                     read_role, &listing);
}

enum status role_insert(struct store_tx *tx, struct role *role, int64_t now)
{
    int64_t count = 0;
    TRY(role_count(tx, &count));
    if (count >= ROLES_MAX)
        return STATUS_RESOURCE_EXHAUSTED;
    role->number = (int)count; /* roles are never removed */
    role->is_built_in = role->number < BUILT_IN_COUNT;
    role->version = 1;
    return store_run(tx,
                     "INSERT INTO role (id, number, name, role_group, description, created, retired, version)"
                     " VALUES ($1, $2, $3, $4, $5, $6, 0, 1)",
                     NULL, NULL, store_text(role->id), store_int(role->number), store_text(role->name),
                     store_text(role->group), store_text(role->description), store_int(now));
}

enum status role_update(struct store_tx *tx, struct role *role)
{
    role->version++;
    return store_run(tx,
                     "UPDATE role SET name = $1, role_group = $2, description = $3, retired = $4, version = $5"
                     " WHERE number = $6",
                     NULL, NULL, store_text(role->name), store_text(role->group), store_text(role->description),
                     store_int(role->is_retired), store_int(role->version), store_int(role->number));
}
