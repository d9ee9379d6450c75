/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chance, all of it from one seed: what the simulator decides, and in a stream of its own what the program under test
 * takes from crypto_random (which the linker puts here: --wrap). So a run can be repeated bit for bit, and one more
 * random byte taken by the program does not change what the simulator does.
 */
#ifndef SIMULATE_RANDOM_H
#define SIMULATE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

void random_seed(uint64_t seed);

uint64_t random_next(void);
int random_below(int count); /* 0 to count - 1 */
bool random_chance(int percent);
int64_t random_between(int64_t least, int64_t most);

#endif
