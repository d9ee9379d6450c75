/* SPDX-License-Identifier: Apache-2.0 */
/* The table `secret`: the secret keys of credentials, by which credential.h has those of one. */
#ifndef RECORDS_SECRET_H
#define RECORDS_SECRET_H

#include "records/credential.h"

/* A new secret key. `ends` and `used` move a known one. */
enum status secret_row_insert(struct store_tx *tx, int64_t credential_id, const struct credential_secret *secret);
enum status secret_row_end(struct store_tx *tx, int64_t id, int64_t ends, int64_t announce);
enum status secret_row_store_use(struct store_tx *tx, int64_t id, int64_t used);

/* Removes those that ended at `until` or before, at most `limit`. */
enum status secret_row_expire(struct store_tx *tx, int64_t until, int limit, int64_t *ret_removed);

/* As credential_row_mend does, of the `limit` next ones after *cursor, which is moved to the last of them; 0: that were
 * all. */
enum status secret_row_mend(struct store_tx *tx, int64_t latest, int64_t now, int limit, int64_t *cursor);

#endif
