/* SPDX-License-Identifier: Apache-2.0 */
/* The table `process`: who serves from this store, and for how long each answers from memory. */
#ifndef RECORDS_PROCESS_H
#define RECORDS_PROCESS_H

#include "store/store.h"

struct process_leases {
    int64_t own;   /* for so long it answers from memory; 0: it serves no more */
    int64_t cache; /* and for so long may those that it tells of changes */
};

/* The process is there, at `seen`. */
enum status process_row_say(struct store_tx *tx, int64_t id, const struct process_leases *leases, int64_t seen);

/* Removes those that were seen last before `before`. */
enum status process_row_expire(struct store_tx *tx, int64_t before);

/* The longest lease of those that are there. */
enum status process_row_longest(struct store_tx *tx, int64_t *ret_lease);

/* Of caches that any may have told: those that serve no more are among them, for the longest lease and longer. */
enum status process_row_longest_cache(struct store_tx *tx, int64_t *ret_lease);

/* The least id of those that are there. */
enum status process_row_first(struct store_tx *tx, int64_t *ret_id);

/* How many steps of the schema the oldest program knows that serves; one that knows fewer than 8 does not say so: 0.
 * Where none serves, this one's. */
enum { PROCESS_KNOWS_SUSPENSION = 8 };
enum status process_row_oldest(struct store_tx *tx, int64_t *ret_program);

/* It serves no more. No row is no error. */
enum status process_row_leave(struct store_tx *tx, int64_t id);

#endif
