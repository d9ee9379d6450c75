/* SPDX-License-Identifier: Apache-2.0 */
/* The columns `announce` of the tables `credential` and `secret`: when an end is told of next. */
#ifndef RECORDS_ANNOUNCEMENT_H
#define RECORDS_ANNOUNCEMENT_H

#include "rules/credential.h"
#include "rules/secret_text.h"
#include "store/store.h"

/* An end whose time to be told of has come. */
struct announcement {
    bool is_secret; /* of a secret key; else of a credential */
    int64_t id;     /* of the one or the other */
    char client_id[CLIENT_ID_LEN + 1];
    char hint[SECRET_HINT_LEN + 1]; /* of a secret key */
    int64_t ends;
    int64_t announce; /* since when it is to be told */
    bool is_deleted;  /* the credential */
};

/* Those that are due at `now`, the longest due first, at most `limit` of each kind, into `due`, which has room for
 * twice as many. */
enum status announcement_due(struct store_tx *tx, int64_t now, int limit, struct announcement *due, int *ret_count);

/* The next time is `next`. In the write in which it was due: nobody else has set another meanwhile. */
enum status announcement_move(struct store_tx *tx, const struct announcement *announcement, int64_t next);

#endif
