/* SPDX-License-Identifier: Apache-2.0 */
/* Users that own credentials: which roles their directory says they have now, and had. */
#ifndef DOMAIN_USER_H
#define DOMAIN_USER_H

#include "domain/work.h"

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
enum status user_load_roles(struct store_tx *tx, const char *id, struct role_set *ret_has, struct role_set *ret_had,
                            int64_t *revoked);

/* NOT_FOUND: no such user, or deleted. `id` is borrowed. */
enum status user_load(struct store_tx *tx, const char *id, struct user *ret_user);

/* Makes the user if need be; ends the tokens of the credentials whose effective roles change. Without any difference
 * nothing is written. */
enum status user_set_roles(struct work *work, const char *id, const struct role_set *roles);

enum status user_delete(struct work *work, const char *id);

/* By id, those after `after`, whose id contains `text` ("": all) and who have role number `role` (-1: any). */
typedef enum status user_each_fn(const struct user *user, void *arg);
enum status user_list(struct store_tx *tx, const char *after, const char *text, int role, int limit, user_each_fn *each,
                      void *arg);
enum status user_count(struct store_tx *tx, const char *text, int role, int64_t *ret_count);

#endif
