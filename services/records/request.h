/* SPDX-License-Identifier: Apache-2.0 */
/* The table `request`: what was made by requests that may be repeated. */
#ifndef RECORDS_REQUEST_H
#define RECORDS_REQUEST_H

#include "base/arena.h"
#include "base/crypto.h"
#include "store/store.h"

struct request_row {
    const char *id;
    const char *actor;
    const char *method;
    uint8_t digest[SHA256_BYTES]; /* of the request */
    const char *client_id;        /* what it made */
};

/* The row of `id` and `actor` in *row: the rest of it is set, in the arena. NOT_FOUND: there is none. */
enum status request_row_load(struct store_tx *tx, struct arena *arena, struct request_row *row);
enum status request_row_insert(struct store_tx *tx, const struct request_row *row, int64_t now);

/* No error where there is none. */
enum status request_row_remove(struct store_tx *tx, const char *actor, const char *id);

/* Removes those of `until` and before, at most `limit`. */
enum status request_row_expire(struct store_tx *tx, int64_t until, int limit, int64_t *ret_removed);

#endif
