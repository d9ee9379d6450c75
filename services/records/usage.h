/* SPDX-License-Identifier: Apache-2.0 */
/* The table `usage`: a row a credential, API and hour. */
#ifndef RECORDS_USAGE_H
#define RECORDS_USAGE_H

#include "rules/usage.h"
#include "store/store.h"

#include <stdbool.h>

/* Adds it to the row of (credential, api, hour). */
enum status usage_row_add(struct store_tx *tx, const struct usage_delta *delta, const char *api);

/* Removes rows of hours before `before`, the oldest first, at most `limit`. */
enum status usage_row_expire(struct store_tx *tx, int64_t before, int limit, int64_t *ret_removed);

/* Those of one credential, which is purged; at most `limit`. */
enum status usage_row_remove(struct store_tx *tx, int64_t credential_id, int limit, int64_t *ret_removed);

enum usage_order { USAGE_BY_GROUP, USAGE_BY_CALLS, USAGE_BY_REFUSED, USAGE_BY_LAST_USE, USAGE_BY_OBSERVED };

struct usage_query {
    const int64_t *credentials; /* of these */
    size_t credential_count;    /* 0: of all */
    const char *api;            /* "": all */
    const char *contains;       /* a part of its name, in any letter case of ASCII; NULL, "": all */
    bool has_internal;          /* calls of Gatehouse itself, too */
    int64_t start, end;         /* hours that begin in [start, end) */
    bool by_credential, by_api;
    int64_t period; /* 0: not by time; else an hour or a day */
    enum usage_order order;
    int64_t offset, limit;
};

struct usage_total {
    int64_t credential_id;
    const char *api;
    int64_t start;
    int64_t allowed, denied, observed, first_used, last_used;
};

/* Totals by whatever the query groups by, in its order. */
typedef enum status usage_each_fn(const struct usage_total *total, void *arg);
enum status usage_row_query(struct store_tx *tx, const struct usage_query *query, usage_each_fn *each, void *arg);

#endif
