/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is read without a lock. A reader enters, loads a pointer that somebody may replace at any time, and what
 * it points to stays until the reader leaves. Whoever replaces it puts what was there before into a bin: it is freed
 * when no reader can have it any more. Readers wait for nobody; nobody waits for readers.
 *
 * The pointers must be loaded and stored by atomic_load, atomic_store and atomic_exchange (sequentially consistent).
 *
 * Why not liburcu: the thread sanitizer does not understand its barriers, and this much is all that we need.
 */
#ifndef BASE_EPOCH_H
#define BASE_EPOCH_H

#include <stdint.h>

/* Any thread, also inside another; short: what is discarded meanwhile waits. */
void epoch_enter(void);
void epoch_leave(void);

/* What was replaced. One thread at a time; a bin of zeros is an empty one. */
struct epoch_bin {
    struct epoch_waste *oldest, *newest;
};

/* No pointer leads to `memory` any more. `give_back` frees it, later, in epoch_sweep or epoch_empty. */
void epoch_discard(struct epoch_bin *bin, void *memory, void (*give_back)(void *memory));

/* Frees what nobody can be reading. */
void epoch_sweep(struct epoch_bin *bin);

/* Frees everything: nobody reads, and nobody will. */
void epoch_empty(struct epoch_bin *bin);

#endif
