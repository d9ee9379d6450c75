/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces of one size, side by side on large pages: of a million that are looked up at random, half of the time goes
 * into finding the page of each where pages are small. Any thread. What was given out once is kept for the next.
 */
#ifndef POOL_H
#define POOL_H

#include <stddef.h>

struct pool;

/* For about `count` pieces of `size` bytes, a multiple of 64; each begins on a cache line. */
struct pool *gatehouse_pool_new(size_t size, size_t count);
/* All pieces with it. */
void gatehouse_pool_free(struct pool *pool);
/* Zeroed. */
void *gatehouse_pool_take(struct pool *pool);
void gatehouse_pool_give(struct pool *pool, void *piece);

/* A large piece by itself, zeroed, of which the system gives what is used. */
void *gatehouse_pool_map(size_t size);
void gatehouse_pool_unmap(void *memory, size_t size);

#endif
