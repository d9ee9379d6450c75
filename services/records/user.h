/* SPDX-License-Identifier: Apache-2.0 */
/* The tables `user_account` and `user_role`: users that own credentials, which roles they have now, and had. */
#ifndef RECORDS_USER_H
#define RECORDS_USER_H

#include "base/arena.h"
#include "rules/role.h"
#include "store/store.h"

struct user {
    const char *id;
    int64_t created;
    int64_t updated;
    int64_t version;
    int64_t deleted; /* 0: living */
    struct role_set has;
    struct role_set had; /* and has no more */
    int64_t credential_count;
};

/* revoked: for each role of ret_had, since when; ROLES_MAX entries. A user that is not known has and had none. */
enum status user_row_load_roles(struct store_tx *tx, const char *id, struct role_set *ret_has, struct role_set *ret_had,
                                int64_t *revoked);

/* NOT_FOUND: no such user, or deleted. `id` is borrowed. */
enum status user_row_load(struct store_tx *tx, const char *id, struct user *ret_user);

/* The row alone, also of a deleted one. version 0: there is none. `id` is borrowed. */
enum status user_row_load_any(struct store_tx *tx, const char *id, struct user *ret_user);

/* Its version and whether it is deleted; made if it is not there. */
enum status user_row_save(struct store_tx *tx, const struct user *user, int64_t now);
enum status user_row_save_role(struct store_tx *tx, const char *id, int role, bool has, int64_t now);

/* Those after the id `after`, whose id contains `text` ("": all) and who have role number `role` (-1: any). */
struct user_query {
    const char *after, *text;
    int role;
};
/* The first `limit` of them, by id, in the arena: in three statements, however many these are. */
enum status user_row_list(struct store_tx *tx, struct arena *arena, const struct user_query *query, int limit,
                          struct user **ret_users, size_t *ret_count);
/* How many there are, whatever they come after. */
enum status user_row_count(struct store_tx *tx, const struct user_query *query, int64_t *ret_count);

#endif
