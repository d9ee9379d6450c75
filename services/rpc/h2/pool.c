/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/pool.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { KEEPS = 0 };
#else
enum { KEEPS = 1 };
#endif

enum { H2_NEST_BYTES = H2_NEST_ROOM + H2_NEST_FRAME };

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

/* The nest */

static bool is_nested(const struct h2_nest *nest, const struct h2_block *block)
{
    const uint8_t *at = (const uint8_t *)block;
    return nest->base != NULL && at >= nest->base && at < nest->base + H2_NEST_ROOM;
}

/* NULL: it has no room. */
static struct h2_block *take_nested(struct h2_nest *nest, size_t size)
{
    size_t room = sizeof(struct h2_block) + (room_of(size) + H2_POOL_STEP - 1) / H2_POOL_STEP * H2_POOL_STEP;
    bool is_between = size > (H2_POOL_LISTS - 1) * H2_POOL_STEP && size < H2_NEST_LARGE;
    if (nest->base == NULL || is_between || size > H2_NEST_FRAME + H2_NEST_HEAD - sizeof(struct h2_block))
        return NULL;
    if (size >= H2_NEST_FRAME && !nest->has_frame) {
        nest->has_frame = true;
        return (struct h2_block *)(void *)(nest->base + H2_NEST_ROOM - H2_NEST_HEAD);
    }
    if (room > (size_t)(nest->end - nest->at))
        return NULL;
    nest->at += room;
    return (struct h2_block *)(void *)(nest->at - room);
}

/* The frame is not nearly all used, and what may not be known was wiped when it had been sent; what was given out last
 * is given out again. */
static void give_nested(struct h2_nest *nest, struct h2_block *block)
{
    uint8_t *end = block->bytes + (room_of(block->size) + H2_POOL_STEP - 1) / H2_POOL_STEP * H2_POOL_STEP;
    if (block->size >= H2_NEST_FRAME)
        return;
    explicit_bzero(block->bytes, block->size);
    if (end == nest->at)
        nest->at = (uint8_t *)block;
}

/* NULL: there are none to be had. */
static void *take_pages(struct h2_pool *pool)
{
    struct h2_block *kept = pool->nests;
    if (kept != NULL) {
        pool->nests = kept->next;
        pool->nest_count--;
        return kept;
    }
    if (sysconf(_SC_PAGESIZE) > H2_NEST_PAGE) /* as some kernels of arm64 have it: these would be memory as a whole */
        return NULL;
    void *pages = mmap(NULL, H2_NEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    madvise(pages, H2_NEST_BYTES, MADV_NOHUGEPAGE); /* or all of it would be memory */
    return pages;
}

void h2_nest_init(struct h2_nest *nest, struct h2_pool *pool)
{
    *nest = (struct h2_nest){.pool = pool, .base = KEEPS ? take_pages(pool) : NULL};
    if (nest->base == NULL)
        return; /* then all is malloc's */
    nest->at = nest->base;
    nest->end = nest->base + H2_NEST_ROOM - H2_NEST_HEAD;
}

void h2_nest_done(struct h2_nest *nest)
{
    struct h2_pool *pool = nest->pool;
    struct h2_block *pages = (struct h2_block *)(void *)nest->base;
    *nest = (struct h2_nest){.pool = NULL};
    if (pages == NULL)
        return;
    if (pool->nest_count == H2_POOL_NESTS) {
        munmap(pages, H2_NEST_BYTES);
        return;
    }
    pages->next = pool->nests;
    pool->nests = pages;
    pool->nest_count++;
}

/* For nghttp2 */

static struct h2_block *take_pooled(struct h2_pool *pool, size_t size)
{
    size_t list = list_of(size);
    struct h2_block *block = list < H2_POOL_LISTS ? pool->lists[list] : NULL;
    if (block != NULL) {
        pool->lists[list] = block->next;
        pool->kept -= list * H2_POOL_STEP;
    } else if (size <= PTRDIFF_MAX) {
        block = malloc(sizeof *block + room_of(size));
    }
    return block;
}

/* nghttp2's malloc, of a session: on its loop, as the next three. */
static void *take(size_t size, void *user_data)
{
    struct h2_nest *nest = user_data;
    struct h2_block *block = take_nested(nest, size);
    if (block == NULL)
        block = take_pooled(nest->pool, size);
    if (block == NULL)
        return NULL;
    block->size = size;
    return block->bytes;
}

static struct h2_block *block_of(void *memory)
{
    return (struct h2_block *)(void *)((uint8_t *)memory - offsetof(struct h2_block, bytes));
}

static void give_pooled(struct h2_pool *pool, struct h2_block *block)
{
    size_t list = list_of(block->size), room = list * H2_POOL_STEP;
    explicit_bzero(block->bytes, block->size);
    if (!KEEPS || list == H2_POOL_LISTS || pool->kept + room > H2_POOL_KEPT) {
        free(block);
        return;
    }
    block->next = pool->lists[list];
    pool->lists[list] = block;
    pool->kept += room;
}

/* nghttp2's free. */
static void give_back(void *memory, void *user_data)
{
    struct h2_nest *nest = user_data;
    struct h2_block *block = memory == NULL ? NULL : block_of(memory);
    if (block != NULL && is_nested(nest, block))
        give_nested(nest, block);
    else if (block != NULL)
        give_pooled(nest->pool, block);
}

/* nghttp2's calloc. */
static void *take_zeroed(size_t count, size_t size, void *user_data)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *memory = take(total, user_data);
    return memory == NULL ? NULL : memset(memory, 0, total);
}

/* nghttp2's realloc. */
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

nghttp2_mem h2_nest_mem(struct h2_nest *nest)
{
    return (nghttp2_mem){
        .mem_user_data = nest, .malloc = take, .free = give_back, .calloc = take_zeroed, .realloc = resize};
}

void h2_pool_done(struct h2_pool *pool)
{
    for (struct h2_block *pages = pool->nests, *next; pages != NULL; pages = next) {
        next = pages->next;
        munmap(pages, H2_NEST_BYTES);
    }
    pool->nests = NULL;
    for (size_t i = 0; i < H2_POOL_LISTS; i++) {
        for (struct h2_block *block = pool->lists[i], *next; block != NULL; block = next) {
            next = block->next;
            free(block);
        }
    }
}
