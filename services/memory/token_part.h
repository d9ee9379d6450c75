/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One of the parts of the token table: its entries, in chunks that stay where they are, so that an entry is known by a
 * number; the buckets in which a key is found; the list of what is to be gathered. Who calls a function holds its lock.
 */
#ifndef MEMORY_TOKEN_PART_H
#define MEMORY_TOKEN_PART_H

#include "memory/directory.h"
#include "rules/token.h"

#include <pthread.h>
#include <string.h>

#ifndef TOKEN_TABLE_CHUNK /* the simulator has smaller ones, so that few tokens push each other out */
#define TOKEN_TABLE_CHUNK 256
#endif

static const uint32_t TOKEN_PART_NONE = UINT32_MAX; /* no entry */

struct token_entry {
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

struct token_part {
    pthread_mutex_t lock;
    struct token_entry **chunks;
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

/* For `max` entries, and beside them those whose use is not stored yet. */
void token_part_init(struct token_part *part, uint32_t max);
void token_part_done(struct token_part *part);

/* An entry by its number. */
static inline struct token_entry *token_part_at(struct token_part *part, uint32_t index)
{
    return &part->chunks[index / TOKEN_TABLE_CHUNK][index % TOKEN_TABLE_CHUNK];
}

/* Where the first entry of the key's bucket stands. */
static inline uint32_t *token_part_bucket(struct token_part *part, const struct token_key *key)
{
    uint32_t hash;
    memcpy(&hash, key->bytes + 5, sizeof hash);
    return &part->buckets[hash & part->bucket_mask];
}

/* TOKEN_PART_NONE: it is not there. */
static inline uint32_t token_part_find(struct token_part *part, const struct token_key *key)
{
    uint32_t index = *token_part_bucket(part, key);
    while (index != TOKEN_PART_NONE && !token_key_equal(&token_part_at(part, index)->key, key))
        index = token_part_at(part, index)->next;
    return index;
}

/* A new entry of this key, which is not there; everything else of it is 0. */
struct token_entry *token_part_add(struct token_part *part, const struct token_key *key);

/* Its place is free again. */
void token_part_remove(struct token_part *part, uint32_t index);

/* NULL: it is not narrowed. */
void token_part_set_roles(struct token_part *part, struct token_entry *entry, const struct role_set *roles);

/* It is to be gathered. */
void token_part_mark_dirty(struct token_part *part, struct token_entry *entry, uint32_t index);

/* Of memory. */
size_t token_part_bytes(const struct token_part *part);

#endif
