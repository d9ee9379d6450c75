/* SPDX-License-Identifier: Apache-2.0 */
/* The table `credential_limit`: the limits of credentials' own, a row for each that is set, or that left a floor. */
#ifndef RECORDS_LIMIT_H
#define RECORDS_LIMIT_H

#include "rules/credential.h"
#include "store/store.h"

/* What one that is only observed would have ended or refused, since it is. */
struct limit_seen {
    int64_t count, first, last; /* times; 0: never */
};

struct limit_row {
    int64_t credential_id;
    enum limit limit;
    struct own_limit own;
    struct limit_seen seen;
};
typedef void limit_each_fn(const struct limit_row *row, void *arg);

/* Those of these credentials, in no order; `ids` is from list_of_ids. */
enum status limit_row_load(struct store_tx *tx, struct store_value ids, limit_each_fn *each, void *arg);

/* Those of all credentials, by credential. */
enum status limit_row_list(struct store_tx *tx, limit_each_fn *each, void *arg);

/* What has changed of them; what was seen of those that have is forgotten. */
enum status limit_row_save(struct store_tx *tx, int64_t credential_id, const struct own_limits *before,
                           const struct own_limits *next);

/* Adds to what was seen, if it is observed (still). */
enum status limit_row_add_seen(struct store_tx *tx, int64_t credential_id, enum limit limit,
                               const struct limit_seen *seen);
/* One that has seen something, and for long has not said so. */
struct limit_telling {
    int64_t credential_id;
    enum limit limit;
    char client_id[CLIENT_ID_LEN + 1];
    int64_t value, count;
};
/* The observed limits of these credentials (list_of_ids) that were told last at `since` or before, or are dated later
 * than now; in no order. */
typedef void limit_telling_fn(const struct limit_telling *telling, void *arg);
enum status limit_row_untold(struct store_tx *tx, struct store_value ids, int64_t since, int64_t now,
                             limit_telling_fn *each, void *arg);
/* It is told. */
enum status limit_row_told(struct store_tx *tx, int64_t credential_id, enum limit limit, int64_t now);

/* Of a credential that is purged. */
enum status limit_row_remove(struct store_tx *tx, int64_t credential_id);

/* Credentials that have a floor that was set later than `latest`; at most `limit`. */
enum status limit_row_floored(struct store_tx *tx, int64_t latest, int limit, int64_t *ids, int *ret_count);

#endif
