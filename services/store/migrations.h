/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema, as the steps that lead to it. Step n makes version n of version n - 1; the table schema_version says
 * which were made. A step that was released is never edited: the next one changes what it did.
 *
 * The texts are written for every backend. What differs, the driver replaces:
 *
 *     BLOB                            BYTEA in PostgreSQL
 *     BIGINT                          INTEGER in SQLite, whose primary key then is the row's own number
 *     / * table * /                   STRICT in SQLite, after the closing parenthesis of every table
 *     / * table in order of its key * /  STRICT, WITHOUT ROWID: the rows stand in the key's own tree
 */
#ifndef STORE_MIGRATIONS_H
#define STORE_MIGRATIONS_H

#include "store/driver.h"

extern const char *const migrations[];
extern const size_t migrations_count;

/* Brings the schema up to date, each step in one transaction. A database with more steps than this program knows is
 * STATUS_FAILED_PRECONDITION, and untouched. */
enum status migrations_apply(struct connection *connection, char why[STORE_WHY_MAX]);

struct migration_word {
    const char *from;
    const char *to;
};

/* The text with each `from` replaced, in the order of the list, which ends with {NULL, NULL}. The caller frees it;
 * NULL: out of memory. */
char *migration_translate(const char *sql, const struct migration_word *words);

#endif
