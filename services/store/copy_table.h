/* SPDX-License-Identifier: Apache-2.0 */
/* One table of two stores, walked through on both sides at once in the order of its key. */
#ifndef STORE_COPY_TABLE_H
#define STORE_COPY_TABLE_H

#include "store/copy.h"
#include "store/schema.h"

/* A table's statements. They must outlive the stores that ran them: their addresses name them there. */
struct plan {
    const struct store_table *table;
    char *first, *next, *insert, *insert_many, *remove, *total;
};
enum { MANY_ROWS = 5 }; /* of insert_many: a statement has at most so many times STORE_COLUMNS_MAX values */
enum status plan_init(struct plan *plan, const struct store_table *table);
void plan_done(struct plan *plan);

/* The rows of a copy come in no order that would suit what refers to them. PostgreSQL's references are taken away
 * before it, and put back at its end, which fails where a row breaks one. SQLite's do not count in a store that was
 * opened unchecked. */
enum status references_lift(struct store_tx *tx, const struct store_schema *schema);
enum status references_restore(struct store_tx *tx, const struct store_schema *schema);

/* Where rows are read. */
struct side {
    struct store *store;
    struct store_tx *tx; /* if set: in this transaction, otherwise in one for each page */
};
/* fn in the side's own transaction, or in one that is made for it. */
enum status side_read(const struct side *side, store_fn *fn, void *arg);

struct row {
    struct store_value values[STORE_COLUMNS_MAX];
};

enum difference { ROW_MISSING, ROW_DIFFERENT, ROW_EXTRA, ROW_SAME };

/* Of the two rows NULL is the one that is not there. */
typedef enum status visit_fn(void *arg, enum difference difference, const struct row *from, const struct row *to);

/* only_to: ends with the last row of `to`. Rows live as long as the call of `visit`. STATUS_FAILED_PRECONDITION: a side
 * does not give them in the order of their bytes. */
enum status table_walk(const struct plan *plan, const struct side *from, const struct side *to, bool only_to,
                       visit_fn *visit, void *arg);

/* Rows that wait to be written together. */
#ifndef COPY_BATCH_ROWS /* the simulator has fewer, so that few rows make several batches */
#define COPY_BATCH_ROWS 1000
#endif
enum { BATCH_ROWS = COPY_BATCH_ROWS };
struct batch {
    struct row rows[BATCH_ROWS];
    size_t count;
};
void batch_add(struct batch *batch, const struct store_table *table, const struct row *row); /* copies it */
/* Frees what it has copied. */
void batch_clear(struct batch *batch, const struct store_table *table);

/* Continues a digest; begin with DIGEST_START. */
#define DIGEST_START UINT64_C(0xcbf29ce484222325)
uint64_t row_digest(uint64_t digest, const struct store_table *table, const struct row *row);

#endif
