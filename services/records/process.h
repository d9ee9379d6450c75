/* SPDX-License-Identifier: Apache-2.0 */
/* The table `process`: who serves from this store, and for how long each answers from memory. */
#ifndef RECORDS_PROCESS_H
#define RECORDS_PROCESS_H

#include "store/store.h"

/* The process is there, at `seen`. */
enum status process_row_say(struct store_tx *tx, int64_t id, int64_t lease, int64_t seen);

/* Removes those that were seen last before `before`. */
enum status process_row_expire(struct store_tx *tx, int64_t before);

/* The longest lease of those that are there. */
enum status process_row_longest(struct store_tx *tx, int64_t *ret_lease);

/* The least id of those that are there. */
enum status process_row_first(struct store_tx *tx, int64_t *ret_id);

/* It serves no more. No row is no error. */
enum status process_row_remove(struct store_tx *tx, int64_t id);

#endif
