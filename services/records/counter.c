/* SPDX-License-Identifier: Apache-2.0 */
#include "records/counter.h"

enum status counter_next(struct store_tx *tx, const char *name, int64_t *ret_value)
{
    return counter_take(tx, name, 1, ret_value);
}

enum status counter_take(struct store_tx *tx, const char *name, size_t count, int64_t *ret_last)
{
    return store_run(tx,
                     "INSERT INTO counter (name, value) VALUES ($1, $2)"
                     " ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value RETURNING value",
                     store_read_int, ret_last, store_text(name), store_int((int64_t)count));
}

enum status counter_last(struct store_tx *tx, const char *name, int64_t *ret_value)
{
    *ret_value = 0;
    return store_run(tx, "SELECT value FROM counter WHERE name = $1", store_read_int, ret_value, store_text(name));
}
