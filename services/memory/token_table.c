/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/token_table.h"

#include "base/clock.h"
#include "base/must.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#ifndef TOKEN_TABLE_CHUNK /* the simulator has smaller ones, so that few tokens push each other out */
#define TOKEN_TABLE_CHUNK 256
#endif

enum {
    PARTS = 64,
    CHUNK = TOKEN_TABLE_CHUNK, /* entries allocated at a time */
    SWEEP = 32,                /* entries looked at to find one to drop */
    ROUNDS = 40,               /* looks through the table within the idle timeout */
    ROLES_BYTES = 48,          /* of a set of its own, as malloc has it */
};
static const uint32_t NONE = UINT32_MAX; /* no entry */

struct entry {
    struct token_key key;
    struct credential_entry *credential; /* NULL: free */
    int64_t last_used;
    int64_t stored;         /* last_used as the store has it; a later last_used is still to be stored */
    struct role_set *roles; /* if it is narrowed */
    uint32_t epoch;
    uint32_t next; /* in its bucket, or in the free list */
    uint32_t api;
    bool is_dirty;   /* in the list of what is to be gathered */
    bool is_carried; /* its last use was gathered, and is being stored */
    bool is_recent;  /* was asked for since the sweep came by */
    bool is_clamped; /* see struct token_use */
};

struct part {
    pthread_mutex_t lock;
    struct entry **chunks;
    uint32_t chunk_count;
    uint32_t free;
    uint32_t count;
    uint32_t max;
    uint32_t hand; /* of the sweep */
    uint32_t *buckets;
    uint32_t bucket_mask;
    uint32_t *dirty;
    uint32_t dirty_count;
    uint32_t dirty_size;
    uint64_t generation;
    int64_t latest;    /* use of any of them, ever */
    uint32_t looked;   /* the next to be looked at, whether it comes near its end */
    uint32_t narrowed; /* that have roles of their own */
};

struct token_table {
    _Atomic int64_t step, now; /* of the last gathering */
    int64_t idle_timeout, looked_at;
    uint64_t idle_changes;
    struct part parts[PARTS];
};

struct token_table *token_table_new(size_t max_entries)
{
    struct token_table *table = must(calloc(1, sizeof *table));
    for (int i = 0; i < PARTS; i++) {
        struct part *part = &table->parts[i];
        pthread_mutex_init(&part->lock, NULL);
        part->free = NONE;
        part->max = (uint32_t)(max_entries / PARTS + 1);
        part->bucket_mask = CHUNK - 1;
        part->buckets = must(malloc(CHUNK * sizeof *part->buckets));
        memset(part->buckets, 0xff, CHUNK * sizeof *part->buckets);
    }
    return table;
}

static struct entry *entry_at(struct part *part, uint32_t index)
{
    return &part->chunks[index / CHUNK][index % CHUNK];
}

void token_table_free(struct token_table *table)
{
    if (table == NULL)
        return;
    for (int i = 0; i < PARTS; i++) {
        struct part *part = &table->parts[i];
        for (uint32_t index = 0; index < part->chunk_count * CHUNK; index++)
            free(entry_at(part, index)->roles);
        for (uint32_t c = 0; c < part->chunk_count; c++)
            free(part->chunks[c]);
        free(part->chunks);
        free(part->buckets);
        free(part->dirty);
        pthread_mutex_destroy(&part->lock);
    }
    free(table);
}

/* The key's random bytes are hash enough: byte 4 chooses the part, the next four the bucket. */
static struct part *lock_part(struct token_table *table, const struct token_key *key)
{
    struct part *part = &table->parts[key->bytes[4] % PARTS];
    pthread_mutex_lock(&part->lock);
    return part;
}

static uint32_t *bucket_of(struct part *part, const struct token_key *key)
{
    uint32_t hash;
    memcpy(&hash, key->bytes + 5, sizeof hash);
    return &part->buckets[hash & part->bucket_mask];
}

static uint32_t find(struct part *part, const struct token_key *key)
{
    uint32_t index = *bucket_of(part, key);
    while (index != NONE && !token_key_equal(&entry_at(part, index)->key, key))
        index = entry_at(part, index)->next;
    return index;
}

static void set_roles(struct part *part, struct entry *entry, const struct role_set *roles)
{
    if (roles == NULL && entry->roles != NULL) {
        free(entry->roles);
        entry->roles = NULL;
        part->narrowed--;
    } else if (roles != NULL && entry->roles == NULL) {
        entry->roles = must(malloc(sizeof *entry->roles));
        part->narrowed++;
    }
    if (roles != NULL)
        *entry->roles = *roles;
}

