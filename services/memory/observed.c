/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/observed.h"

#include "base/must.h"

#include <pthread.h>
#include <uthash.h>

struct key {
    int64_t credential_id, limit;
};

struct entry {
    struct key key;
    struct observed_count count;
    UT_hash_handle hh;
};

struct observed {
    pthread_mutex_t lock;
    struct entry *entries;
    uint64_t totals[LIMITS];
};

struct observed *observed_new(void)
{
    struct observed *observed = must(calloc(1, sizeof *observed));
    pthread_mutex_init(&observed->lock, NULL);
    return observed;
}

void observed_free(struct observed *observed)
{
    struct observed_count *rest = NULL;
    if (observed == NULL)
        return;
    (void)observed_gather(observed, SIZE_MAX, &rest);
    free(rest);
    pthread_mutex_destroy(&observed->lock);
    free(observed);
}

static void add(struct observed *observed, const struct observed_count *count)
{
    const struct key key = {count->credential_id, count->limit};
    struct entry *entry = NULL;
    HASH_FIND(hh, observed->entries, &key, sizeof key, entry);
    if (entry == NULL) {
        entry = must(calloc(1, sizeof *entry));
        entry->key = key;
        entry->count = *count;
        HASH_ADD(hh, observed->entries, key, sizeof key, entry);
        return;
    }
    entry->count.count += count->count;
    if (count->first < entry->count.first)
        entry->count.first = count->first;
    if (count->last > entry->count.last)
        entry->count.last = count->last;
}

void observed_note(struct observed *observed, const struct observed_count *count)
{
    pthread_mutex_lock(&observed->lock);
    add(observed, count);
    observed->totals[count->limit] += (uint64_t)count->count;
    pthread_mutex_unlock(&observed->lock);
}

void observed_give_back(struct observed *observed, const struct observed_count *counts, size_t count)
{
    pthread_mutex_lock(&observed->lock);
    for (size_t i = 0; i < count; i++)
        add(observed, &counts[i]);
    pthread_mutex_unlock(&observed->lock);
}

size_t observed_gather(struct observed *observed, size_t most, struct observed_count **ret_counts)
{
    struct entry *entry, *next;
    size_t count = 0;
    pthread_mutex_lock(&observed->lock);
    *ret_counts = must(calloc(HASH_COUNT(observed->entries) + 1, sizeof **ret_counts));
    HASH_ITER(hh, observed->entries, entry, next)
    {
        if (count == most)
            break;
        (*ret_counts)[count++] = entry->count;
        HASH_DEL(observed->entries, entry);
        free(entry);
    }
    pthread_mutex_unlock(&observed->lock);
    return count;
}

uint64_t observed_total(struct observed *observed, enum limit limit)
{
    pthread_mutex_lock(&observed->lock);
    uint64_t total = observed->totals[limit];
    pthread_mutex_unlock(&observed->lock);
    return total;
}
