/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/role.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *id, *name, *group, *description;
} built_in_roles[ROLES_BUILT_IN] = {
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
    {ROLE_AUDITOR, "Auditor", "Gatehouse", "Read everything in administration, and change nothing"},
    {ROLE_KEY_MANAGER, "Key Manager", "Gatehouse",
     "Make and end secret keys, end tokens, change expiry dates; grant nothing"},
};

enum grade role_grade(const char *id)
{
    static const char *const graded[] = {NULL, ROLE_AUDITOR, ROLE_KEY_MANAGER, ROLE_USER_MANAGER};
    for (enum grade grade = GRADE_AUDITOR; grade <= GRADE_USER_MANAGER; grade++)
        if (strcmp(id, graded[grade]) == 0)
            return grade;
    return GRADE_NONE;
}

struct role role_built_in(int index)
{
    struct role role = {.number = index, .is_built_in = true};
    snprintf(role.id, sizeof role.id, "%s", built_in_roles[index].id);
    snprintf(role.name, sizeof role.name, "%s", built_in_roles[index].name);
    snprintf(role.group, sizeof role.group, "%s", built_in_roles[index].group);
    snprintf(role.description, sizeof role.description, "%s", built_in_roles[index].description);
    return role;
}

size_t role_list_missing(const struct role_set *carried, char *const *required, size_t count, role_number_fn *number,
                         const void *catalogue, char **ret_missing)
{
    size_t missing = 0;
    for (size_t i = 0; i < count; i++) {
        int role = number(catalogue, required[i]);
        if (role < 0 || !role_set_has(carried, role))
            ret_missing[missing++] = required[i];
    }
    return missing;
}