static void unlink_entry(struct part *part, uint32_t index)
{
    struct entry *entry = entry_at(part, index);
    uint32_t *link = bucket_of(part, &entry->key);
    while (*link != index)
        link = &entry_at(part, *link)->next;
    *link = entry->next;
    entry->credential = NULL;
    set_roles(part, entry, NULL);
    entry->is_dirty = false;
    entry->next = part->free;
    part->free = index;
    part->count--;
}

static void grow_buckets(struct part *part)
{
    uint32_t size = (part->bucket_mask + 1) * 2;
    free(part->buckets);
    part->buckets = must(malloc(size * sizeof *part->buckets));
    memset(part->buckets, 0xff, size * sizeof *part->buckets);
    part->bucket_mask = size - 1;
    for (uint32_t index = 0; index < part->chunk_count * CHUNK; index++) {
        struct entry *entry = entry_at(part, index);
        if (entry->credential == NULL)
            continue;
        uint32_t *bucket = bucket_of(part, &entry->key);
        entry->next = *bucket;
        *bucket = index;
    }
}

static void mark_dirty(struct part *part, struct entry *entry, uint32_t index)
{
    if (entry->is_dirty)
        return;
    entry->is_dirty = true;
    if (part->dirty_count == part->dirty_size) {
        part->dirty_size = part->dirty_size == 0 ? 64 : part->dirty_size * 2;
        part->dirty = must(realloc(part->dirty, part->dirty_size * sizeof *part->dirty));
    }
    part->dirty[part->dirty_count++] = index;
}

/* Drops those that were not asked for lately and whose use is stored, until there is room; gives up after a few looks,
 * and the part grows. As many as that are dropped later: one for one, it would never come back to its size. A use that
 * is in the way is stored next. */
static void sweep(struct part *part)
{
    uint32_t total = part->chunk_count * CHUNK;
    for (int tries = 0; tries < SWEEP && part->count >= part->max; tries++) {
        uint32_t index = part->hand++ % total;
        struct entry *entry = entry_at(part, index);
        if (entry->credential == NULL)
            continue;
        if (entry->stored != entry->last_used && entry->is_carried)
            continue;
        if (entry->stored != entry->last_used)
            mark_dirty(part, entry, index);
        else if (entry->is_recent)
            entry->is_recent = false;
        else
            unlink_entry(part, index);
    }
}

static void add_chunk(struct part *part)
{
    uint32_t first = part->chunk_count * CHUNK;
    part->chunks = must(realloc(part->chunks, (part->chunk_count + 1) * sizeof *part->chunks));
    part->chunks[part->chunk_count++] = must(calloc(CHUNK, sizeof(struct entry)));
    for (uint32_t index = first + CHUNK; index-- > first;) {
        entry_at(part, index)->next = part->free;
        part->free = index;
    }
}

static struct entry *add_entry(struct part *part, const struct token_key *key)
{
    if (part->count >= part->max)
        sweep(part);
    if (part->free == NONE)
        add_chunk(part);
    if (part->count > part->bucket_mask)
        grow_buckets(part);
    uint32_t index = part->free;
    struct entry *entry = entry_at(part, index);
    part->free = entry->next;
    uint32_t *bucket = bucket_of(part, key);
    *entry = (struct entry){.key = *key, .next = *bucket};
    *bucket = index;
    part->count++;
    return entry;
}

static void set_last_used(struct part *part, struct entry *entry, int64_t used, uint32_t api)
{
    entry->last_used = used;
    entry->api = api;
    if (used > part->latest)
        part->latest = used;
}

bool token_table_get(struct token_table *table, const struct token_key *key, struct token_facts *ret_facts,
                     uint64_t *ret_generation)
{
    struct part *part = lock_part(table, key);
    uint32_t index = find(part, key);
    if (index != NONE) {
        struct entry *entry = entry_at(part, index);
        entry->is_recent = true;
        *ret_facts = (struct token_facts){
            .key = *key,
            .credential = entry->credential,
            .last_used = entry->last_used,
            .stored = entry->stored,
            .epoch = entry->epoch,
            .is_narrowed = entry->roles != NULL,
        };
        if (entry->roles != NULL)
            ret_facts->roles = *entry->roles;
    }
    *ret_generation = part->generation;
    pthread_mutex_unlock(&part->lock);
    return index != NONE;
}

/* A use is worth a write at once, or when it is looked at again. At once, too, where a clock that was ahead has dated
 * it: earlier than what is stored, it was put right here while that was on its way to the store; and one that is still
 * ahead is put right in the store by the reaper, under which the token must not become idle. */
static int64_t use_step(const struct entry *entry, int64_t step)
{
    const struct settings own = {.idle_timeout = directory_own_idle(entry->credential)};
    return own.idle_timeout == 0 ? step : settings_use_step(&own);
}

