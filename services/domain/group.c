/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/group.h"

#include "domain/crypto.h"

#include <pthread.h>
#include <stdlib.h>

#define BEAT (10 * CLOCK_SECOND)
#define GONE (180 * CLOCK_SECOND)
#define TRUSTED (120 * CLOCK_SECOND) /* the longest lease, and as much again, before GONE */

struct group {
    struct clock *clock;
    int64_t id;
    int64_t own_lease;
    pthread_mutex_t lock;
    int64_t said;         /* the last time that the others know of; clock_steady */
    int64_t longest;      /* lease of any */
    int64_t longest_seen; /* when it was as long as that; clock_steady */
};

struct group *group_new(struct clock *clock, int64_t lease)
{
    struct group *group = calloc(1, sizeof *group);
    if (group == NULL)
        abort();
    group->clock = clock;
    group->own_lease = group->longest = lease;
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

int64_t group_lease(struct group *group)
{
    pthread_mutex_lock(&group->lock);
    int64_t longest = group->longest;
    pthread_mutex_unlock(&group->lock);
    return longest;
}

static enum status read_longest(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

enum status group_say(struct group *group, struct store_tx *tx, struct group_word *ret_word)
{
    int64_t now = 0;
    ret_word->asked = clock_steady(group->clock);
    TRY(store_now(tx, &now));
    if (now == INT64_MAX)
        now = clock_now(group->clock);
    TRY(store_send(tx,
                   "INSERT INTO process (id, lease, seen) VALUES ($1, $2, $3)"
                   " ON CONFLICT (id) DO UPDATE SET lease = excluded.lease, seen = excluded.seen",
                   store_int(group->id), store_int(group->own_lease), store_int(now)));
    TRY(store_send(tx, "DELETE FROM process WHERE seen < $1", store_int(now - GONE)));
    return store_run(tx, "SELECT max(lease) FROM process", read_longest, &ret_word->longest);
}

void group_said(struct group *group, const struct group_word *word)
{
    int64_t now = clock_steady(group->clock);
    pthread_mutex_lock(&group->lock);
    if (word->asked > group->said)
        group->said = word->asked;
    /* One that has left the table may have done so by a database's clock that jumped. */
    if (word->longest >= group->longest || now - group->longest_seen >= GONE) {
        group->longest = word->longest;
        group->longest_seen = now;
    }
    pthread_mutex_unlock(&group->lock);
}

enum status group_leave(struct group *group, struct store_tx *tx)
{
    return store_send(tx, "DELETE FROM process WHERE id = $1", store_int(group->id));
}
