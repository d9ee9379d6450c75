/* SPDX-License-Identifier: Apache-2.0 */
/* Roles: the catalogue's entries, and sets of them. A role's number is its place in every set; it never changes. */
#ifndef RULES_ROLE_H
#define RULES_ROLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
static inline void role_set_remove(struct role_set *set, int number)
{
    set->words[number / 64] &= ~(UINT64_C(1) << (number % 64));
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

/* A role's number where it is known; -1: there is no such role there. */
typedef int role_number_fn(const void *catalogue, const char *id);

/* The one function that says which of `required` whoever carries `carried` lacks, in their order: those that it does
 * not carry, whether they exist or not. Returns how many, into `ret_missing`, which has room for all. */
size_t role_list_missing(const struct role_set *carried, char *const *required, size_t count, role_number_fn *number,
                         const void *catalogue, char **ret_missing);

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

/* The roles that Gatehouse itself asks for. */
#define ROLE_AUDITOR "auditor"
#define ROLE_KEY_MANAGER "key_manager"
#define ROLE_USER_MANAGER "user_manager"
#define ROLE_RESOURCE_SERVER "resource_server"

/* What the holder of a role may do in administration: each also what those before it may. */
enum grade { GRADE_NONE, GRADE_AUDITOR, GRADE_KEY_MANAGER, GRADE_USER_MANAGER };
/* By the id of a built-in role. NONE: it is not an administrator's. */
enum grade role_grade(const char *id);

/* Those that Gatehouse brings, in the order in which they are put into the catalogue; of an older one, the first nine
 * have these numbers. The rest of the struct is as it is when they are put in. */
enum { ROLES_BUILT_IN = 11 };
struct role role_built_in(int index);

#endif
