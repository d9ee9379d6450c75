/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/catalogue.h"

#include "base/must.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ROLE_SLOTS = 1024 }; /* open addressing, at most a quarter full */

/* An entry is complete before its number counts. */
struct catalogue {
    struct role *roles[ROLES_MAX];
    _Atomic int count;
    _Atomic int16_t slots[ROLE_SLOTS]; /* number + 1; 0: empty */
    _Atomic int resource_server;       /* -1: not there yet */
    _Atomic int graded[GRADE_USER_MANAGER + 1];
    struct catalogue *before;
};

struct catalogue *catalogue_new(struct catalogue *before)
{
    struct catalogue *catalogue = must(calloc(1, sizeof *catalogue));
    catalogue->before = before;
    for (int grade = GRADE_NONE; grade <= GRADE_USER_MANAGER; grade++)
        atomic_init(&catalogue->graded[grade], -1);
    atomic_init(&catalogue->resource_server, -1);
    return catalogue;
}

void catalogue_free(struct catalogue *catalogue)
{
    for (struct catalogue *before; catalogue != NULL; catalogue = before) {
        before = catalogue->before;
        for (int i = 0; i < catalogue->count; i++)
            free(catalogue->roles[i]);
        free(catalogue);
    }
}

static size_t role_slot(const char *role_id)
{
    uint32_t hash = 2166136261u; /* FNV-1a; an administrator chooses these ids, no stranger */
    for (; *role_id != '\0'; role_id++)
        hash = (hash ^ (uint8_t)*role_id) * 16777619u;
    return hash % ROLE_SLOTS;
}

int catalogue_number(const struct catalogue *catalogue, const char *role_id)
{
    for (size_t slot = role_slot(role_id);; slot = (slot + 1) % ROLE_SLOTS) {
        int number = atomic_load_explicit(&catalogue->slots[slot], memory_order_acquire) - 1;
        if (number < 0 || strcmp(catalogue->roles[number]->id, role_id) == 0)
            return number;
    }
}

int catalogue_count(const struct catalogue *catalogue)
{
    return atomic_load_explicit(&catalogue->count, memory_order_acquire);
}

const struct role *catalogue_role(const struct catalogue *catalogue, int number)
{
    return number >= 0 && number < catalogue_count(catalogue) ? catalogue->roles[number] : NULL;
}

int catalogue_graded(const struct catalogue *catalogue, enum grade grade)
{
    return catalogue->graded[grade];
}

int catalogue_resource_server(const struct catalogue *catalogue)
{
    return catalogue->resource_server;
}

static void add_role(struct catalogue *catalogue, const struct role *role)
{
    struct role *copy = must(malloc(sizeof *copy));
    *copy = *role;
    catalogue->roles[role->number] = copy;
    atomic_store_explicit(&catalogue->count, role->number + 1, memory_order_release);
    size_t slot = role_slot(role->id);
    while (catalogue->slots[slot] != 0)
        slot = (slot + 1) % ROLE_SLOTS;
    atomic_store_explicit(&catalogue->slots[slot], (int16_t)(role->number + 1), memory_order_release);
    if (!role->is_built_in) /* an operator's own of the same name, older than ours, gives no right */
        return;
    if (role_grade(role->id) != GRADE_NONE)
        atomic_store(&catalogue->graded[role_grade(role->id)], role->number);
    if (strcmp(role->id, ROLE_RESOURCE_SERVER) == 0)
        atomic_store(&catalogue->resource_server, role->number);
}

static void update_role(struct role *present, const struct role *role)
{
    memcpy(present->name, role->name, sizeof present->name);
    memcpy(present->group, role->group, sizeof present->group);
    memcpy(present->description, role->description, sizeof present->description);
    present->is_retired = role->is_retired;
    present->version = role->version;
}

void catalogue_put(struct catalogue *catalogue, const struct role *role, bool is_forced)
{
    if (role->number == catalogue->count && role->number < ROLES_MAX)
        add_role(catalogue, role);
    else if (role->number < catalogue->count && (is_forced || role->version >= catalogue->roles[role->number]->version))
        update_role(catalogue->roles[role->number], role);
}

bool catalogue_fits(const struct catalogue *catalogue, const struct role *roles, size_t count)
{
    bool fits = (size_t)catalogue->count <= count;
    for (int i = 0; fits && i < catalogue->count; i++)
        fits = strcmp(catalogue->roles[i]->id, roles[i].id) == 0;
    return fits;
}
