/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/group.h"

#include "base/crypto.h"
#include "base/must.h"
#include "base/utf8.h"
#include "records/process.h"
#include "store/copy.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BEAT (5 * CLOCK_SECOND)
#define GONE COPY_PROCESS_GONE
#define TRUSTED (120 * CLOCK_SECOND) /* the longest lease, and as much again, before GONE */

enum { HOST_MAX = 256 };

struct group {
    struct clock *clock;
    char host[HOST_MAX];
    struct process_row self; /* what never changes of it */
    pthread_mutex_t lock;
    int64_t read;                         /* the others' changes, last; clock_steady */
    int64_t revision;                     /* and up to this one */
    int64_t said;                         /* the last time that the others know of; clock_steady */
    int64_t unbroken;                     /* since then, it could say so whenever it was due; clock_steady */
    int64_t stored;                       /* all uses that it knew, last; clock_steady */
    int64_t first;                        /* id of any, the least */
    _Atomic int64_t own_used, cache_used; /* 0: it has not said yet that it is there */
    struct longest {
        int64_t lease;
        int64_t seen; /* when it was as long as that; clock_steady */
    } longest_own, longest_cache;
};

struct group *group_new(struct clock *clock, const struct group_self *self)
{
    struct group *group = must(calloc(1, sizeof *group));
    group->clock = clock;
    group->self.leases = (struct process_leases){self->lease, self->cache_lease};
    group->self.beat = BEAT + self->interval;
    utf8_copy(group->host, sizeof group->host, self->host == NULL ? "" : self->host);
    group->self.host = group->host;
    group->longest_own.lease = self->lease;
    group->longest_cache.lease = self->cache_lease;
    group->said = -GONE;
    group->stored = clock_steady(clock);
    crypto_random(&group->self.id, sizeof group->self.id);
    pthread_mutex_init(&group->lock, NULL);
    return group;
}

void group_free(struct group *group)
{
    if (group != NULL)
        pthread_mutex_destroy(&group->lock);
    free(group);
}

static int64_t said_ago(struct group *group)
{
    int64_t now = clock_steady(group->clock);
    pthread_mutex_lock(&group->lock);
    int64_t ago = now - group->said;
    pthread_mutex_unlock(&group->lock);
    return ago;
}

bool group_is_due(struct group *group)
{
    return said_ago(group) >= BEAT;
}

bool group_is_known(struct group *group)
{
    return said_ago(group) < TRUSTED;
}

bool group_is_first(struct group *group)
{
    pthread_mutex_lock(&group->lock);
    bool is_first = group->first == group->self.id;
    pthread_mutex_unlock(&group->lock);
    return is_first && said_ago(group) < PROCESS_BEATS_MISSED * group->self.beat; /* then another one is */
}

int64_t group_id(const struct group *group)
{
    return group->self.id;
}

void group_has_read(struct group *group, int64_t asked, int64_t revision)
{
    pthread_mutex_lock(&group->lock);
    group->read = asked;
    group->revision = revision;
    pthread_mutex_unlock(&group->lock);
}

void group_has_stored(struct group *group, int64_t at)
{
    pthread_mutex_lock(&group->lock);
    if (at > group->stored)
        group->stored = at;
    pthread_mutex_unlock(&group->lock);
}

struct process_leases group_leases(struct group *group)
{
    pthread_mutex_lock(&group->lock);
    struct process_leases longest = {group->longest_own.lease, group->longest_cache.lease};
    pthread_mutex_unlock(&group->lock);
    return longest;
}

int64_t group_lease(const struct group *group)
{
    return atomic_load_explicit(&group->own_used, memory_order_relaxed);
}

int64_t group_cache_lease(const struct group *group)
{
    return atomic_load_explicit(&group->cache_used, memory_order_relaxed);
}

enum status group_time(const struct group *group, struct store_tx *tx, int64_t *ret_now)
{
    TRY(store_now(tx, ret_now));
    if (*ret_now == INT64_MAX)
        *ret_now = clock_now(group->clock);
    return STATUS_OK;
}

/* Under the lock: it could not say for a while that it was there, and perhaps the others could not either. */
static bool is_broken(const struct group *group, int64_t now)
{
    return now - group->said >= PROCESS_BEATS_MISSED * group->self.beat;
}

static int64_t shorter(int64_t lease, int64_t others)
{
    return others > 0 && others < lease ? others : lease;
}

/* What this process may go by once this word is known: at first no more than the others count on, whom its own row does
 * not reach if a failover loses it; and all of it once each of them that can has spoken, and so has read it. */
static enum status choose_used(const struct group *group, struct store_tx *tx, bool is_heard,
                               struct process_leases *ret_used)
{
    const struct process_leases *leases = &group->self.leases;
    struct process_leases others = {0, 0};
    *ret_used = is_heard ? *leases : (struct process_leases){group_lease(group), group_cache_lease(group)};
    if (ret_used->own > 0)
        return STATUS_OK;
    TRY(process_row_used(tx, group->self.id, &others));
    *ret_used = (struct process_leases){shorter(leases->own, others.own), shorter(leases->cache, others.cache)};
    return STATUS_OK;
}

enum status group_say(struct group *group, struct store_tx *tx, struct group_word *ret_word)
{
    struct process_row row = group->self;
    ret_word->asked = clock_steady(group->clock);
    TRY(group_time(group, tx, &row.seen));
    pthread_mutex_lock(&group->lock);
    row.revision = group->revision;
    row.lag = ret_word->asked - group->read;
    row.unstored = ret_word->asked - group->stored;
    int64_t unbroken = is_broken(group, ret_word->asked) ? 0 : ret_word->asked - group->unbroken;
    bool could_write = unbroken >= GONE, is_heard = unbroken >= PROCESS_BEATS_MISSED * group->self.beat;
    pthread_mutex_unlock(&group->lock);
    TRY(choose_used(group, tx, is_heard, &row.used));
    ret_word->used = row.used;
    TRY(process_row_say(tx, &row));
    if (could_write)
        TRY(process_row_expire(tx, row.seen - GONE));
    TRY(process_row_longest(tx, &ret_word->longest));
    return process_row_first(tx, row.seen, &ret_word->first);
}

/* One that has left the table may have done so by a database's clock that jumped, or in a failover. */
static void note_longest(struct longest *longest, int64_t lease, int64_t now)
{
    if (lease >= longest->lease || now - longest->seen >= GONE)
        *longest = (struct longest){lease, now};
}

void group_said(struct group *group, const struct group_word *word)
{
    int64_t now = clock_steady(group->clock);
    pthread_mutex_lock(&group->lock);
    if (is_broken(group, word->asked))
        group->unbroken = word->asked;
    atomic_store_explicit(&group->own_used, word->used.own, memory_order_relaxed);
    atomic_store_explicit(&group->cache_used, word->used.cache, memory_order_relaxed);
    if (word->asked > group->said)
        group->said = word->asked;
    group->first = word->first;
    note_longest(&group->longest_own, word->longest.own, now);
    note_longest(&group->longest_cache, word->longest.cache, now);
    pthread_mutex_unlock(&group->lock);
}

enum status group_leave(struct group *group, struct store_tx *tx)
{
    int64_t now = 0;
    TRY(group_time(group, tx, &now));
    return process_row_leave(tx, group->self.id, now);
}
