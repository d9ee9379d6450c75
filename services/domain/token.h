/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: when one is active, and its row in the store. */
#ifndef DOMAIN_TOKEN_H
#define DOMAIN_TOKEN_H

#include "domain/token_table.h"
#include "domain/work.h"

/* The one function that decides, for every surface. Under the directory's lock. */
bool token_is_active(const struct token_facts *token, const struct credential_facts *credential,
                     const struct token_limits *limits, int64_t now);

/* When it dies if it is not used again. */
int64_t token_expires(const struct token_facts *token, const struct credential_facts *credential,
                      const struct settings *settings);

/* What it carries. */
struct role_set token_roles(const struct token_facts *token, const struct credential_facts *credential);

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
enum status token_insert(struct store_tx *tx, const struct token_row *row, const char *client_id,
                         int64_t *ret_inserted);

/* NOT_FOUND. */
enum status token_load(struct store_tx *tx, const struct token_key *key, struct token_row *ret_row);

/* Ends it for good. Sets *ret_live: it was live until now, as far as the store knows of its uses. A token that the
 * store does not have may be in somebody's memory nevertheless: it is ended there, too, and that is no error. */
enum status token_end(struct work *work, const struct token_key *key, bool *ret_live);

/* is_shared: other processes write to the store, and are not waited for. *ret_changed is set at the latest when the
 * transaction commits; 0: the row is not there, or another is changing it, or it has a later use already. */
struct token_use_row {
    struct token_key key;
    int64_t used;
    int64_t wrong_after; /* a last use later than this is replaced: it was dated by a clock that was wrong */
    const char *api;
};
enum status token_store_use(struct store_tx *tx, bool is_shared, const struct token_use_row *use, int64_t *ret_changed);

/* Those of one credential that are within their times; what a change of epoch would end. */
enum status token_count_live(struct store_tx *tx, int64_t credential_id, int64_t epoch,
                             const struct token_limits *limits, int64_t *ret_count);

/* Those of every credential that are live now but would not be with `next`. */
enum status token_count_ended_by(struct store_tx *tx, const struct token_limits *now, const struct token_limits *next,
                                 int64_t at, int64_t *ret_tokens, int64_t *ret_credentials);

/* Live ones of a credential, newest first, after `before` (zero-filled: from the newest). */
typedef enum status token_each_fn(const struct token_row *row, void *arg);
enum status token_list(struct store_tx *tx, int64_t credential_id, int64_t epoch, const struct token_limits *limits,
                       const struct token_key *before, int limit, token_each_fn *each, void *arg);

/* Looks at up to `limit` rows from *cursor on and removes those that were dead at `at` already, as the store has their
 * credentials and `limits`, except those of which memory knows a later use; moves the cursor, to zero at the end. A
 * last use later than `latest` is set to that: a clock that was wrong noted it. What was removed is to be removed from
 * memory, too, after the commit. */
struct token_reaping {
    struct token_table *tokens;
    struct token_limits limits;
    int64_t at, latest;
    struct token_key cursor;
    struct token_key *removed; /* of the arena; set by token_reap */
    int seen, removed_count;
};
enum status token_reap(struct store_tx *tx, struct arena *arena, struct token_reaping *reaping, int limit);

#endif
