/* SPDX-License-Identifier: Apache-2.0 */
/* The orders in which credentials are listed, along indexes of the table `credential`. */
#ifndef RECORDS_CREDENTIAL_PLACE_H
#define RECORDS_CREDENTIAL_PLACE_H

#include "store/store.h"

/* The orders of a list. Where the values are equal, by id. */
enum credential_order {
    CREDENTIAL_BY_NAME, /* in small letters of ASCII */
    CREDENTIAL_BY_CREATION,
    CREDENTIAL_BY_EXPIRY, /* what never expires comes last, as INT64_MAX */
    CREDENTIAL_BY_USE,
};

/* A place in a list. */
struct credential_place {
    const char *name; /* of CREDENTIAL_BY_NAME; */
    int64_t value;    /* of the others */
    int64_t id;
};

/* The next `limit` ones, deleted ones too, after this place (NULL: from the beginning). A place lives until `each`
 * returns. */
typedef enum status credential_place_fn(const struct credential_place *place, void *arg);
enum status credential_place_walk(struct store_tx *tx, enum credential_order order, bool is_descending,
                                  const struct credential_place *after, int limit, credential_place_fn *each,
                                  void *arg);

/* The places of the one with this client ID, and of all of an owner, in no order. */
enum status credential_place_of(struct store_tx *tx, enum credential_order order, const char *client_id,
                                credential_place_fn *each, void *arg);
enum status credential_place_of_owner(struct store_tx *tx, enum credential_order order, const char *owner,
                                      credential_place_fn *each, void *arg);

#endif
