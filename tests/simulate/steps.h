/* SPDX-License-Identifier: Apache-2.0 */
/* What can happen to the world, and one run of it. */
#ifndef SIMULATE_STEPS_H
#define SIMULATE_STEPS_H

#include "world.h"

/* A run of `steps` steps and the rest after it; world->has_failed says what came of it. */
void steps_run(struct world *world, struct cluster *cluster, struct cluster *other, uint64_t seed, int steps);

#endif
