/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/token_table.h"

#include "base/clock.h"
#include "base/must.h"
#include "memory/token_part.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    PARTS = 64,
    ROUNDS = 40, /* looks through the table within the idle timeout */
};

struct token_table {
    _Atomic int64_t step, now; /* of the last gathering */
    int64_t idle_timeout, looked_at;
    uint64_t idle_changes;
    struct token_part parts[PARTS];
};

struct token_table *token_table_new(size_t max_entries)
{
    struct token_table *table = must(calloc(1, sizeof *table));
    for (int i = 0; i < PARTS; i++)
        token_part_init(&table->parts[i], (uint32_t)(max_entries / PARTS + 1));
    return table;
}

void token_table_free(struct token_table *table)
{
    if (table == NULL)
        return;
    for (int i = 0; i < PARTS; i++)
        token_part_done(&table->parts[i]);
    free(table);
}

/* The key's random bytes are hash enough: byte 4 chooses the part, the next four the bucket. */
static struct token_part *lock_part(struct token_table *table, const struct token_key *key)
{
    struct token_part *part = &table->parts[key->bytes[4] % PARTS];
    pthread_mutex_lock(&part->lock);
    return part;
}

static void set_last_used(struct token_part *part, struct token_entry *entry, int64_t used, uint32_t api)
{
    entry->last_used = used;
    entry->api = api;
    if (used > part->latest)
        part->latest = used;
}

bool token_table_get(struct token_table *table, const struct token_key *key, struct token_facts *ret_facts,
                     uint64_t *ret_generation)
{
    struct token_part *part = lock_part(table, key);
    uint32_t index = token_part_find(part, key);
    if (index != TOKEN_PART_NONE) {
        struct token_entry *entry = token_part_at(part, index);
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
    return index != TOKEN_PART_NONE;
}

/* A use is worth a write at once, or when it is looked at again. At once, too, where a clock that was ahead has dated
 * it: earlier than what is stored, it was put right here while that was on its way to the store; and one that is still
 * ahead is put right in the store by the reaper, under which the token must not become idle. */
static int64_t use_step(const struct token_entry *entry, int64_t step)
{
    const struct settings own = {.idle_timeout = directory_own_idle(entry->credential)};
    return own.idle_timeout == 0 ? step : settings_use_step(&own);
}

static void note_unstored(struct token_table *table, struct token_part *part, struct token_entry *entry, uint32_t index)
{
    int64_t later = entry->last_used - entry->stored;
    int64_t now = atomic_load_explicit(&table->now, memory_order_relaxed);
    bool is_ahead = now != 0 && entry->last_used > now + CLOCK_TOLERANCE;
    if (is_ahead || later < 0 ||
        (later > 0 && later >= use_step(entry, atomic_load_explicit(&table->step, memory_order_relaxed))))
        token_part_mark_dirty(part, entry, index);
}

bool token_table_put(struct token_table *table, const struct token_facts *facts, uint64_t generation, uint32_t api)
{
    struct token_part *part = lock_part(table, &facts->key);
    bool is_current = part->generation == generation;
    if (is_current) {
        uint32_t index = token_part_find(part, &facts->key);
        struct token_entry *entry =
            index == TOKEN_PART_NONE ? token_part_add(part, &facts->key) : token_part_at(part, index);
        index = token_part_find(part, &facts->key);
        entry->credential = facts->credential;
        entry->epoch = (uint32_t)facts->epoch;
        token_part_set_roles(part, entry, facts->is_narrowed ? &facts->roles : NULL);
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
    struct token_part *part = lock_part(table, key);
    uint32_t index = token_part_find(part, key);
    if (index != TOKEN_PART_NONE) {
        struct token_entry *entry = token_part_at(part, index);
        if (used >= entry->last_used) {
            set_last_used(part, entry, used, api);
            note_unstored(table, part, entry, index);
        }
    }
    pthread_mutex_unlock(&part->lock);
    return index != TOKEN_PART_NONE;
}

void token_table_give_back(struct token_table *table, const struct token_use *uses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct token_part *part = lock_part(table, &uses[i].key);
        uint32_t index = token_part_find(part, &uses[i].key);
        if (index != TOKEN_PART_NONE) {
            struct token_entry *entry = token_part_at(part, index);
            entry->is_clamped |= uses[i].is_clamped;
            entry->is_carried = false;
            token_part_mark_dirty(part, entry, index);
        }
        pthread_mutex_unlock(&part->lock);
    }
}

void token_table_stored(struct token_table *table, const struct token_use *uses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct token_part *part = lock_part(table, &uses[i].key);
        uint32_t index = token_part_find(part, &uses[i].key);
        if (index != TOKEN_PART_NONE) {
            struct token_entry *entry = token_part_at(part, index);
            entry->is_carried = false;
            if (uses[i].used > entry->stored || entry->stored > entry->last_used)
                entry->stored = uses[i].used;
        }
        pthread_mutex_unlock(&part->lock);
    }
}

