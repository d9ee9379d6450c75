/* SPDX-License-Identifier: Apache-2.0 */
/* The table `counter`: the last of numbers that are given in order. (The settled time stands there, too:
 * store/floor.h.) */
#ifndef RECORDS_COUNTER_H
#define RECORDS_COUNTER_H

#include "store/store.h"

/* The next value of a counter, from 1. Work that takes the counter "revision" happens one after the other, on all
 * replicas. */
enum status counter_next(struct store_tx *tx, const char *name, int64_t *ret_value);
/* The next `count` of them, of which this is the last. */
enum status counter_take(struct store_tx *tx, const char *name, size_t count, int64_t *ret_last);

/* The last value that was given; 0: none. */
enum status counter_last(struct store_tx *tx, const char *name, int64_t *ret_value);

#endif
