/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hot path must know of credentials, roles and settings: all of it in memory, behind one read-write lock.
 *
 * It follows the store: what a committed transaction changed is put in before that transaction is acknowledged, so that
 * on this server nobody is answered by what was before.
 *
 * Within one history of the store, versions only grow, and what is older than what is there is left out. Another
 * history (rules/change.h) replaces everything, whatever the versions say.
 */
#ifndef MEMORY_DIRECTORY_H
#define MEMORY_DIRECTORY_H

#include "rules/change.h"
#include "rules/credential.h"
#include "rules/settings.h"

#include <stddef.h>

/* The facts of a credential, once in here, stay at their address until the process ends, so that a token can point to
 * them; when it is purged or replaced, their `deleted` stays set. They are read and written under the lock. */
struct directory;

struct directory *directory_new(void);
void directory_free(struct directory *directory);

/* Between lock and unlock nothing changes; keep it short, and call nothing that blocks. */
void directory_lock(struct directory *directory);
void directory_unlock(struct directory *directory);

/* The rest needs the lock, unless it says otherwise. */
const struct credential_facts *directory_find(struct directory *directory, const char *client_id);
struct credential_facts *directory_find_id(struct directory *directory, int64_t id);
const struct settings *directory_settings(struct directory *directory);

/* Every credential that is not purged. */
typedef void directory_each_fn(const struct credential_facts *facts, void *arg);
void directory_each(struct directory *directory, directory_each_fn *each, void *arg);

/* Roles are only ever added, and their ids never change: these two need no lock. -1 or NULL: no such role. */
int directory_role_number(struct directory *directory, const char *role_id);
const char *directory_role_id(struct directory *directory, int number);
int directory_role_count(struct directory *directory);
/* Needs the lock. */
const struct role *directory_role(struct directory *directory, int number);

/* The last change that is in here; needs no lock. Whoever reads it before a look-up has a lower bound of what the
 * answer has seen. */
struct position directory_position(struct directory *directory);
void directory_set_position(struct directory *directory, struct position position);

/* Puts in, unless what is there is newer; takes the lock itself. `facts` is the directory's from then on. A role whose
 * number is not the next one is left out: another replica made the one before it, and both will come with the log. */
void directory_put_credential(struct directory *directory, struct credential_facts *facts);
void directory_put_role(struct directory *directory, const struct role *role);
void directory_put_settings(struct directory *directory, const struct settings *settings);
void directory_purge(struct directory *directory, int64_t credential_id);

/* Everything, as the store has it; what is not among it is purged. `facts` are the directory's from then on, the array
 * stays the caller's. Takes the lock itself. */
struct directory_content {
    struct credential_facts **facts; /* by id */
    size_t facts_count;
    const struct role *roles; /* by number */
    size_t role_count;
    const struct settings *settings;
};
void directory_replace(struct directory *directory, const struct directory_content *content);

/* A time of last use later than `latest` becomes `now`: a clock that was ahead noted it. */
void directory_clamp(struct directory *directory, int64_t latest, int64_t now);

#endif
