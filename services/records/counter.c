/* SPDX-License-Identifier: Apache-2.0 */
#include "records/counter.h"

enum status counter_next(struct store_tx *tx, const char *name, int64_t *ret_value)
{
    return store_run(tx,
                     "INSERT INTO counter (name, value) VALUES ($1, 1)"
                     " ON CONFLICT (name) DO UPDATE SET value = counter.value + 1 RETURNING value",
                     store_read_int, ret_value, store_text(name));
}

enum status counter_last(struct store_tx *tx, const char *name, int64_t *ret_value)
{
    *ret_value = 0;
    return store_run(tx, "SELECT value FROM counter WHERE name = $1", store_read_int, ret_value, store_text(name));
}
