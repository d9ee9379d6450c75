/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/must.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct arena_block {
    struct arena_block *next;
    size_t size;
    _Alignas(max_align_t) char bytes[];
};

enum { ALIGNMENT = _Alignof(max_align_t), BLOCK_BYTES = 4096 };

void arena_init(struct arena *arena, void *first, size_t size, size_t limit)
{
    *arena = (struct arena){.at = first, .end = (char *)first + size, .limit = limit};
    arena->first = arena->at;
    arena->first_end = arena->end;
}

void arena_done(struct arena *arena)
{
    size_t first_used = (size_t)((arena->blocks == NULL ? arena->at : arena->first_end) - arena->first);
    if (arena->first != NULL && first_used > 0)
        explicit_bzero(arena->first, first_used);
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        explicit_bzero(block->bytes, block->size); /* a request or an answer may hold a secret key */
        free(block);
    }
    arena->at = arena->first;
    arena->end = arena->first_end;
    arena->taken = 0;
}

static bool add_block(struct arena *arena, size_t size)
{
    size_t bytes = size < BLOCK_BYTES ? BLOCK_BYTES : size;
    if (arena->limit != 0 && bytes > arena->limit - arena->taken)
        return false;
    struct arena_block *block = calloc(1, sizeof *block + bytes);
    if (block == NULL)
        return false;
    block->size = bytes;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->taken += bytes;
    arena->at = block->bytes;
    arena->end = block->bytes + bytes;
    return true;
}

void *arena_try(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (size > (size_t)(arena->end - arena->at) && !add_block(arena, size))
        return NULL;
    void *result = arena->at;
    arena->at += size;
    return result;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    return must(arena_try(arena, size));
}

char *arena_try_copy(struct arena *arena, const void *bytes, size_t len)
{
    char *copy = arena_try(arena, len + 1);
    if (copy != NULL && len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

/* protobuf-c's. */
static void *allocate(void *arena, size_t size)
{
    return arena_try(arena, size);
}

/* protobuf-c's: with all the rest. */
static void free_nothing(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

ProtobufCAllocator arena_allocator(struct arena *arena)
{
    return (ProtobufCAllocator){allocate, free_nothing, arena};
}

char *arena_text(struct arena *arena, const char *text)
{
    if (text == NULL)
        text = "";
    size_t size = strlen(text) + 1;
    return memcpy(arena_alloc(arena, size), text, size);
}

char *arena_copy(struct arena *arena, const void *bytes, size_t len)
{
    return must(arena_try_copy(arena, bytes, len));
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = (size_t)(arena->end - arena->at);
    int len = vsnprintf(arena->at, room, format, args);
    if (len < 0)
        abort();
    if ((size_t)len >= room && room > 0)
        explicit_bzero(arena->at, room);              /* what did not fit may be of a secret */
    char *text = arena_alloc(arena, (size_t)len + 1); /* where it stands already, if it fitted */
    if (*text == '\0')
        vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}
