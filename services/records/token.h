/* SPDX-License-Identifier: Apache-2.0 */
/* The table `token`: live tokens, and ended ones until they are reaped. */
#ifndef RECORDS_TOKEN_H
#define RECORDS_TOKEN_H

#include "rules/token.h"
#include "store/store.h"

/* A token as it is stored. */
struct token_row {
    struct token_key key;
    int64_t credential_id;
    int64_t epoch;
    int64_t last_used;
    bool is_narrowed;
    struct role_set roles;
    char last_api[257];
};

/* Inserts it if its credential is what was believed when the token was made: has this client ID, is not deleted, and
 * stands at this epoch. *ret_inserted is set at the latest when the transaction commits; 0: it was not. */
enum status token_row_insert(struct store_tx *tx, const struct token_row *row, const char *client_id,
                             int64_t *ret_inserted);

/* NOT_FOUND. */
enum status token_row_load(struct store_tx *tx, const struct token_key *key, struct token_row *ret_row);

/* The rows of those of these keys that have one, in no order, each once; PostgreSQL is asked once. A row lives until
 * `each` returns. */
typedef void token_loaded_fn(const struct token_row *row, void *arg);
enum status token_row_load_all(struct store_tx *tx, const struct token_key *keys, size_t count, token_loaded_fn *each,
                               void *arg);

/* Which of these keys, in the order of their bytes, have no row. PostgreSQL is asked once for each thousand. */
enum status token_row_find_missing(struct store_tx *tx, const struct token_key *keys, size_t count, bool *ret_missing);

/* No error where there is none. */
enum status token_row_remove(struct store_tx *tx, const struct token_key *key);

/* Other processes are not waited for. *ret_changed is set at the latest when the
 * transaction commits; 0: the row is not there, or another is changing it, or it has a later use already. */
struct token_use_row {
    struct token_key key;
    int64_t used;
    int64_t wrong_after; /* a last use later than this is replaced: it was dated by a clock that was wrong */
    const char *api;     /* NULL: its name is not known any more */
};
enum status token_row_store_use(struct store_tx *tx, const struct token_use_row *use, int64_t *ret_changed);

/* Those of one credential that are within their times; what a change of epoch would end. */
enum status token_row_count_live(struct store_tx *tx, int64_t credential_id, int64_t epoch,
                                 const struct token_limits *limits, int64_t *ret_count);

/* The same, but no further than to `most`. */
enum status token_row_count_up_to(struct store_tx *tx, int64_t credential_id, int64_t epoch,
                                  const struct token_limits *limits, int64_t most, int64_t *ret_count);

/* Those of every credential that are live now but would not be with `next`; but for those that have limits of their
 * own, which token_row_each_limited gives. */
enum status token_row_count_ended_by(struct store_tx *tx, const struct token_limits *now,
                                     const struct token_limits *next, int64_t at, int64_t *ret_tokens,
                                     int64_t *ret_credentials);
/* Whose they are: at most `limit` credentials, each once. */
typedef enum status token_credential_fn(int64_t credential_id, void *arg);
enum status token_row_list_ended_by(struct store_tx *tx, const struct token_limits *now,
                                    const struct token_limits *next, int64_t at, int limit, token_credential_fn *each,
                                    void *arg);

/* Live ones of a credential, newest first, after `before` (zero-filled: from the newest). */
typedef enum status token_each_fn(const struct token_row *row, void *arg);
enum status token_row_list(struct store_tx *tx, int64_t credential_id, int64_t epoch, const struct token_limits *limits,
                           const struct token_key *before, int limit, token_each_fn *each, void *arg);

/* Of all credentials: the `limit` next ones by key, each with its credential as the store has it, which may know more
 * of it than memory does. */
struct token_holder {
    bool is_missing; /* there is no such credential */
    int64_t epoch, expires, deleted, suspended;
    struct own_limits limits; /* of its tokens' times */
};
typedef enum status token_page_fn(const struct token_row *row, const struct token_holder *holder, void *arg);
/* In the order of their keys, behind `after` (NULL: from the first), at most `limit`. */
enum status token_row_page(struct store_tx *tx, const struct token_key *after, int limit, token_page_fn *each,
                           void *arg);

/* Of all credentials that have limits of their own on their tokens' times, live or not; by credential. */
enum status token_row_each_limited(struct store_tx *tx, token_page_fn *each, void *arg);

/* A last use later than `latest` was dated by a clock that was wrong, and becomes that. */
enum status token_row_lower_use(struct store_tx *tx, const struct token_key *key, int64_t latest);

#endif
