/* SPDX-License-Identifier: Apache-2.0 */
#include "records/request.h"

#include <string.h>

struct loading {
    struct arena *arena;
    struct request_row *row;
    bool is_found;
};

static enum status read_row(const struct store_row *from, void *arg)
{
    struct loading *loading = arg;
    struct request_row *row = loading->row;
    size_t digest_len = 0, len = 0;
    const void *digest = store_row_blob(from, 1, &digest_len), *client_id = store_row_blob(from, 2, &len);
    if (digest_len != SHA256_BYTES)
        return STATUS_INTERNAL;
    loading->is_found = true;
    row->method = arena_text(loading->arena, store_row_text(from, 0));
    memcpy(row->digest, digest, SHA256_BYTES);
    row->client_id = arena_format(loading->arena, "%.*s", (int)len, (const char *)client_id);
    return STATUS_OK;
}

enum status request_row_load(struct store_tx *tx, struct arena *arena, struct request_row *row)
{
    struct loading loading = {arena, row, false};
    TRY(store_run(tx, "SELECT method, digest, response FROM request WHERE actor = $1 AND id = $2", read_row, &loading,
                  store_text(row->actor), store_text(row->id)));
    return loading.is_found ? STATUS_OK : STATUS_NOT_FOUND;
}

enum status request_row_insert(struct store_tx *tx, const struct request_row *row, int64_t now)
{
    return store_run(
        tx, "INSERT INTO request (id, actor, method, digest, response, at) VALUES ($1, $2, $3, $4, $5, $6)", NULL, NULL,
        store_text(row->id), store_text(row->actor), store_text(row->method), store_blob(row->digest, SHA256_BYTES),
        store_blob(row->client_id, strlen(row->client_id)), store_int(now));
}

enum status request_row_remove(struct store_tx *tx, const char *actor, const char *id)
{
    return store_send(tx, "DELETE FROM request WHERE actor = $1 AND id = $2", store_text(actor), store_text(id));
}

enum status request_row_expire(struct store_tx *tx, int64_t until, int limit, int64_t *ret_removed)
{
    const char *sql = STORE_SQL_BY(tx,
                                   "DELETE FROM request WHERE rowid IN"
                                   " (SELECT rowid FROM request WHERE at <= $1 ORDER BY at LIMIT $2)",
                                   "DELETE FROM request WHERE ctid = ANY (ARRAY"
                                   " (SELECT ctid FROM request WHERE at <= $1 ORDER BY at LIMIT $2))");
    TRY(store_run_by(tx, sql, NULL, NULL, store_int(until), store_int(limit)));
    return store_changes(tx, ret_removed);
}
