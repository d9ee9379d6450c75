/* SPDX-License-Identifier: Apache-2.0 */
/* The stored floor: a time that has certainly passed, as all who used the database have settled it (clock.h). No clock
 * that starts on it goes by an earlier time. Microseconds since 1970; 0: none is stored. */
#ifndef STORE_FLOOR_H
#define STORE_FLOOR_H

#include "store/store.h"

/* The time that the store remembers, in microseconds since 1970; 0: none yet. */
enum status floor_read(struct store_tx *tx, int64_t *ret_floor);

/* If it is earlier. */
enum status floor_raise(struct store_tx *tx, int64_t floor);

/* After a clock was wrong for so long that its time settled. A daemon that runs raises it again. */
enum status floor_lower(struct store_tx *tx, int64_t floor);

#endif
