/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/pool.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { KEEPS = 0 };
#else
enum { KEEPS = 1 };
#endif

/* Before the bytes that nghttp2 sees. */
struct h2_block {
    union {
        size_t size;           /* in use: of what is behind */
        struct h2_block *next; /* in its list */
    };
    _Alignas(max_align_t) uint8_t bytes[];
};

/* Its list; H2_POOL_LISTS: none. */
static size_t list_of(size_t size)
{
    size_t list = (size + H2_POOL_STEP - 1) / H2_POOL_STEP;
    return list < H2_POOL_LISTS ? list : H2_POOL_LISTS;
}

static size_t room_of(size_t size)
{
    size_t list = list_of(size);
    return list < H2_POOL_LISTS ? list * H2_POOL_STEP : size;
}

static void *take(size_t size, void *user_data)
{
    struct h2_pool *pool = user_data;
    size_t list = list_of(size);
    struct h2_block *block = list < H2_POOL_LISTS ? pool->lists[list] : NULL;
    if (block != NULL) {
        pool->lists[list] = block->next;
        pool->kept -= list * H2_POOL_STEP;
    } else if (size > PTRDIFF_MAX || (block = malloc(sizeof *block + room_of(size))) == NULL) {
        return NULL;
    }
    block->size = size;
    return block->bytes;
}

static struct h2_block *block_of(void *memory)
{
    return (struct h2_block *)(void *)((uint8_t *)memory - offsetof(struct h2_block, bytes));
}

static void give_back(void *memory, void *user_data)
{
    struct h2_pool *pool = user_data;
    if (memory == NULL)
        return;
    struct h2_block *block = block_of(memory);
    size_t list = list_of(block->size), room = list * H2_POOL_STEP;
    explicit_bzero(memory, block->size);
    if (!KEEPS || list == H2_POOL_LISTS || pool->kept + room > H2_POOL_KEPT) {
        free(block);
        return;
    }
    block->next = pool->lists[list];
    pool->lists[list] = block;
    pool->kept += room;
}

static void *take_zeroed(size_t count, size_t size, void *user_data)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *memory = take(total, user_data);
    return memory == NULL ? NULL : memset(memory, 0, total);
}

static void *resize(void *memory, size_t size, void *user_data)
{
    if (memory == NULL)
        return take(size, user_data);
    struct h2_block *block = block_of(memory);
    size_t before = block->size;
    if (list_of(size) < H2_POOL_LISTS && list_of(size) == list_of(before)) {
        block->size = size > before ? size : before; /* all that may have been written is wiped */
        return memory;
    }
    void *larger = take(size, user_data);
    if (larger == NULL)
        return NULL;
    memcpy(larger, memory, before < size ? before : size);
    give_back(memory, user_data);
    return larger;
}

nghttp2_mem h2_pool_mem(struct h2_pool *pool)
{
    return (nghttp2_mem){
        .mem_user_data = pool, .malloc = take, .free = give_back, .calloc = take_zeroed, .realloc = resize};
}

void h2_pool_done(struct h2_pool *pool)
{
    for (size_t i = 0; i < H2_POOL_LISTS; i++) {
        for (struct h2_block *block = pool->lists[i], *next; block != NULL; block = next) {
            next = block->next;
            free(block);
        }
    }
}
