/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include "base/must.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE = 64, SMALL_PAGE = 4096, LARGE_PAGE = 2 << 20 };

struct chunk {
    _Alignas(LINE) struct chunk *next;
};

struct piece {
    struct piece *next;
};

struct pool {
    size_t size, chunk_size;
    pthread_mutex_t lock; /* guards what follows */
    struct chunk *chunks;
    struct piece *given; /* back */
    char *at, *end;      /* of the newest chunk: not given out yet */
};

/* Begins on a large page where it fills one: more is asked for, and what lies around it given back. */
void *gatehouse_pool_map(size_t size)
{
    size_t spare = size >= LARGE_PAGE ? LARGE_PAGE : 0;
    char *all = mmap(NULL, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        abort();
    if (spare == 0)
        return all;
    size_t before = (LARGE_PAGE - (uintptr_t)all % LARGE_PAGE) % LARGE_PAGE;
    if (before > 0)
        munmap(all, before);
    munmap(all + before + size, spare - before);
    (void)madvise(all + before, size, MADV_HUGEPAGE); /* where there are none, small ones do */
    return all + before;
}

void gatehouse_pool_unmap(void *memory, size_t size)
{
    munmap(memory, size);
}

struct pool *gatehouse_pool_new(size_t size, size_t count)
{
    struct pool *pool = must(calloc(1, sizeof *pool));
    size_t all = count < LARGE_PAGE / size ? count * size + sizeof(struct chunk) : LARGE_PAGE;
    pool->size = size;
    pool->chunk_size = (all + SMALL_PAGE - 1) / SMALL_PAGE * SMALL_PAGE;
    if (pool->chunk_size > LARGE_PAGE / 2)
        pool->chunk_size = LARGE_PAGE;
    pthread_mutex_init(&pool->lock, NULL);
    return pool;
}

void gatehouse_pool_free(struct pool *pool)
{
    for (struct chunk *chunk = pool->chunks, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        gatehouse_pool_unmap(chunk, pool->chunk_size);
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* Under the lock. */
static void *take_new(struct pool *pool)
{
    if ((size_t)(pool->end - pool->at) < pool->size) {
        struct chunk *chunk = gatehouse_pool_map(pool->chunk_size);
        chunk->next = pool->chunks;
        pool->chunks = chunk;
        pool->at = (char *)(chunk + 1);
        pool->end = (char *)chunk + pool->chunk_size;
    }
    void *piece = pool->at;
    pool->at += pool->size;
    return piece;
}

void *gatehouse_pool_take(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct piece *piece = pool->given;
    if (piece != NULL)
        pool->given = piece->next;
    else
        piece = take_new(pool);
    pthread_mutex_unlock(&pool->lock);
    return memset(piece, 0, pool->size);
}

void gatehouse_pool_give(struct pool *pool, void *memory)
{
    struct piece *piece = memory;
    pthread_mutex_lock(&pool->lock);
    piece->next = pool->given;
    pool->given = piece;
    pthread_mutex_unlock(&pool->lock);
}