static void note_unstored(struct token_table *table, struct part *part, struct entry *entry, uint32_t index)
{
    int64_t later = entry->last_used - entry->stored;
    int64_t now = atomic_load_explicit(&table->now, memory_order_relaxed);
    bool is_ahead = now != 0 && entry->last_used > now + CLOCK_TOLERANCE;
    if (is_ahead || later < 0 ||
        (later > 0 && later >= use_step(entry, atomic_load_explicit(&table->step, memory_order_relaxed))))
        mark_dirty(part, entry, index);
}

bool token_table_put(struct token_table *table, const struct token_facts *facts, uint64_t generation, uint32_t api)
{
    struct part *part = lock_part(table, &facts->key);
    bool is_current = part->generation == generation;
    if (is_current) {
        uint32_t index = find(part, &facts->key);
        struct entry *entry = index == NONE ? add_entry(part, &facts->key) : entry_at(part, index);
        index = find(part, &facts->key);
        entry->credential = facts->credential;
        entry->epoch = (uint32_t)facts->epoch;
        set_roles(part, entry, facts->is_narrowed ? &facts->roles : NULL);
        entry->is_recent = true;
        if (facts->stored > entry->stored)
            entry->stored = facts->stored;
        if (facts->last_used > entry->last_used) {
            set_last_used(part, entry, facts->last_used, api);
            note_unstored(table, part, entry, index);
        }
    }
    pthread_mutex_unlock(&part->lock);
    return is_current;
}

bool token_table_touch(struct token_table *table, const struct token_key *key, int64_t used, uint32_t api)
{
    struct part *part = lock_part(table, key);
    uint32_t index = find(part, key);
    if (index != NONE) {
        struct entry *entry = entry_at(part, index);
        if (used >= entry->last_used) {
            set_last_used(part, entry, used, api);
            note_unstored(table, part, entry, index);
        }
    }
    pthread_mutex_unlock(&part->lock);
    return index != NONE;
}

void token_table_give_back(struct token_table *table, const struct token_use *uses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct part *part = lock_part(table, &uses[i].key);
        uint32_t index = find(part, &uses[i].key);
        if (index != NONE) {
            struct entry *entry = entry_at(part, index);
            entry->is_clamped |= uses[i].is_clamped;
            entry->is_carried = false;
            mark_dirty(part, entry, index);
        }
        pthread_mutex_unlock(&part->lock);
    }
}

void token_table_stored(struct token_table *table, const struct token_use *uses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct part *part = lock_part(table, &uses[i].key);
        uint32_t index = find(part, &uses[i].key);
        if (index != NONE) {
            struct entry *entry = entry_at(part, index);
            entry->is_carried = false;
            if (uses[i].used > entry->stored || entry->stored > entry->last_used)
                entry->stored = uses[i].used;
        }
        pthread_mutex_unlock(&part->lock);
    }
}

int64_t token_table_last_used(struct token_table *table, const struct token_key *key, uint32_t *ret_api)
{
    struct part *part = lock_part(table, key);
    uint32_t index = find(part, key);
    int64_t used = index == NONE ? INT64_MIN : entry_at(part, index)->last_used;
    if (ret_api != NULL && index != NONE)
        *ret_api = entry_at(part, index)->api;
    pthread_mutex_unlock(&part->lock);
    return used;
}

static void clamp(struct part *part, int64_t latest, int64_t now)
{
    for (uint32_t index = 0; index < part->chunk_count * CHUNK; index++) {
        struct entry *entry = entry_at(part, index);
        if (entry->credential == NULL || entry->last_used <= latest)
            continue;
        entry->last_used = now;
        entry->stored = 0;
        entry->is_clamped = true;
        mark_dirty(part, entry, index);
    }
    part->latest = now;
}

void token_table_clamp(struct token_table *table, int64_t latest, int64_t now)
{
    for (int i = 0; i < PARTS; i++) {
        struct part *part = &table->parts[i];
        pthread_mutex_lock(&part->lock);
        if (part->latest > latest)
            clamp(part, latest, now);
        pthread_mutex_unlock(&part->lock);
    }
}

void token_table_remove(struct token_table *table, const struct token_key *key)
{
    struct part *part = lock_part(table, key);
    part->generation++;
    uint32_t index = find(part, key);
    if (index != NONE)
        unlink_entry(part, index);
    pthread_mutex_unlock(&part->lock);
}

void token_table_clear(struct token_table *table)
{
    for (int i = 0; i < PARTS; i++) {
        struct part *part = &table->parts[i];
        pthread_mutex_lock(&part->lock);
        part->generation++;
        for (uint32_t index = 0; index < part->chunk_count * CHUNK; index++)
            if (entry_at(part, index)->credential != NULL)
                unlink_entry(part, index);
        pthread_mutex_unlock(&part->lock);
    }
}

