/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving an installation from one store to another, of any kind each.
 *
 * Each table is compared row by row in the order of its key, and the target gets what the source has: what is missing
 * is put in, what is different is replaced, what the source has no more is taken out. So a copy that was cut off is
 * simply made again, and one that was made while the source's daemon ran is brought up to date by another one, which
 * writes the difference only.
 *
 * The source is read as of one moment. Where a daemon runs on it, the target stays marked as unfinished: a daemon must
 * not start on it before a last copy was made with the source at rest. On SQLite the moment is a backup in a temporary
 * file, and where no daemon runs, none can be started meanwhile; on PostgreSQL each daemon says in the store that it is
 * there, and is looked for before the copy and after it. One that was silent for long was killed, or could not write:
 * it has time to speak again, for as long as others would wait for it, while the copy itself can write there.
 *
 * The mark is a row of table `instance`: absent in a database that is in use, which is never copied over.
 */
#ifndef STORE_COPY_H
#define STORE_COPY_H

#include "store/store.h"

/* In microseconds: a process that has said nothing in the store for so long serves no more. */
#define COPY_PROCESS_GONE INT64_C(180000000)

/* It speaks at least as often as its row in table `process` says; three times not: it is not there, or cannot write. */
enum { COPY_BEATS_MISSED = 3 };

enum { COPY_TABLES_MAX = 16 };

struct copy_options {
    const char *from, *to; /* addresses of stores */
    const struct store_schema *schema;
    /* NULL, or is called now and then; false: give it up (STATUS_CANCELLED). `doing`: "copying", … */
    bool (*progress)(void *arg, const char *doing, const char *table, int64_t done, int64_t total);
    void *arg;
};

struct copy_table {
    const char *name;
    int64_t rows;    /* the same number on both sides, and so is the digest: that was compared */
    uint64_t digest; /* of all rows, in the order of their keys */
    int64_t inserted, removed;
};

struct copy_result {
    bool is_source_used; /* a daemon runs on it, or may: this was not the last copy */
    struct copy_table tables[COPY_TABLES_MAX];
    size_t count;
};

/* Otherwise there is a sentence in `why`: what store_open says of either, STATUS_FAILED_PRECONDITION (the target has
 * something else in it, or is in use; the two differ at the end), STATUS_UNAVAILABLE, STATUS_CANCELLED. */
enum status store_copy(const struct copy_options *options, struct copy_result *ret_result, char why[256]);

/* A daemon takes the store into use: from then on it is no copy any more. *ret_was_copy: it was one until now, and a
 * new history begins. STATUS_FAILED_PRECONDITION: it is one that is not finished. */
enum status copy_claim(struct store *store, bool *ret_was_copy, char why[256]);

#endif
