/* SPDX-License-Identifier: Apache-2.0 */
#include "random.h"

#include <stddef.h>
#include <string.h>

/* SplitMix64: a counter, and a function that scatters it. */
static uint64_t decisions, bytes;

static uint64_t next_of(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void random_seed(uint64_t seed)
{
    decisions = seed;
    (void)next_of(&decisions);
    bytes = ~decisions;
}

uint64_t random_next(void)
{
    return next_of(&decisions);
}

int random_below(int count)
{
    return (int)(random_next() % (uint64_t)count);
}

bool random_chance(int percent)
{
    return random_below(100) < percent;
}

int64_t random_between(int64_t least, int64_t most)
{
    return least + (int64_t)(random_next() % (uint64_t)(most - least + 1));
}

/* Put in the place of crypto_random by the linker. */
void __wrap_crypto_random(void *to, size_t len);

void __wrap_crypto_random(void *to, size_t len)
{
    for (uint8_t *at = to, *end = at + len; at < end;) {
        uint64_t word = next_of(&bytes);
        size_t part = (size_t)(end - at) < sizeof word ? (size_t)(end - at) : sizeof word;
        memcpy(at, &word, part);
        at += part;
    }
}
