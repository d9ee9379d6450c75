/* SPDX-License-Identifier: Apache-2.0 */
/* The table `credential_limit`: the limits of credentials' own, a row for each that is set, or that left a floor. */
#ifndef RECORDS_LIMIT_H
#define RECORDS_LIMIT_H

#include "rules/limits.h"
#include "store/store.h"

/* Those of one credential; none where it has none. */
enum status limit_row_load(struct store_tx *tx, int64_t credential_id, struct own_limits *ret_limits);

/* What has changed of them. */
enum status limit_row_save(struct store_tx *tx, int64_t credential_id, const struct own_limits *before,
                           const struct own_limits *next);

/* Of a credential that is purged. */
enum status limit_row_remove(struct store_tx *tx, int64_t credential_id);

/* Those of all credentials, by credential. */
typedef void limit_each_fn(int64_t credential_id, enum limit limit, const struct own_limit *own, void *arg);
enum status limit_row_list(struct store_tx *tx, limit_each_fn *each, void *arg);

/* Credentials that have a floor that was set later than `latest`; at most `limit`. */
enum status limit_row_floored(struct store_tx *tx, int64_t latest, int limit, int64_t *ids, int *ret_count);

#endif
