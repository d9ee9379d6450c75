/* SPDX-License-Identifier: Apache-2.0 */
#include "records/process.h"

enum status process_row_say(struct store_tx *tx, int64_t id, int64_t lease, int64_t seen)
{
    return store_send(tx,
                      "INSERT INTO process (id, lease, seen) VALUES ($1, $2, $3)"
                      " ON CONFLICT (id) DO UPDATE SET lease = excluded.lease, seen = excluded.seen",
                      store_int(id), store_int(lease), store_int(seen));
}

enum status process_row_expire(struct store_tx *tx, int64_t before)
{
    return store_send(tx, "DELETE FROM process WHERE seen < $1", store_int(before));
}

enum status process_row_longest(struct store_tx *tx, int64_t *ret_lease)
{
    return store_run(tx, "SELECT max(lease) FROM process", store_read_int, ret_lease);
}

enum status process_row_first(struct store_tx *tx, int64_t *ret_id)
{
    return store_run(tx, "SELECT min(id) FROM process", store_read_int, ret_id);
}

enum status process_row_remove(struct store_tx *tx, int64_t id)
{
    return store_send(tx, "DELETE FROM process WHERE id = $1", store_int(id));
}
