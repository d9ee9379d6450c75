/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/group.h"

#include "base/crypto.h"
#include "base/must.h"
#include "records/process.h"
#include "store/copy.h"

#include <pthread.h>
#include <stdlib.h>

#define BEAT (10 * CLOCK_SECOND)
#define GONE COPY_PROCESS_GONE
#define TRUSTED (120 * CLOCK_SECOND) /* the longest lease, and as much again, before GONE */

struct group {
    struct clock *clock;
    int64_t id;
    struct process_leases leases;
    pthread_mutex_t lock;
    int64_t said;         /* the last time that the others know of; clock_steady */
    int64_t first;        /* id of any, the least */
    int64_t longest;      /* lease of any */
    int64_t longest_seen; /* when it was as long as that; clock_steady */
};

struct group *group_new(struct clock *clock, int64_t lease, int64_t cache_lease)
{
    struct group *group = must(calloc(1, sizeof *group));
    group->clock = clock;
    group->leases = (struct process_leases){lease, cache_lease};
    group->longest = lease;
    group->said = -GONE;
    crypto_random(&group->id, sizeof group->id);
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
    bool is_first = group->first == group->id;
    pthread_mutex_unlock(&group->lock);
    return is_first && group_is_known(group);
}

int64_t group_lease(struct group *group)
{
    pthread_mutex_lock(&group->lock);
    int64_t longest = group->longest;
    pthread_mutex_unlock(&group->lock);
    return longest;
}

enum status group_say(struct group *group, struct store_tx *tx, struct group_word *ret_word)
{
    int64_t now = 0;
    ret_word->asked = clock_steady(group->clock);
    TRY(store_now(tx, &now));
    if (now == INT64_MAX)
        now = clock_now(group->clock);
    TRY(process_row_say(tx, group->id, &group->leases, now));
    TRY(process_row_expire(tx, now - GONE));
    TRY(process_row_longest(tx, &ret_word->longest));
    return process_row_first(tx, &ret_word->first);
}

void group_said(struct group *group, const struct group_word *word)
{
    int64_t now = clock_steady(group->clock);
    pthread_mutex_lock(&group->lock);
    if (word->asked > group->said)
        group->said = word->asked;
    group->first = word->first;
    /* One that has left the table may have done so by a database's clock that jumped. */
    if (word->longest >= group->longest || now - group->longest_seen >= GONE) {
        group->longest = word->longest;
        group->longest_seen = now;
    }
    pthread_mutex_unlock(&group->lock);
}

enum status group_leave(struct group *group, struct store_tx *tx)
{
    return process_row_leave(tx, group->id);
}
