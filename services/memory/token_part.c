/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/token_part.h"

#include "base/must.h"

#include <stdlib.h>

enum {
    SWEEP = 32,       /* entries looked at to find one to drop */
    ROLES_BYTES = 48, /* of a set of its own, as malloc has it */
};

void token_part_init(struct token_part *part, uint32_t max)
{
    pthread_mutex_init(&part->lock, NULL);
    part->free = TOKEN_PART_NONE;
    part->max = max;
    part->bucket_mask = TOKEN_TABLE_CHUNK - 1;
    part->buckets = must(malloc(TOKEN_TABLE_CHUNK * sizeof *part->buckets));
    memset(part->buckets, 0xff, TOKEN_TABLE_CHUNK * sizeof *part->buckets);
}

void token_part_done(struct token_part *part)
{
    for (uint32_t index = 0; index < part->chunk_count * TOKEN_TABLE_CHUNK; index++)
        free(token_part_at(part, index)->roles);
    for (uint32_t c = 0; c < part->chunk_count; c++)
        free(part->chunks[c]);
    free(part->chunks);
    free(part->buckets);
    free(part->dirty);
    pthread_mutex_destroy(&part->lock);
}

void token_part_set_roles(struct token_part *part, struct token_entry *entry, const struct role_set *roles)
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

void token_part_remove(struct token_part *part, uint32_t index)
{
    struct token_entry *entry = token_part_at(part, index);
    uint32_t *link = token_part_bucket(part, &entry->key);
    while (*link != index)
        link = &token_part_at(part, *link)->next;
    *link = entry->next;
    entry->credential = NULL;
    token_part_set_roles(part, entry, NULL);
    entry->is_dirty = false;
    entry->next = part->free;
    part->free = index;
    part->count--;
}

static void grow_buckets(struct token_part *part)
{
    uint32_t size = (part->bucket_mask + 1) * 2;
    free(part->buckets);
    part->buckets = must(malloc(size * sizeof *part->buckets));
    memset(part->buckets, 0xff, size * sizeof *part->buckets);
    part->bucket_mask = size - 1;
    for (uint32_t index = 0; index < part->chunk_count * TOKEN_TABLE_CHUNK; index++) {
        struct token_entry *entry = token_part_at(part, index);
        if (entry->credential == NULL)
            continue;
        uint32_t *bucket = token_part_bucket(part, &entry->key);
        entry->next = *bucket;
        *bucket = index;
    }
}

void token_part_mark_dirty(struct token_part *part, struct token_entry *entry, uint32_t index)
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
static void sweep(struct token_part *part)
{
    uint32_t total = part->chunk_count * TOKEN_TABLE_CHUNK;
    for (int tries = 0; tries < SWEEP && part->count >= part->max; tries++) {
        uint32_t index = part->hand++ % total;
        struct token_entry *entry = token_part_at(part, index);
        if (entry->credential == NULL)
            continue;
        if (entry->stored != entry->last_used && entry->is_carried)
            continue;
        if (entry->stored != entry->last_used)
            token_part_mark_dirty(part, entry, index);
        else if (entry->is_recent)
            entry->is_recent = false;
        else
            token_part_remove(part, index);
    }
}

static void add_chunk(struct token_part *part)
{
    uint32_t first = part->chunk_count * TOKEN_TABLE_CHUNK;
    part->chunks = must(realloc(part->chunks, (part->chunk_count + 1) * sizeof *part->chunks));
    part->chunks[part->chunk_count++] = must(calloc(TOKEN_TABLE_CHUNK, sizeof(struct token_entry)));
    for (uint32_t index = first + TOKEN_TABLE_CHUNK; index-- > first;) {
        token_part_at(part, index)->next = part->free;
        part->free = index;
    }
}

struct token_entry *token_part_add(struct token_part *part, const struct token_key *key)
{
    if (part->count >= part->max)
        sweep(part);
    if (part->free == TOKEN_PART_NONE)
        add_chunk(part);
    if (part->count > part->bucket_mask)
        grow_buckets(part);
    uint32_t index = part->free;
    struct token_entry *entry = token_part_at(part, index);
    part->free = entry->next;
    uint32_t *bucket = token_part_bucket(part, key);
    *entry = (struct token_entry){.key = *key, .next = *bucket};
    *bucket = index;
    part->count++;
    return entry;
}

size_t token_part_bytes(const struct token_part *part)
{
    return (size_t)part->narrowed * ROLES_BYTES +
           part->chunk_count * (TOKEN_TABLE_CHUNK * sizeof(struct token_entry) + sizeof *part->chunks) +
           (part->bucket_mask + 1) * sizeof *part->buckets + part->dirty_size * sizeof *part->dirty;
}
