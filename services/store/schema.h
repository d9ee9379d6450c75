/* SPDX-License-Identifier: Apache-2.0 */
/* What a store is told of the database that it opens: the steps that make its schema, and its tables. */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORE_COLUMNS_MAX = 32 };

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

/*
 * What holds between rows, in the words of both databases. From step `since` on it holds for each row that is written;
 * with the step after it, for all: that one mends what an older fault has left, says so in the log, or refuses.
 * In two steps, because PostgreSQL then reads the rows while others write them.
 */
struct store_constraint {
    const char *name, *table;
    const char *definition; /* as ALTER TABLE … ADD CONSTRAINT has it */
    const char *broken;     /* counts the rows that break it */
    const char *mend;       /* deletes them; NULL: nobody can know what would be right */
    bool is_reference;
    int64_t since;
};

/* Each row of `table` names a row of `parent`. Nothing is deleted by it: the rows that name one are deleted before it,
 * in batches where there may be many, and an index finds them. */
#define STORE_REFERENCE(table, column, parent, key, since) \
    {table "_" column "_fk", \
     table, \
     "FOREIGN KEY (" column ") REFERENCES " parent " (" key ")", \
     "SELECT count(*) FROM " table STORE_WITHOUT_PARENT(table, column, parent, key), \
     "DELETE FROM " table STORE_WITHOUT_PARENT(table, column, parent, key), \
     true, \
     since}
#define STORE_WITHOUT_PARENT(table, column, parent, key) \
    " WHERE NOT EXISTS (SELECT 1 FROM " parent " AS parent WHERE parent." key " = " table "." column ")"
/* condition: of each row of `table`. */
#define STORE_CHECK(table, condition, since) \
    {table "_check", table, "CHECK (" condition ")", "SELECT count(*) FROM " table " WHERE NOT (" condition ")", NULL, \
     false,          since}

struct store_schema {
    const struct store_step *steps;
    size_t steps_count;
    const struct store_table *tables; /* those that belong to the installation: a copy has all of their rows */
    size_t tables_count;
    const struct store_constraint *constraints; /* of a table that others refer to, before theirs */
    size_t constraints_count;
};

#endif
