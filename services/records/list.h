/* SPDX-License-Identifier: Apache-2.0 */
/* A list of values as one parameter of a statement: so many rows are asked for at once, however many they are. */
#ifndef RECORDS_LIST_H
#define RECORDS_LIST_H

#include "base/arena.h"
#include "store/store.h"

/* The text of the list, as the statement's backend reads it; it is the arena's. An empty list has no values. */
struct store_value list_of_ids(struct store_tx *tx, struct arena *arena, const int64_t *ids, size_t count);
struct store_value list_of_texts(struct store_tx *tx, struct arena *arena, const char *const *texts, size_t count);

/* What stands behind a column that is to be one of the list that a parameter ("$1") is. */
#define LIST_SQLITE(parameter) " IN (SELECT value FROM json_each(" parameter "))"
#define LIST_POSTGRES_IDS(parameter) " = ANY (CAST(" parameter " AS BIGINT[]))"
#define LIST_POSTGRES_TEXTS(parameter) " = ANY (CAST(" parameter " AS TEXT[]))"

/* A statement in two pieces around such a place. */
#define LIST_SQL_IDS(tx, before, parameter, after) \
    STORE_SQL_BY(tx, before LIST_SQLITE(parameter) after, before LIST_POSTGRES_IDS(parameter) after)
#define LIST_SQL_TEXTS(tx, before, parameter, after) \
    STORE_SQL_BY(tx, before LIST_SQLITE(parameter) after, before LIST_POSTGRES_TEXTS(parameter) after)

#endif
