/* SPDX-License-Identifier: Apache-2.0 */
/* A number that many threads add to, each on a cache line that few others have. */
#ifndef TALLY_H
#define TALLY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { TALLY_LINES = 16 };

/* Zeros are 0. */
struct tally {
    struct {
        _Alignas(64) _Atomic uint64_t count;
    } lines[TALLY_LINES];
};

/* Any thread. */
static inline void tally_add(struct tally *tally, uint64_t count)
{
    uint64_t mixed = (uint64_t)pthread_self() * UINT64_C(0x9e3779b97f4a7c15);
    atomic_fetch_add_explicit(&tally->lines[mixed >> 60].count, count, memory_order_relaxed);
}

/* What has been added, and perhaps what is just being added. */
static inline uint64_t tally_sum(struct tally *tally)
{
    uint64_t sum = 0;
    for (int i = 0; i < TALLY_LINES; i++)
        sum += atomic_load_explicit(&tally->lines[i].count, memory_order_relaxed);
    return sum;
}

#endif
