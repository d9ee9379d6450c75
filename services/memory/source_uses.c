/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/source_uses.h"

#include "base/clock.h"
#include "base/must.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uthash.h>

enum { PARTS = 16, VERDICTS = SOURCE_REFUSED + 1 };
#define TOLD_EVERY (3600 * CLOCK_SECOND)

struct entry {
    struct source_use use;
    bool is_gathered;  /* and kept so that an earlier use is known to be that */
    UT_hash_handle hh; /* by the credential */
};

/* Who tried from outside; what is refused and what is observed is told apart. */
struct outsider {
    struct outsider_key {
        int64_t credential_id, verdict;
    } key;
    int64_t told_at, count; /* since then */
    UT_hash_handle hh;
};

struct part {
    pthread_mutex_t lock;
    struct entry *entries;
    struct outsider *outsiders;
};

struct source_uses {
    struct part parts[PARTS];
    _Atomic int64_t counts[VERDICTS];
};

static struct part *lock_part(struct source_uses *uses, int64_t credential_id)
{
    struct part *part = &uses->parts[(uint64_t)credential_id % PARTS];
    pthread_mutex_lock(&part->lock);
    return part;
}

struct source_uses *source_uses_new(void)
{
    struct source_uses *uses = must(calloc(1, sizeof *uses));
    for (int i = 0; i < PARTS; i++)
        pthread_mutex_init(&uses->parts[i].lock, NULL);
    return uses;
}

static void part_done(struct part *part)
{
    struct entry *entry, *next;
    struct outsider *outsider, *next_outsider;
    HASH_ITER(hh, part->entries, entry, next)
    {
        HASH_DEL(part->entries, entry);
        free(entry);
    }
    HASH_ITER(hh, part->outsiders, outsider, next_outsider)
    {
        HASH_DEL(part->outsiders, outsider);
        free(outsider);
    }
    pthread_mutex_destroy(&part->lock);
}

void source_uses_free(struct source_uses *uses)
{
    if (uses == NULL)
        return;
    for (int i = 0; i < PARTS; i++)
        part_done(&uses->parts[i]);
    free(uses);
}

void source_uses_note(struct source_uses *uses, const struct source_use *use)
{
    struct part *part = lock_part(uses, use->credential_id);
    struct entry *entry = NULL;
    HASH_FIND(hh, part->entries, &use->credential_id, sizeof use->credential_id, entry);
    if (entry == NULL) {
        entry = must(calloc(1, sizeof *entry));
        entry->use = *use;
        HASH_ADD(hh, part->entries, use.credential_id, sizeof use->credential_id, entry);
    } else if (entry->use.used <= use->used) {
        entry->use = *use;
        entry->is_gathered = false;
    }
    pthread_mutex_unlock(&part->lock);
}

/* Of a clock that was ahead nothing is kept: it would hide what comes after it. */
static bool is_worth_keeping(const struct entry *entry, int64_t now)
{
    return entry->use.used <= now && now - entry->use.used < SOURCE_USES_KNOWN_FOR;
}

static size_t gather_part(struct part *part, int64_t now, struct source_use *taken, size_t most)
{
    struct entry *entry = NULL, *next = NULL;
    size_t count = 0;
    pthread_mutex_lock(&part->lock);
    HASH_ITER(hh, part->entries, entry, next)
    {
        if (!entry->is_gathered && count == most)
            continue;
        if (!entry->is_gathered)
            taken[count++] = entry->use;
        entry->is_gathered = true;
        if (is_worth_keeping(entry, now))
            continue;
        HASH_DEL(part->entries, entry);
        free(entry);
    }
    pthread_mutex_unlock(&part->lock);
    return count;
}

size_t source_uses_gather(struct source_uses *uses, int64_t now, struct source_use **ret_uses)
{
    enum { OF_A_PART = SOURCE_USES_AT_ONCE / PARTS };
    size_t count = 0;
    *ret_uses = must(calloc(SOURCE_USES_AT_ONCE, sizeof **ret_uses));
    for (int i = 0; i < PARTS; i++)
        count += gather_part(&uses->parts[i], now, *ret_uses + count, OF_A_PART);
    return count;
}

/* What was told long enough ago need not be known any more. Under the lock. */
static void forget_told(struct part *part, int64_t steady)
{
    struct outsider *outsider = NULL, *next = NULL;
    HASH_ITER(hh, part->outsiders, outsider, next)
    {
        if (outsider->count > 0 || steady - outsider->told_at < TOLD_EVERY)
            continue;
        HASH_DEL(part->outsiders, outsider);
        free(outsider);
    }
}

static struct outsider *outsider_new(struct part *part, const struct outsider_key *key, int64_t steady)
{
    struct outsider *outsider = must(calloc(1, sizeof *outsider));
    forget_told(part, steady);
    outsider->key = *key;
    outsider->told_at = steady - TOLD_EVERY;
    HASH_ADD(hh, part->outsiders, key, sizeof *key, outsider);
    return outsider;
}

int64_t source_uses_outside(struct source_uses *uses, int64_t credential_id, enum source_verdict verdict, int64_t count,
                            int64_t steady)
{
    const struct outsider_key key = {credential_id, verdict};
    struct part *part = lock_part(uses, credential_id);
    struct outsider *outsider = NULL;
    int64_t told = 0;
    atomic_fetch_add(&uses->counts[verdict], count);
    HASH_FIND(hh, part->outsiders, &key, sizeof key, outsider);
    if (outsider == NULL)
        outsider = outsider_new(part, &key, steady);
    outsider->count += count;
    if (steady - outsider->told_at >= TOLD_EVERY) {
        told = outsider->count;
        outsider->count = 0;
        outsider->told_at = steady;
    }
    pthread_mutex_unlock(&part->lock);
    return told;
}

int64_t source_uses_count(const struct source_uses *uses, enum source_verdict verdict)
{
    return atomic_load(&uses->counts[verdict]);
}
