/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hot path must know of credentials, roles and settings: all of it in memory, read without a lock.
 *
 * It follows the store: what a committed transaction changed is put in before that transaction is acknowledged, so that
 * on this server nobody is answered by what was before: a reader that begins after the acknowledgement finds the
 * change, and one that began before it, and read anything that has changed since, is told so at its end and begins
 * anew.
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

/* One credential. It stays at its address as long as the directory is there, so that a token can point to it; when it
 * is purged or replaced, its facts are `deleted` for good. */
struct credential_entry;

struct directory;

/* Empty: it knows no credential and no role until directory_replace. Memory that runs out ends the process. */
struct directory *directory_new(void);
/* Nobody may be reading. NULL is fine. */
void directory_free(struct directory *directory);

/*
 * To read:
 *
 *     do {
 *         turn = directory_begin(directory);
 *         …copy what is wanted…
 *     } while (!directory_end(directory, turn));
 *
 * What was found there stays until directory_end; false says that it was not all of one state. Keep it short, and call
 * nothing that blocks. Nobody is kept from writing; who begins while something is written waits for it.
 */
uint64_t directory_begin(struct directory *directory);
[[nodiscard]] bool directory_end(struct directory *directory, uint64_t turn);

/* Between begin and end. NULL: there is none. */
struct credential_entry *directory_find(struct directory *directory, const char *client_id);
struct credential_entry *directory_find_id(struct directory *directory, int64_t id);
/* Fills ret_facts, and gives it back; its texts and networks are the directory's. */
const struct credential_facts *directory_facts(const struct credential_entry *entry,
                                               struct credential_facts *ret_facts);
const struct settings *directory_settings(struct directory *directory);

/* At any time. */
int64_t directory_id(const struct credential_entry *entry);
const char *directory_client_id(const struct credential_entry *entry);
void directory_note_use(struct credential_entry *entry, int64_t used);
/* The credential's own idle timeout, or up to a minute less; 0: it has none that holds. At any time. */
int64_t directory_own_idle(const struct credential_entry *entry);
/* Of all credentials since directory_replace: the shortest (INT64_MAX: there was none) and the longest (0); and how
 * often one was changed. At any time. */
struct directory_idle {
    int64_t least, most;
    uint64_t changes;
};
struct directory_idle directory_idle(struct directory *directory);

/* How many credentials are not deleted; at any time. */
int64_t directory_count(struct directory *directory);

/* Every credential that is not purged, and when it was used last. With the lock, which keeps writers waiting. */
typedef void directory_each_fn(const struct credential_facts *facts, int64_t last_used, void *arg);
void directory_each(struct directory *directory, directory_each_fn *each, void *arg);
/* How many credentials expire, and how many secret keys end, within `within` after `now`; those of deleted and expired
 * credentials left out. Takes the lock for a moment at a time: what is added or removed meanwhile may be counted or
 * not. */
struct directory_ends {
    size_t credentials, secrets;
};
struct directory_ends directory_count_ends(struct directory *directory, int64_t now, int64_t within);
void directory_lock(struct directory *directory);
void directory_unlock(struct directory *directory);

/* Roles are only ever added, and their ids never change: these may be asked at any time. -1 or NULL: no such role. */
int directory_role_number(struct directory *directory, const char *role_id);
int directory_graded(struct directory *directory, enum grade grade); /* the role of a grade of administrators */
int directory_resource_server(struct directory *directory);
const char *directory_role_id(struct directory *directory, int number);
int directory_role_count(struct directory *directory);
/* The highest that these roles give; NONE: they are nobody's who administers. */
enum grade directory_grade(struct directory *directory, const struct role_set *roles);
/* With the lock. */
const struct role *directory_role(struct directory *directory, int number);

/* The last change that is in here; at any time. */
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
/* All that it knows becomes `content`, at once, whatever the versions say; what content->facts has is its own. */
void directory_replace(struct directory *directory, const struct directory_content *content);

/* A time of last use later than `latest` becomes `now`: a clock that was ahead noted it. */
void directory_clamp(struct directory *directory, int64_t latest, int64_t now);

#endif