struct gathered {
    struct token_use *uses;
    size_t count, size;
};

static void gather_entry(struct gathered *gathered, struct entry *entry)
{
    if (gathered->count == gathered->size) {
        gathered->size = gathered->size == 0 ? 64 : gathered->size * 2;
        gathered->uses = must(realloc(gathered->uses, gathered->size * sizeof *gathered->uses));
    }
    gathered->uses[gathered->count++] = (struct token_use){entry->key, entry->last_used, entry->api, entry->is_clamped};
    entry->is_dirty = entry->is_clamped = false;
    entry->is_carried = true;
}

/* Is its use worth a write? */
static bool is_due(const struct entry *entry, const struct token_gathering *gathering)
{
    const struct settings own = {.idle_timeout = directory_own_idle(entry->credential)};
    int64_t idle = gathering->idle_timeout, margin = gathering->end_margin;
    if (own.idle_timeout != 0) {
        idle = own.idle_timeout;
        margin = settings_use_margin(&own, gathering->interval);
    }
    return entry->last_used < entry->stored || entry->last_used - entry->stored >= use_step(entry, gathering->step) ||
           entry->stored + idle - gathering->now < margin;
}

/* And looks at so many entries, from where it stopped the last time. */
static void gather_part(struct part *part, const struct token_gathering *gathering, uint32_t count,
                        struct gathered *gathered)
{
    uint32_t total = part->chunk_count * CHUNK;
    for (uint32_t d = 0; d < part->dirty_count; d++) {
        struct entry *entry = entry_at(part, part->dirty[d]);
        if (entry->is_dirty) /* else it was removed since */
            gather_entry(gathered, entry);
    }
    part->dirty_count = 0;
    for (uint32_t i = 0; i < count && i < total; i++) {
        struct entry *entry = entry_at(part, part->looked++ % total);
        if (entry->credential == NULL || entry->is_carried || entry->last_used == entry->stored)
            continue;
        if (gathering->is_all || is_due(entry, gathering))
            gather_entry(gathered, entry);
    }
}

enum { ALL = 1000000 };

/* How much of the table is to be looked at, in millionths. Under the first part's lock. */
static int64_t share_to_look_at(struct token_table *table, const struct token_gathering *gathering)
{
    bool has_shorter = gathering->own.changes != 0 && gathering->own.least < gathering->idle_timeout;
    int64_t elapsed = gathering->now - table->looked_at;
    int64_t round = (has_shorter ? gathering->own.least : gathering->idle_timeout) / ROUNDS;
    bool is_all = gathering->is_all || gathering->idle_timeout != table->idle_timeout ||
                  gathering->own.changes != table->idle_changes || elapsed < 0;
    table->looked_at = gathering->now;
    table->idle_timeout = gathering->idle_timeout;
    table->idle_changes = gathering->own.changes;
    return is_all || elapsed >= round ? ALL : elapsed * ALL / round;
}

size_t token_table_gather(struct token_table *table, const struct token_gathering *gathering,
                          struct token_use **ret_uses)
{
    struct gathered gathered = {0};
    pthread_mutex_lock(&table->parts[0].lock);
    int64_t share = share_to_look_at(table, gathering);
    pthread_mutex_unlock(&table->parts[0].lock);
    atomic_store_explicit(&table->step, gathering->step, memory_order_relaxed);
    atomic_store_explicit(&table->now, gathering->now, memory_order_relaxed);
    for (int i = 0; i < PARTS; i++) {
        struct part *part = &table->parts[i];
        pthread_mutex_lock(&part->lock);
        int64_t count = ((int64_t)part->chunk_count * CHUNK * share + ALL - 1) / ALL;
        gather_part(part, gathering, (uint32_t)count, &gathered);
        pthread_mutex_unlock(&part->lock);
    }
    *ret_uses = gathered.uses;
    return gathered.count;
}

size_t token_table_count(struct token_table *table)
{
    size_t count = 0;
    for (int i = 0; i < PARTS; i++) {
        pthread_mutex_lock(&table->parts[i].lock);
        count += table->parts[i].count;
        pthread_mutex_unlock(&table->parts[i].lock);
    }
    return count;
}

size_t token_table_bytes(struct token_table *table)
{
    size_t bytes = sizeof *table;
    for (int i = 0; i < PARTS; i++) {
        struct part *part = &table->parts[i];
        pthread_mutex_lock(&part->lock);
        bytes += (size_t)part->narrowed * ROLES_BYTES;
        bytes += part->chunk_count * (CHUNK * sizeof(struct entry) + sizeof *part->chunks) +
                 (part->bucket_mask + 1) * sizeof *part->buckets + part->dirty_size * sizeof *part->dirty;
        pthread_mutex_unlock(&part->lock);
    }
    return bytes;
}
