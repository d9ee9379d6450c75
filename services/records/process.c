/* SPDX-License-Identifier: Apache-2.0 */
#include "records/process.h"

#include "records/schema.h"

enum status process_row_say(struct store_tx *tx, int64_t id, const struct process_leases *leases, int64_t seen)
{
    return store_send(tx,
                      "INSERT INTO process (id, lease, cache_lease, seen, program) VALUES ($1, $2, $3, $4, $5)"
                      " ON CONFLICT (id) DO UPDATE SET lease = excluded.lease, cache_lease = excluded.cache_lease,"
                      " seen = excluded.seen",
                      store_int(id), store_int(leases->own), store_int(leases->cache), store_int(seen),
                      store_int((int64_t)records_schema.steps_count));
}

enum status process_row_expire(struct store_tx *tx, int64_t before)
{
    return store_send(tx, "DELETE FROM process WHERE seen < $1", store_int(before));
}

enum status process_row_longest(struct store_tx *tx, int64_t *ret_lease)
{
    return store_run(tx, "SELECT max(lease) FROM process", store_read_int, ret_lease);
}

enum status process_row_longest_cache(struct store_tx *tx, int64_t *ret_lease)
{
    return store_run(tx, "SELECT max(cache_lease) FROM process", store_read_int, ret_lease);
}

enum status process_row_first(struct store_tx *tx, int64_t *ret_id)
{
    return store_run(tx, "SELECT min(id) FROM process WHERE lease > 0", store_read_int, ret_id);
}

enum status process_row_oldest(struct store_tx *tx, int64_t *ret_program)
{
    return store_run(tx, "SELECT coalesce(min(program), $1) FROM process WHERE lease > 0", store_read_int, ret_program,
                     store_int((int64_t)records_schema.steps_count));
}

enum status process_row_leave(struct store_tx *tx, int64_t id)
{
    return store_send(tx, "UPDATE process SET lease = 0 WHERE id = $1", store_int(id));
}
