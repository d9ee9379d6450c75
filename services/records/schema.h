/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema, as the steps that lead to it, and its tables as a copy walks through them (store/schema.h). A new column
 * is a step and a line of its table, both in schema.c.
 *
 * The texts are written for every backend. What differs, the driver replaces:
 *
 *     BLOB                            BYTEA in PostgreSQL
 *     BIGINT                          INTEGER in SQLite, whose primary key then is the row's own number
 *     / * table * /                   STRICT in SQLite, after the closing parenthesis of every table
 *     / * table in order of its key * /  STRICT, WITHOUT ROWID: the rows stand in the key's own tree
 */
#ifndef RECORDS_SCHEMA_H
#define RECORDS_SCHEMA_H

#include "store/schema.h"
#include "store/store.h"

extern const struct store_schema records_schema;

/* How many of the steps were made. */
enum status schema_row_count(struct store_tx *tx, int64_t *ret_steps);

#endif
