/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving to another database by `gatehouse admin copy`, as an operator does it who believes what the command has said,
 * and does not always read it. Only a shared database: a file is held by whoever uses it.
 */
#ifndef SIMULATE_COPIES_H
#define SIMULATE_COPIES_H

#include "world.h"

/* Copies it, whoever is at work. */
void copies_make(struct world *world);

/* Stops all, copies it once more (or forgets to), and starts them on the copy; where they refuse, where they were. */
void copies_move(struct world *world);

#endif
