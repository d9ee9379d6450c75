/* SPDX-License-Identifier: Apache-2.0 */
/* The table `role`: the catalogue, whose rows are never removed. */
#ifndef RECORDS_ROLE_H
#define RECORDS_ROLE_H

#include "rules/role.h"
#include "store/store.h"

/* Puts what Gatehouse brings into the catalogue. `each`: of every one that was not there and is now, or whose id is a
 * role of the operator's own (not is_built_in): that one stays what it is. A full catalogue has no place for more. */
typedef enum status role_each_fn(const struct role *role, void *arg);
enum status role_row_seed(struct store_tx *tx, int64_t now, role_each_fn *each, void *arg);

/* By number. */
enum status role_row_list(struct store_tx *tx, role_each_fn *each, void *arg);

/* Number and version are given. ALREADY_EXISTS: the id is taken. RESOURCE_EXHAUSTED: ROLES_MAX. */
enum status role_row_insert(struct store_tx *tx, struct role *role, int64_t now);
/* Counts the version on. */
enum status role_row_update(struct store_tx *tx, struct role *role);

#endif
