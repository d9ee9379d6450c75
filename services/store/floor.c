/* SPDX-License-Identifier: Apache-2.0 */
#include "store/floor.h"

enum status floor_read(struct store_tx *tx, int64_t *ret_floor)
{
    *ret_floor = 0;
    return store_run(tx, "SELECT value FROM counter WHERE name = 'clock'", store_read_int, ret_floor);
}

enum status floor_raise(struct store_tx *tx, int64_t floor)
{
    return store_send(tx,
                      "INSERT INTO counter (name, value) VALUES ('clock', $1)"
                      " ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE counter.value < excluded.value",
                      store_int(floor));
}

enum status floor_lower(struct store_tx *tx, int64_t floor)
{
    return store_run(tx, "UPDATE counter SET value = $1 WHERE name = 'clock' AND value > $2", NULL, NULL,
                     store_int(floor), store_int(floor));
}
