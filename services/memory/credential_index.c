/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/credential_index.h"

#include "base/must.h"

enum { SLOTS_MIN = 64 }; /* a power of two, as every size is */

/* Open addressing: a look begins at the hash and continues to the first slot that is empty. */
struct credential_slots {
    size_t size;
    size_t used; /* not empty; for the writer */
    struct credential_entry *_Atomic at[];
};

/* Stands where one was removed, so that those behind it are still found. */
static struct credential_entry grave;

static struct credential_slots *slots_new(size_t size)
{
    struct credential_slots *slots = must(calloc(1, sizeof *slots + size * sizeof slots->at[0]));
    slots->size = size;
    return slots;
}

void credential_index_init(struct credential_index *index, bool is_by_client_id)
{
    index->is_by_client_id = is_by_client_id;
    index->live = 0;
    atomic_init(&index->slots, slots_new(SLOTS_MIN));
}

void credential_index_done(struct credential_index *index)
{
    free(atomic_load(&index->slots));
}

static size_t hash_id(int64_t id)
{
    return (size_t)(((uint64_t)id * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

/* FNV-1a. Client IDs are random, and made here: nobody can choose many of one hash. */
static size_t hash_text(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return (size_t)hash;
}

static size_t hash_entry(const struct credential_index *index, const struct credential_entry *entry)
{
    return index->is_by_client_id ? hash_text(entry->client_id) : hash_id(entry->id);
}

struct credential_entry *credential_index_find_id(const struct credential_index *index, int64_t id)
{
    struct credential_slots *slots = atomic_load(&index->slots);
    for (size_t at = hash_id(id);; at++) {
        struct credential_entry *entry = atomic_load(&slots->at[at & (slots->size - 1)]);
        if (entry == NULL || (entry != &grave && entry->id == id))
            return entry;
    }
}

struct credential_entry *credential_index_find_client(const struct credential_index *index, const char *client_id)
{
    struct credential_slots *slots = atomic_load(&index->slots);
    for (size_t at = hash_text(client_id);; at++) {
        struct credential_entry *entry = atomic_load(&slots->at[at & (slots->size - 1)]);
        if (entry == NULL || (entry != &grave && strcmp(entry->client_id, client_id) == 0))
            return entry;
    }
}

/* The slot that holds `wanted`, or the first that is empty. */
static struct credential_entry *_Atomic *slot_of(struct credential_slots *slots, size_t hash,
                                                 const struct credential_entry *wanted)
{
    for (size_t at = hash;; at++) {
        struct credential_entry *entry = atomic_load(&slots->at[at & (slots->size - 1)]);
        if (entry == NULL || entry == wanted)
            return &slots->at[at & (slots->size - 1)];
    }
}

static void put(const struct credential_index *index, struct credential_slots *slots, struct credential_entry *entry)
{
    atomic_store(slot_of(slots, hash_entry(index, entry), entry), entry);
    slots->used++;
}

static bool has_room(const struct credential_slots *slots, size_t count)
{
    return count * 4 <= slots->size * 3;
}

/* Without the graves; at most half full. */
void credential_index_make_room(struct credential_index *index, size_t count, struct epoch_bin *bin)
{
    struct credential_slots *before = atomic_load(&index->slots);
    size_t size = SLOTS_MIN, at = 0;
    if (has_room(before, before->used + 1) && has_room(before, count))
        return;
    while (size < 2 * (index->live + 1) || size < 2 * count)
        size *= 2;
    struct credential_slots *slots = slots_new(size);
    struct credential_entry *entry;
    while ((entry = credential_index_next(index, &at)) != NULL)
        put(index, slots, entry);
    atomic_store(&index->slots, slots);
    epoch_discard(bin, before, free);
}

void credential_index_add(struct credential_index *index, struct credential_entry *entry, struct epoch_bin *bin)
{
    credential_index_make_room(index, 0, bin);
    put(index, atomic_load(&index->slots), entry);
    index->live++;
}

void credential_index_remove(struct credential_index *index, struct credential_entry *entry)
{
    struct credential_entry *_Atomic *slot = slot_of(atomic_load(&index->slots), hash_entry(index, entry), entry);
    if (atomic_load(slot) != entry)
        return;
    atomic_store(slot, &grave);
    index->live--;
}

struct credential_entry *credential_index_next(const struct credential_index *index, size_t *at)
{
    struct credential_slots *slots = atomic_load(&index->slots);
    while (*at < slots->size) {
        struct credential_entry *entry = atomic_load(&slots->at[(*at)++]);
        if (entry != NULL && entry != &grave)
            return entry;
    }
    return NULL;
}
