/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that serve from one store, and the longest lease among them: the group's bound, which no process knows
 * by its own setting.
 *
 * Each writes its lease into the store before it serves, and again every few seconds. One that has not done so for
 * three minutes, in which another one did, counts as gone; so after two, it no longer trusts its lease, and looks at
 * the log call by call. While nobody can write, nobody is gone. The bound rises at once, and is lowered when the longer
 * lease has certainly run out. What one of them does for all, another one does much sooner: when three words in a row
 * did not come.
 */
#ifndef DOMAIN_GROUP_H
#define DOMAIN_GROUP_H

#include "base/clock.h"
#include "records/process.h"

struct group;

/* This process. In microseconds. */
struct group_self {
    int64_t lease;
    int64_t cache_lease; /* of caches that it tells of changes */
    int64_t interval;    /* as often as that it looks whether group_is_due */
    const char *host;    /* the name of its machine; NULL: not told */
};

/* The clock is borrowed. */
struct group *group_new(struct clock *clock, const struct group_self *self);
void group_free(struct group *group); /* NULL is fine */

/* Is it time to say again that this process is there? */
bool group_is_due(struct group *group);

/* Every use of a token that this process knew at `at` (clock_steady) is stored, as far as the store must have it. The
 * others hear of it with the next word, and remove no token by what the store said later. */
void group_has_stored(struct group *group, int64_t at);

/* In a write transaction: says it, and reads what the others have said. After the commit, group_said. */
struct group_word {
    int64_t asked; /* clock_steady */
    int64_t first; /* id of any, the least */
    struct process_leases longest, used;
};
/* In the table `process`: that this process is there, and its lease. *ret_word: what it said, for group_said. */
enum status group_say(struct group *group, struct store_tx *tx, struct group_word *ret_word);
/* The transaction of group_say was committed. */
void group_said(struct group *group, const struct group_word *word);

/* This process serves no more. That it was there stays known for as long as caches may go by what it told them. */
enum status group_leave(struct group *group, struct store_tx *tx);

/* What this process may go by of its lease, and of the caches' that it tells: no more than the others go by when it
 * comes, and all of it when they have heard of it, some seconds later: a failover may have lost the word, but not
 * their memory of it. 0: it has not said that it is there. No lock. */
int64_t group_lease(const struct group *group);
int64_t group_cache_lease(const struct group *group);

/* Do the others count on this process's lease still? */
bool group_is_known(struct group *group);

/* Is this process the one that does what one of them is to do? At times it may be two, or none. */
bool group_is_first(struct group *group);

/* Its own in the table `process`. */
int64_t group_id(const struct group *group);

/* The time that such rows are dated by: the database's, where it has one. */
enum status group_time(const struct group *group, struct store_tx *tx, int64_t *ret_now);

/* The others' changes up to this revision were read, by a look that began at `asked` (clock_steady). */
void group_has_read(struct group *group, int64_t asked, int64_t revision);

/* The longest leases of any process: as the table said last, and not less than it said in the three minutes before, so
 * that a failover or a backup that has lost a row shortens none. */
struct process_leases group_leases(struct group *group);

#endif
