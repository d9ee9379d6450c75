/* SPDX-License-Identifier: Apache-2.0 */
/* Roles: the catalogue's entries, and sets of them. A role's number is its place in every set; it never changes. */
#ifndef DOMAIN_ROLE_H
#define DOMAIN_ROLE_H

#include "store/store.h"

enum {
    ROLES_MAX = 256,
    ROLE_ID_MAX = 64,
    ROLE_NAME_MAX = 400,
    ROLE_DESCRIPTION_MAX = 2000,
};

struct role_set {
    uint64_t words[ROLES_MAX / 64];
};

static inline bool role_set_has(const struct role_set *set, int number)
{
    return (set->words[number / 64] >> (number % 64) & 1) != 0;
}
static inline void role_set_add(struct role_set *set, int number)
{
    set->words[number / 64] |= UINT64_C(1) << (number % 64);
}
static inline struct role_set role_set_and(const struct role_set *a, const struct role_set *b)
{
    struct role_set both;
    for (int i = 0; i < ROLES_MAX / 64; i++)
        both.words[i] = a->words[i] & b->words[i];
    return both;
}
static inline bool role_set_equal(const struct role_set *a, const struct role_set *b)
{
    for (int i = 0; i < ROLES_MAX / 64; i++)
        if (a->words[i] != b->words[i])
            return false;
    return true;
}
static inline bool role_set_is_empty(const struct role_set *set)
{
    return role_set_equal(set, &(struct role_set){0});
}

struct role {
    int number;
    char id[ROLE_ID_MAX + 1];
    char name[ROLE_NAME_MAX + 1];
    char group[ROLE_NAME_MAX + 1];
    char description[ROLE_DESCRIPTION_MAX + 1];
    bool is_retired;
    bool is_built_in;
    int64_t version;
};

/* The two roles that Gatehouse itself asks for. */
#define ROLE_USER_MANAGER "user_manager"
#define ROLE_RESOURCE_SERVER "resource_server"

/* [a-z][a-z0-9_]*, at most ROLE_ID_MAX. */
bool role_id_is_valid(const char *id);

/* Puts the catalogue's first nine into an empty one. */
enum status role_seed(struct store_tx *tx, int64_t now);

typedef enum status role_each_fn(const struct role *role, void *arg);
enum status role_list(struct store_tx *tx, role_each_fn *each, void *arg); /* by number */

/* Number and version are given. ALREADY_EXISTS: the id is taken. RESOURCE_EXHAUSTED: ROLES_MAX. */
enum status role_insert(struct store_tx *tx, struct role *role, int64_t now);
enum status role_update(struct store_tx *tx, struct role *role);

#endif
