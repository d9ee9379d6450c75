/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/secret_uses.h"

#include "base/must.h"

#include <pthread.h>
#include <uthash.h>

struct entry {
    struct secret_use use;
    UT_hash_handle hh;
};

struct secret_uses {
    pthread_mutex_t lock;
    struct entry *entries; /* by id */
};

struct secret_uses *secret_uses_new(void)
{
    struct secret_uses *uses = must(calloc(1, sizeof *uses));
    pthread_mutex_init(&uses->lock, NULL);
    return uses;
}

void secret_uses_free(struct secret_uses *uses)
{
    struct secret_use *rest = NULL;
    if (uses == NULL)
        return;
    (void)secret_uses_gather(uses, &rest);
    free(rest);
    pthread_mutex_destroy(&uses->lock);
    free(uses);
}

void secret_uses_note(struct secret_uses *uses, int64_t secret_id, int64_t used)
{
    struct entry *entry = NULL;
    pthread_mutex_lock(&uses->lock);
    HASH_FIND(hh, uses->entries, &secret_id, sizeof secret_id, entry);
    if (entry == NULL) {
        entry = must(calloc(1, sizeof *entry));
        entry->use.secret_id = secret_id;
        HASH_ADD(hh, uses->entries, use.secret_id, sizeof secret_id, entry);
    }
    if (entry->use.used < used)
        entry->use.used = used;
    pthread_mutex_unlock(&uses->lock);
}

size_t secret_uses_gather(struct secret_uses *uses, struct secret_use **ret_uses)
{
    struct entry *entry, *next;
    size_t count = 0;
    pthread_mutex_lock(&uses->lock);
    *ret_uses = must(calloc(HASH_COUNT(uses->entries) + 1, sizeof **ret_uses));
    HASH_ITER(hh, uses->entries, entry, next)
    {
        (*ret_uses)[count++] = entry->use;
        HASH_DEL(uses->entries, entry);
        free(entry);
    }
    pthread_mutex_unlock(&uses->lock);
    return count;
}