int64_t token_table_last_used(struct token_table *table, const struct token_key *key, uint32_t *ret_api)
{
    struct token_part *part = lock_part(table, key);
    uint32_t index = token_part_find(part, key);
    int64_t used = index == TOKEN_PART_NONE ? INT64_MIN : token_part_at(part, index)->last_used;
    if (ret_api != NULL && index != TOKEN_PART_NONE)
        *ret_api = token_part_at(part, index)->api;
    pthread_mutex_unlock(&part->lock);
    return used;
}

static void clamp(struct token_part *part, int64_t latest, int64_t now)
{
    for (uint32_t index = 0; index < part->chunk_count * TOKEN_TABLE_CHUNK; index++) {
        struct token_entry *entry = token_part_at(part, index);
        if (entry->credential == NULL || entry->last_used <= latest)
            continue;
        entry->last_used = now;
        entry->stored = 0;
        entry->is_clamped = true;
        token_part_mark_dirty(part, entry, index);
    }
    part->latest = now;
}

void token_table_clamp(struct token_table *table, int64_t latest, int64_t now)
{
    for (int i = 0; i < PARTS; i++) {
        struct token_part *part = &table->parts[i];
        pthread_mutex_lock(&part->lock);
        if (part->latest > latest)
            clamp(part, latest, now);
        pthread_mutex_unlock(&part->lock);
    }
}

void token_table_remove(struct token_table *table, const struct token_key *key)
{
    struct token_part *part = lock_part(table, key);
    part->generation++;
    uint32_t index = token_part_find(part, key);
    if (index != TOKEN_PART_NONE)
        token_part_remove(part, index);
    pthread_mutex_unlock(&part->lock);
}

void token_table_clear(struct token_table *table)
{
    for (int i = 0; i < PARTS; i++) {
        struct token_part *part = &table->parts[i];
        pthread_mutex_lock(&part->lock);
        part->generation++;
        for (uint32_t index = 0; index < part->chunk_count * TOKEN_TABLE_CHUNK; index++)
            if (token_part_at(part, index)->credential != NULL)
                token_part_remove(part, index);
        pthread_mutex_unlock(&part->lock);
    }
}

struct gathered {
    struct token_use *uses;
    size_t count, size;
};

static void gather_entry(struct gathered *gathered, struct token_entry *entry)
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
static bool is_due(const struct token_entry *entry, const struct token_gathering *gathering)
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
static void gather_part(struct token_part *part, const struct token_gathering *gathering, uint32_t count,
                        struct gathered *gathered)
{
    uint32_t total = part->chunk_count * TOKEN_TABLE_CHUNK;
    for (uint32_t d = 0; d < part->dirty_count; d++) {
        struct token_entry *entry = token_part_at(part, part->dirty[d]);
        if (entry->is_dirty) /* else it was removed since */
            gather_entry(gathered, entry);
    }
    part->dirty_count = 0;
    for (uint32_t i = 0; i < count && i < total; i++) {
        struct token_entry *entry = token_part_at(part, part->looked++ % total);
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
        struct token_part *part = &table->parts[i];
        pthread_mutex_lock(&part->lock);
        int64_t count = ((int64_t)part->chunk_count * TOKEN_TABLE_CHUNK * share + ALL - 1) / ALL;
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
        struct token_part *part = &table->parts[i];
        pthread_mutex_lock(&part->lock);
        bytes += token_part_bytes(part);
        pthread_mutex_unlock(&part->lock);
    }
    return bytes;
}
