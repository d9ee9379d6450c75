/* SPDX-License-Identifier: Apache-2.0 */
#include "records/limit.h"

#include "records/list.h"

#include <stdio.h>
#include <string.h>

#define LIMIT_COLUMNS "credential, kind, value, observed, floor, floor_set, seen, first_seen, last_seen"

struct listing {
    limit_each_fn *each;
    void *arg;
};

static enum status read_limit(const struct store_row *row, void *arg)
{
    const struct listing *listing = arg;
    int64_t kind = store_row_int(row, 1);
    if (kind < 0 || kind >= LIMITS) /* a later program's */
        return STATUS_OK;
    const struct limit_row limit = {
        .credential_id = store_row_int(row, 0),
        .limit = (enum limit)kind,
        .own = {.value = store_row_int(row, 2),
                .is_observed = store_row_int(row, 3) != 0,
                .floor = store_row_int(row, 4),
                .floor_set = store_row_int(row, 5)},
        .seen = {store_row_int(row, 6), store_row_int(row, 7), store_row_int(row, 8)},
    };
    listing->each(&limit, listing->arg);
    return STATUS_OK;
}

enum status limit_row_load(struct store_tx *tx, struct store_value ids, limit_each_fn *each, void *arg)
{
    struct listing listing = {each, arg};
    return store_run_by(tx,
                        LIST_SQL_IDS(tx, "SELECT " LIMIT_COLUMNS " FROM credential_limit WHERE credential", "$1", ""),
                        read_limit, &listing, ids);
}

enum status limit_row_list(struct store_tx *tx, limit_each_fn *each, void *arg)
{
    struct listing listing = {each, arg};
    return store_run(tx, "SELECT " LIMIT_COLUMNS " FROM credential_limit ORDER BY credential", read_limit, &listing);
}

enum status limit_row_add_seen(struct store_tx *tx, int64_t credential_id, enum limit limit,
                               const struct limit_seen *seen)
{
    return store_send(tx,
                      "UPDATE credential_limit SET seen = seen + $1,"
                      " first_seen = CASE WHEN first_seen = 0 THEN $2 ELSE first_seen END, last_seen = $3"
                      " WHERE credential = $4 AND kind = $5 AND observed = 1",
                      store_int(seen->count), store_int(seen->first), store_int(seen->last), store_int(credential_id),
                      store_int(limit));
}

struct telling {
    limit_telling_fn *each;
    void *arg;
};

static enum status read_telling(const struct store_row *row, void *arg)
{
    const struct telling *telling = arg;
    struct limit_telling one = {.credential_id = store_row_int(row, 0),
                                .limit = (enum limit)store_row_int(row, 1),
                                .value = store_row_int(row, 2),
                                .count = store_row_int(row, 3)};
    snprintf(one.client_id, sizeof one.client_id, "%s", store_row_text(row, 4));
    telling->each(&one, telling->arg);
    return STATUS_OK;
}

enum status limit_row_untold(struct store_tx *tx, struct store_value ids, int64_t since, int64_t now,
                             limit_telling_fn *each, void *arg)
{
    struct telling telling = {each, arg};
    return store_run_by(tx,
                        LIST_SQL_IDS(tx,
                                     "SELECT l.credential, l.kind, l.value, l.seen, c.client_id FROM credential_limit l"
                                     " JOIN credential c ON c.id = l.credential"
                                     " WHERE l.observed = 1 AND (l.told <= $1 OR l.told > $2) AND l.credential",
                                     "$3", ""),
                        read_telling, &telling, store_int(since), store_int(now + CLOCK_TOLERANCE), ids);
}

enum status limit_row_told(struct store_tx *tx, int64_t credential_id, enum limit limit, int64_t now)
{
    return store_send(tx, "UPDATE credential_limit SET told = $1 WHERE credential = $2 AND kind = $3", store_int(now),
                      store_int(credential_id), store_int(limit));
}

static bool is_same(const struct own_limit *a, const struct own_limit *b)
{
    return a->value == b->value && a->is_observed == b->is_observed && a->floor == b->floor &&
           a->floor_set == b->floor_set;
}

static enum status save_one(struct store_tx *tx, int64_t credential_id, enum limit limit, const struct own_limit *own)
{
    if (own->value == 0 && own->floor == 0)
        return store_run(tx, "DELETE FROM credential_limit WHERE credential = $1 AND kind = $2", NULL, NULL,
                         store_int(credential_id), store_int(limit));
    return store_run(tx,
                     "INSERT INTO credential_limit (credential, kind, value, observed, floor, floor_set)"
                     " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (credential, kind) DO UPDATE SET"
                     " value = excluded.value, observed = excluded.observed, floor = excluded.floor,"
                     " floor_set = excluded.floor_set, seen = 0, first_seen = 0, last_seen = 0, told = 0",
                     NULL, NULL, store_int(credential_id), store_int(limit), store_int(own->value),
                     store_int(own->is_observed), store_int(own->floor), store_int(own->floor_set));
}

enum status limit_row_save(struct store_tx *tx, int64_t credential_id, const struct own_limits *before,
                           const struct own_limits *next)
{
    for (enum limit i = 0; i < LIMITS; i++)
        if (!is_same(&before->of[i], &next->of[i]))
            TRY(save_one(tx, credential_id, i, &next->of[i]));
    return STATUS_OK;
}

enum status limit_row_remove(struct store_tx *tx, int64_t credential_id)
{
    return store_run(tx, "DELETE FROM credential_limit WHERE credential = $1", NULL, NULL, store_int(credential_id));
}

struct floored {
    int64_t *ids;
    int count;
};

static enum status read_floored(const struct store_row *row, void *arg)
{
    struct floored *floored = arg;
    int64_t id = store_row_int(row, 0);
    if (floored->count == 0 || floored->ids[floored->count - 1] != id)
        floored->ids[floored->count++] = id;
    return STATUS_OK;
}

enum status limit_row_floored(struct store_tx *tx, int64_t latest, int limit, int64_t *ids, int *ret_count)
{
    struct floored floored = {ids, 0};
    TRY(store_run(tx,
                  "SELECT credential FROM credential_limit WHERE floor_set <> 0 AND floor_set > $1"
                  " ORDER BY floor_set, credential LIMIT $2",
                  read_floored, &floored, store_int(latest), store_int(limit)));
    *ret_count = floored.count;
    return STATUS_OK;
}
