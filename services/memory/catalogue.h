/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roles, by number and by id, read without a lock. Roles are only ever added, and their ids never change; where
 * another history has other ones, another catalogue takes this one's place, which stays, for somebody may be reading
 * it.
 */
#ifndef MEMORY_CATALOGUE_H
#define MEMORY_CATALOGUE_H

#include "rules/role.h"

#include <stddef.h>

struct catalogue;

/* Empty; `before` (NULL: none) is freed with it. */
struct catalogue *catalogue_new(struct catalogue *before);
void catalogue_free(struct catalogue *catalogue); /* nobody may be reading; NULL is fine */

/* By readers, at any time. -1 or NULL: there is no such role. */
int catalogue_number(const struct catalogue *catalogue, const char *role_id);
const struct role *catalogue_role(const struct catalogue *catalogue, int number);
int catalogue_count(const struct catalogue *catalogue);
int catalogue_graded(const struct catalogue *catalogue, enum grade grade);
int catalogue_resource_server(const struct catalogue *catalogue);

/* By one writer at a time. A role whose number is not the next one is left out: another replica made the one before it.
 * What is older than what is there is left out, too, except where it is forced. */
void catalogue_put(struct catalogue *catalogue, const struct role *role, bool is_forced);

/* Could these, by number, be what this one has become? Then nobody's number has gone to another id. */
bool catalogue_fits(const struct catalogue *catalogue, const struct role *roles, size_t count);

#endif
