/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 4000 };

struct scratch_block {
    struct scratch_block *next;
    size_t size, used;
    _Alignas(max_align_t) unsigned char memory[];
};

static struct scratch_block *add_block(struct scratch *scratch, size_t size)
{
    if (size < BLOCK_BYTES)
        size = BLOCK_BYTES;
    struct scratch_block *block = malloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    block->next = scratch->blocks;
    block->size = size;
    block->used = 0;
    scratch->blocks = block;
    return block;
}

static size_t aligned(size_t size)
{
    const size_t align = _Alignof(max_align_t);
    return (size + align - 1) / align * align;
}

static void *take_bytes(struct scratch_block *block, size_t size)
{
    void *memory = block->memory + block->used;
    size = aligned(size);
    block->used = size > block->size - block->used ? block->size : block->used + size;
    return memory;
}

void *scratch_alloc(struct scratch *scratch, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    struct scratch_block *block = scratch->blocks;
    if (block == NULL || block->size - block->used < aligned(size))
        block = add_block(scratch, aligned(size));
    return block == NULL ? NULL : memset(take_bytes(block, size), 0, size);
}

char *scratch_copy(struct scratch *scratch, const char *text, size_t len)
{
    char *copy = scratch_alloc(scratch, len + 1);
    if (copy != NULL && len > 0)
        memcpy(copy, text, len);
    return copy;
}

char *scratch_print(struct scratch *scratch, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    struct scratch_block *block = scratch->blocks;
    size_t room = block == NULL ? 0 : block->size - block->used;
    char *text = block == NULL ? NULL : (char *)block->memory + block->used;
    int len = vsnprintf(text, room, format, args);
    if (len >= 0 && (size_t)len < room) {
        (void)take_bytes(block, (size_t)len + 1); /* it is there already */
    } else {
        if (room > 0)
            explicit_bzero(text, room); /* what did not fit may be of a secret */
        text = len < 0 ? NULL : scratch_alloc(scratch, (size_t)len + 1);
        if (text != NULL)
            vsnprintf(text, (size_t)len + 1, format, again);
    }
    va_end(again);
    va_end(args);
    return text;
}

void scratch_done(struct scratch *scratch)
{
    struct scratch_block *next;
    for (struct scratch_block *block = scratch->blocks; block != NULL; block = next) {
        next = block->next;
        explicit_bzero(block->memory, block->used);
        free(block);
    }
    scratch->blocks = NULL;
}

static void *allocator_alloc(void *scratch, size_t size)
{
    return scratch_alloc(scratch, size);
}

static void allocator_free(void *scratch, void *memory)
{
    (void)scratch;
    (void)memory; /* with all the rest, by scratch_done */
}

ProtobufCAllocator scratch_allocator(struct scratch *scratch)
{
    return (ProtobufCAllocator){.alloc = allocator_alloc, .free = allocator_free, .allocator_data = scratch};
}

void wiping_free(void *memory)
{
    if (memory == NULL)
        return;
    explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

void *wiping_realloc(void *memory, size_t size)
{
    void *larger = malloc(size);
    if (larger == NULL || memory == NULL)
        return larger;
    size_t old_size = malloc_usable_size(memory);
    memcpy(larger, memory, old_size < size ? old_size : size);
    wiping_free(memory);
    return larger;
}
