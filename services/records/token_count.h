/* SPDX-License-Identifier: Apache-2.0 */
/* The table `token_count`: how many live tokens a credential has at most, where there is a limit: it spares counting
 * them at each issue, and whatever is in doubt is counted again. And how many it was issued lately, where that is
 * limited. */
#ifndef RECORDS_TOKEN_COUNT_H
#define RECORDS_TOKEN_COUNT_H

#include "store/store.h"

/* More than any limit, and not counted further: when one of them ends, they are counted again. */
#define TOKEN_COUNT_MANY INT64_C(1000000000)

struct token_count_row {
    int64_t credential_id;
    int64_t epoch;   /* of the tokens that were counted */
    int64_t version; /* of the settings and the credential, by whose limits they lived */
    int64_t live;    /* of those that were there then, and came since; some may have ended by themselves */
    int64_t counted; /* when */
    int64_t turn;    /* until when the tokens that it may be issued in an hour are taken: see domain/issue.c */
};

/* NOT_FOUND: they were not counted; `turn` is set all the same. */
enum status token_count_row_load(struct store_tx *tx, int64_t credential_id, struct token_count_row *ret_row);
/* All but `turn`. */
enum status token_count_row_save(struct store_tx *tx, const struct token_count_row *row);

/* That alone, where a token of this epoch can be issued, as token_row_insert does it: nobody's turn is taken otherwise.
 */
enum status token_count_row_save_turn(struct store_tx *tx, int64_t credential_id, int64_t epoch, int64_t turn);

/* One more (1), one less (-1), if it counts tokens of this epoch. */
enum status token_count_row_add(struct store_tx *tx, int64_t credential_id, int64_t epoch, int64_t change);

/* Of a credential that is purged. */
enum status token_count_row_remove(struct store_tx *tx, int64_t credential_id);

#endif
