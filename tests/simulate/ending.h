/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a run: everything is well again, some minutes pass, and everybody knows what one knows who has just
 * started. */
#ifndef SIMULATE_ENDING_H
#define SIMULATE_ENDING_H

#include "world.h"

void ending(struct world *world);

#endif
