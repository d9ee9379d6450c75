/* SPDX-License-Identifier: Apache-2.0 */
/* Brings a database to the version of a schema. The table schema_version says which steps were made. */
#ifndef STORE_MIGRATIONS_H
#define STORE_MIGRATIONS_H

#include "store/driver.h"
#include "store/schema.h"

/* Makes the steps that are missing, each in one transaction, one process at a time, however long that takes. Where none
 * is missing, nothing is asked for but to read. A database with more steps than this program knows, of which one needs
 * a newer program, is STATUS_FAILED_PRECONDITION, and untouched. */
enum status migrations_apply(struct connection *connection, const struct store_schema *schema, char why[STORE_WHY_MAX]);

struct migration_word {
    const char *from;
    const char *to;
};

/* The text with each `from` replaced, in the order of the list, which ends with {NULL, NULL}. The caller frees it;
 * NULL: out of memory. */
char *migration_translate(const char *sql, const struct migration_word *words);

#endif
