/* SPDX-License-Identifier: Apache-2.0 */
/* What a store is told of the database that it opens: the steps that make its schema, and its tables. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

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

/*
 * Step n makes version n of version n - 1. One that was released is never edited: the next one changes what it did.
 *
 * Programs of the version before run beside it, and may be started: a step that only adds what they need not know says
 * in `needs` the least version that a program must know. What they still use is taken away by a later step, when none
 * of them runs any more.
 */
struct store_step {
    const char *sql;
    int64_t needs; /* 0: its own */
};

struct store_schema {
    const struct store_step *steps;
    size_t steps_count;
    const struct store_table *tables; /* those that belong to the installation: a copy has all of their rows */
    size_t tables_count;
};

#endif
