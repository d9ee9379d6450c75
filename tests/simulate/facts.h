/* SPDX-License-Identifier: Apache-2.0 */
/* What the model takes from the database itself. */
#ifndef SIMULATE_FACTS_H
#define SIMULATE_FACTS_H

#include "rules/limits.h"
#include "world.h"

int64_t facts_idle_timeout(struct world *world);
int64_t facts_revision(struct world *world);

/* A limit of its own, that holds; 0: none. */
int64_t facts_own(struct world *world, const struct sim_credential *credential, enum limit limit);
/* enum sim_networks, of those that refuse. */
int facts_networks(struct world *world, const struct sim_credential *credential);

/* When it expires; 0: never; -1: there is no such credential, or it is deleted or suspended. */
int64_t facts_expiry(struct world *world, const struct sim_credential *credential);
bool facts_have_secret(struct world *world, const struct sim_credential *credential);

/* A bit for each of sim_role_names. */
int facts_roles_granted(struct world *world, const struct sim_credential *credential);
int facts_roles_of_owner(struct world *world);

bool facts_have_row(struct world *world, const struct sim_token *token);

/* Says, if verbose, what the database has of a token. */
void facts_describe(struct world *world, int token);

#endif
