/* SPDX-License-Identifier: Apache-2.0 */
#include "records/usage.h"

#include "records/list.h"
#include "records/pattern.h"

enum status usage_row_add(struct store_tx *tx, const struct usage_delta *delta, const char *api)
{
    return store_send(tx,
                      "INSERT INTO usage (credential, api, hour, allowed, denied, observed, first_used, last_used)"
                      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (credential, api, hour) DO UPDATE SET"
                      " allowed = usage.allowed + excluded.allowed, denied = usage.denied + excluded.denied,"
                      " observed = usage.observed + excluded.observed,"
                      " first_used = CASE WHEN excluded.first_used < usage.first_used THEN excluded.first_used"
                      " ELSE usage.first_used END,"
                      " last_used = CASE WHEN excluded.last_used > usage.last_used THEN excluded.last_used"
                      " ELSE usage.last_used END",
                      store_int(delta->credential_id), store_text(api), store_int(delta->hour),
                      store_int(delta->allowed), store_int(delta->denied), store_int(delta->observed),
                      store_int(delta->first_used), store_int(delta->last_used));
}

enum status usage_row_expire(struct store_tx *tx, int64_t before, int limit, int64_t *ret_removed)
{
    const char *sql = STORE_SQL_BY(tx,
                                   "DELETE FROM usage WHERE (credential, api, hour) IN (SELECT credential, api, hour"
                                   " FROM usage WHERE hour < $1 ORDER BY hour LIMIT $2)",
                                   "DELETE FROM usage WHERE ctid = ANY (ARRAY"
                                   " (SELECT ctid FROM usage WHERE hour < $1 ORDER BY hour LIMIT $2))");
    TRY(store_run_by(tx, sql, NULL, NULL, store_int(before), store_int(limit)));
    return store_changes(tx, ret_removed);
}

enum status usage_row_remove(struct store_tx *tx, int64_t credential_id, int limit, int64_t *ret_removed)
{
    const char *sql = STORE_SQL_BY(tx,
                                   "DELETE FROM usage WHERE (credential, api, hour) IN"
                                   " (SELECT credential, api, hour FROM usage WHERE credential = $1 LIMIT $2)",
                                   "DELETE FROM usage WHERE ctid = ANY (ARRAY"
                                   " (SELECT ctid FROM usage WHERE credential = $1 LIMIT $2))");
    TRY(store_run_by(tx, sql, NULL, NULL, store_int(credential_id), store_int(limit)));
    return store_changes(tx, ret_removed);
}

struct querying {
    usage_each_fn *each;
    void *arg;
};

static enum status read_total(const struct store_row *row, void *arg)
{
    struct querying *querying = arg;
    struct usage_total total = {
        .credential_id = store_row_int(row, 0),
        .api = store_row_text(row, 1),
        .start = store_row_int(row, 2),
        .allowed = store_row_int(row, 3),
        .denied = store_row_int(row, 4),
        .observed = store_row_int(row, 5),
        .first_used = store_row_int(row, 6),
        .last_used = store_row_int(row, 7),
    };
    return querying->each(&total, querying->arg);
}

/* The totals of rows, of those credentials that `where` chooses by $9 (parameters are numbered as they appear). Those
 * of Gatehouse's own methods only where they are asked for. */
#define TOTALS(where) \
    "SELECT g_credential, g_api, g_start, CAST(sum(allowed) AS BIGINT), CAST(sum(denied) AS BIGINT)," \
    " CAST(sum(observed) AS BIGINT), min(first_used), max(last_used) FROM (SELECT CASE WHEN $1 = 1 THEN credential " \
    "ELSE 0 END AS g_credential," \
    " CASE WHEN $2 = 1 THEN api ELSE '' END AS g_api, hour - hour % $3 AS g_start, allowed, denied, observed," \
    " first_used, last_used FROM usage WHERE ($4 = '' OR api = $4) AND hour >= $5 AND hour < $6" \
    " AND ($7 = '%%' OR lower(api) LIKE $7 ESCAPE '\\') AND ($8 = 1 OR api NOT LIKE '/gatehouse.v1.%') AND " where \
    ") AS rows GROUP BY g_credential, g_api, g_start ORDER BY CASE WHEN $10 = 1 THEN -sum(allowed + denied)" \
    " WHEN $10 = 2 THEN -sum(denied) WHEN $10 = 3 THEN -max(last_used) WHEN $10 = 4 THEN -sum(observed)" \
    " ELSE 0 END," \
    " g_start, g_credential, g_api LIMIT $11 OFFSET $12"

enum status usage_row_query(struct store_tx *tx, const struct usage_query *query, usage_each_fn *each, void *arg)
{
    struct querying querying = {each, arg};
    char pattern[2 * PATTERN_TEXT_MAX + 3];
    const char *sql = query->credential_count == 0   ? STORE_SQL(TOTALS("$9 = 0"))
                      : query->credential_count == 1 ? STORE_SQL(TOTALS("credential = $9"))
                                                     : STORE_SQL_BY(tx, TOTALS("credential" LIST_SQLITE("$9")),
                                                                    TOTALS("credential" LIST_POSTGRES_IDS("$9")));
    struct arena arena = {0};
    struct store_value ids = query->credential_count > 1
                                 ? list_of_ids(tx, &arena, query->credentials, query->credential_count)
                                 : store_int(query->credential_count == 1 ? query->credentials[0] : 0);
    pattern_make(query->contains, pattern);
    enum status status = store_run_by(
        tx, sql, read_total, &querying, store_int(query->by_credential), store_int(query->by_api),
        store_int(query->period == 0 ? INT64_MAX : query->period), store_text(query->api), store_int(query->start),
        store_int(query->end), store_text(pattern), store_int(query->has_internal || query->api[0] != '\0'), ids,
        store_int(query->order), store_int(query->limit), store_int(query->offset));
    arena_done(&arena);
    return status;
}
