/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/arena.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = _Alignof(max_align_t), CHUNK_MIN = 8192 };

struct rpc_arena_chunk {
    struct rpc_arena_chunk *next;
    size_t size;
    _Alignas(max_align_t) char bytes[];
};

static void *allocate(void *arena, size_t size)
{
    return rpc_arena_alloc(arena, size);
}

static void free_nothing(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

void rpc_arena_init(struct rpc_arena *arena, size_t limit)
{
    arena->allocator = (ProtobufCAllocator){allocate, free_nothing, arena};
    arena->limit = limit;
    arena->taken = 0;
    arena->chunks = NULL;
    arena->at = arena->first;
    arena->end = arena->first + sizeof arena->first;
}

static struct rpc_arena_chunk *add_chunk(struct rpc_arena *arena, size_t size)
{
    size_t bytes = size < CHUNK_MIN ? CHUNK_MIN : size;
    if (bytes > arena->limit - arena->taken)
        return NULL;
    struct rpc_arena_chunk *chunk = malloc(sizeof *chunk + bytes);
    if (chunk == NULL)
        return NULL;
    chunk->size = bytes;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->taken += bytes;
    return chunk;
}

void *rpc_arena_alloc(struct rpc_arena *arena, size_t size)
{
    if (size > arena->limit)
        return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (size > (size_t)(arena->end - arena->at)) {
        struct rpc_arena_chunk *chunk = add_chunk(arena, size);
        if (chunk == NULL)
            return NULL;
        arena->at = chunk->bytes;
        arena->end = chunk->bytes + chunk->size;
    }
    void *result = arena->at;
    arena->at += size;
    return result;
}

char *rpc_arena_copy(struct rpc_arena *arena, const void *bytes, size_t len)
{
    char *copy = rpc_arena_alloc(arena, len + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

void rpc_arena_reset(struct rpc_arena *arena)
{
    bool only_first = arena->chunks == NULL;
    explicit_bzero(arena->first, only_first ? (size_t)(arena->at - arena->first) : sizeof arena->first);
    struct rpc_arena_chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct rpc_arena_chunk *next = chunk->next;
        explicit_bzero(chunk->bytes, chunk->size);
        free(chunk);
        chunk = next;
    }
    rpc_arena_init(arena, arena->limit);
}
