/* SPDX-License-Identifier: Apache-2.0 */
/* What a store is told of the database that it opens: the steps that make its schema, and its tables. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <stddef.h>

enum { STORE_COLUMNS_MAX = 12 };

struct store_table {
    const char *name;
    size_t keys; /* the first of its columns are its key */
    size_t count;
    struct {
        const char *name;
        char type; /* i: BIGINT, t: TEXT, b: BLOB */
    } columns[STORE_COLUMNS_MAX];
};

struct store_schema {
    /* Step n makes version n of version n - 1. One that was released is never edited: the next one changes what it did.
     */
    const char *const *steps;
    size_t steps_count;
    const struct store_table *tables; /* those that belong to the installation: a copy has all of their rows */
    size_t tables_count;
};

#endif
