/* SPDX-License-Identifier: Apache-2.0 */
#include "records/change_log.h"

#include "records/counter.h"

enum status change_log_next(struct store_tx *tx, int64_t *ret_revision)
{
    return counter_next(tx, "revision", ret_revision);
}

enum status change_log_revision(struct store_tx *tx, int64_t *ret_revision)
{
    return counter_last(tx, "revision", ret_revision);
}

enum status change_log_append(struct store_tx *tx, const struct change_row *row, int64_t now)
{
    store_announce(tx);
    return store_send(tx, "INSERT INTO change_log (revision, kind, subject, at, change_id) VALUES ($1, $2, $3, $4, $5)",
                      store_int(row->position.revision), store_int(row->kind),
                      store_blob(row->subject, row->subject_len), store_int(now), store_int(row->position.change_id));
}

static enum status read_position(const struct store_row *row, void *arg)
{
    *(struct position *)arg = (struct position){store_row_int(row, 0), store_row_int(row, 1)};
    return STATUS_OK;
}

enum status change_log_last(struct store_tx *tx, struct position *ret_position)
{
    *ret_position = (struct position){0};
    return store_run(tx, "SELECT revision, change_id FROM change_log ORDER BY revision DESC LIMIT 1", read_position,
                     ret_position);
}

enum status change_log_find(struct store_tx *tx, struct position *position)
{
    struct position found = {0};
    TRY(store_run(tx, "SELECT revision, change_id FROM change_log WHERE revision = $1", read_position, &found,
                  store_int(position->revision)));
    if (found.revision != position->revision)
        return position->revision == 0 ? STATUS_OK : STATUS_NOT_FOUND;
    *position = found;
    return STATUS_OK;
}

struct listing {
    change_each_fn *each;
    void *arg;
};

static enum status read_row(const struct store_row *from, void *arg)
{
    const struct listing *listing = arg;
    struct change_row row = {.position = {store_row_int(from, 0), store_row_int(from, 1)},
                             .kind = store_row_int(from, 2)};
    row.subject = store_row_blob(from, 3, &row.subject_len);
    return listing->each(&row, listing->arg);
}

enum status change_log_read(struct store_tx *tx, int64_t from, change_each_fn *each, void *arg)
{
    struct listing listing = {each, arg};
    return store_run(tx,
                     "SELECT revision, change_id, kind, subject FROM change_log WHERE revision >= $1 ORDER BY revision",
                     read_row, &listing, store_int(from));
}

enum status change_log_trim(struct store_tx *tx, int64_t before, int limit, int64_t *ret_removed)
{
    /* Of the oldest ones: up to the first that is not old. If all are, up to the last, which may be the log's last. */
    TRY(store_run(tx,
                  "DELETE FROM change_log WHERE revision < (SELECT"
                  " coalesce(min(CASE WHEN at > $1 THEN revision END), max(revision))"
                  " FROM (SELECT revision, at FROM change_log ORDER BY revision LIMIT $2) AS oldest)",
                  NULL, NULL, store_int(before), store_int(limit + 1)));
    return store_changes(tx, ret_removed);
}
