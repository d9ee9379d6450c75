/* SPDX-License-Identifier: Apache-2.0 */
/* What ends while nobody hears of it, and what is said of it around the moment at which a lease runs out. */
#ifndef SIMULATE_UNHEARD_H
#define SIMULATE_UNHEARD_H

#include "world.h"

/* Nothing is sooner wrong than what happens when a lease has just run out: time until that of some process has. */
void unheard_wait(struct world *world);

/* Minutes. One process reads the log, and says nothing to the others for so long that they no longer count on it. */
void unheard_silence(struct world *world);

/* One process comes, by its longest lease, and a failover loses that it has come. */
void unheard_come(struct world *world);

/* Everybody has just heard all, and knows the token; then it ends, and nobody hears of that until some lease has run
 * out: the longest of any, or another. */
void unheard_end(struct world *world, int token);

#endif
