/* SPDX-License-Identifier: Apache-2.0 */
#include "records/process.h"

#include "records/schema.h"

enum status process_row_say(struct store_tx *tx, const struct process_row *row)
{
    return store_send(tx,
                      "INSERT INTO process (id, lease, cache_lease, seen, program, beat, host, version, revision, lag,"
                      " unstored, used, cache_used) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
                      " ON CONFLICT (id) DO UPDATE SET lease = excluded.lease, cache_lease = excluded.cache_lease,"
                      " seen = excluded.seen, revision = excluded.revision, lag = excluded.lag,"
                      " unstored = excluded.unstored, used = excluded.used, cache_used = excluded.cache_used",
                      store_int(row->id), store_int(row->leases.own), store_int(row->leases.cache),
                      store_int(row->seen), store_int((int64_t)records_schema.steps_count), store_int(row->beat),
                      store_text(row->host), store_text(GATEHOUSE_VERSION), store_int(row->revision),
                      store_int(row->lag), store_int(row->unstored), store_int(row->used.own),
                      store_int(row->used.cache));
}

enum status process_row_expire(struct store_tx *tx, int64_t before)
{
    return store_send(tx, "DELETE FROM process WHERE seen < $1", store_int(before));
}

static enum status read_leases(const struct store_row *row, void *arg)
{
    *(struct process_leases *)arg = (struct process_leases){store_row_int(row, 0), store_row_int(row, 1)};
    return STATUS_OK;
}

enum status process_row_used(struct store_tx *tx, int64_t id, struct process_leases *ret_leases)
{
    return store_run(tx,
                     "SELECT coalesce(max(used), 0), coalesce(max(cache_used), 0) FROM process"
                     " WHERE lease > 0 AND id <> $1",
                     read_leases, ret_leases, store_int(id));
}

enum status process_row_longest(struct store_tx *tx, struct process_leases *ret_leases)
{
    return store_run(tx, "SELECT max(lease), max(cache_lease) FROM process", read_leases, ret_leases);
}

enum status process_row_first(struct store_tx *tx, int64_t now, int64_t *ret_id)
{
    return store_run(tx, "SELECT min(id) FROM process WHERE lease > 0 AND seen + $1 * beat > $2", store_read_int,
                     ret_id, store_int(PROCESS_BEATS_MISSED), store_int(now));
}

enum status process_row_stored(struct store_tx *tx, int64_t *ret_time)
{
    return store_run(tx, "SELECT coalesce(min(seen - unstored), $1) FROM process WHERE lease > 0", store_read_int,
                     ret_time, store_int(INT64_MAX));
}

struct listing {
    process_row_fn *each;
    void *arg;
};

/* A store_row_fn. */
static enum status list_row(const struct store_row *row, void *arg)
{
    const struct listing *listing = arg;
    const struct process_row process = {.id = store_row_int(row, 0),
                                        .leases.own = store_row_int(row, 1),
                                        .seen = store_row_int(row, 2),
                                        .host = store_row_text(row, 3),
                                        .version = store_row_text(row, 4),
                                        .revision = store_row_int(row, 5),
                                        .lag = store_row_int(row, 6)};
    listing->each(&process, listing->arg);
    return STATUS_OK;
}

enum status process_row_list(struct store_tx *tx, process_row_fn *each, void *arg)
{
    struct listing listing = {each, arg};
    return store_run(tx,
                     "SELECT id, lease, seen, host, version, revision, lag FROM process WHERE lease > 0"
                     " ORDER BY id",
                     list_row, &listing);
}

enum status process_row_oldest(struct store_tx *tx, int64_t *ret_program)
{
    return store_run(tx, "SELECT coalesce(min(program), $1) FROM process WHERE lease > 0", store_read_int, ret_program,
                     store_int((int64_t)records_schema.steps_count));
}

enum status process_row_leave(struct store_tx *tx, int64_t id, int64_t now)
{
    return store_send(tx, "UPDATE process SET lease = 0, seen = $1 WHERE id = $2", store_int(now), store_int(id));
}
