/* SPDX-License-Identifier: Apache-2.0 */
#include "records/secret.h"

enum status secret_row_insert(struct store_tx *tx, int64_t credential_id, const struct credential_secret *secret)
{
    return store_run(tx,
                     "INSERT INTO secret (id, credential, digest, hint, created, ends, last_used)"
                     " VALUES ($1, $2, $3, $4, $5, 0, 0)",
                     NULL, NULL, store_int(secret->id), store_int(credential_id),
                     store_blob(secret->digest, SHA256_BYTES), store_text(secret->hint), store_int(secret->created));
}

enum status secret_row_end(struct store_tx *tx, int64_t id, int64_t ends, int64_t announce)
{
    return store_run(tx, "UPDATE secret SET ends = $1, announce = $2 WHERE id = $3", NULL, NULL, store_int(ends),
                     store_int(announce), store_int(id));
}

enum status secret_row_store_use(struct store_tx *tx, int64_t id, int64_t used)
{
    return store_send(tx, "UPDATE secret SET last_used = $1 WHERE id = $2 AND last_used < $1", store_int(used),
                      store_int(id));
}

enum status secret_row_expire(struct store_tx *tx, int64_t until, int limit, int64_t *ret_removed)
{
    const char *sql = STORE_SQL_BY(tx,
                                   "DELETE FROM secret WHERE id IN"
                                   " (SELECT id FROM secret WHERE ends <> 0 AND ends <= $1 ORDER BY ends LIMIT $2)",
                                   "DELETE FROM secret WHERE ctid = ANY (ARRAY"
                                   " (SELECT ctid FROM secret WHERE ends <> 0 AND ends <= $1 ORDER BY ends LIMIT $2))");
    TRY(store_run_by(tx, sql, NULL, NULL, store_int(until), store_int(limit)));
    return store_changes(tx, ret_removed);
}

enum status secret_row_mend(struct store_tx *tx, int64_t latest, int64_t now, int limit, int64_t *cursor)
{
    int64_t last = 0;
    TRY(store_run(tx, "SELECT max(id) FROM (SELECT id FROM secret WHERE id > $1 ORDER BY id LIMIT $2) AS page",
                  store_read_int, &last, store_int(*cursor), store_int(limit)));
    TRY(store_run(tx, "UPDATE secret SET last_used = $1 WHERE id > $2 AND id <= $3 AND last_used > $4", NULL, NULL,
                  store_int(now), store_int(*cursor), store_int(last), store_int(latest)));
    *cursor = last;
    return STATUS_OK;
}
