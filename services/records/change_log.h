/* SPDX-License-Identifier: Apache-2.0 */
/* The table `change_log`: what every process of the store must hear of (rules/change.h), by revision and in one piece.
 */
#ifndef RECORDS_CHANGE_LOG_H
#define RECORDS_CHANGE_LOG_H

#include "rules/change.h"
#include "store/store.h"

/* One row. What it points to lives until the function that it is given to returns. */
struct change_row {
    struct position position;
    int64_t kind; /* enum change_kind, or what a newer program may write */
    const void *subject;
    size_t subject_len;
};

/* Takes the next revision: what is appended in this transaction then has it. */
enum status change_log_next(struct store_tx *tx, int64_t *ret_revision);

/* The last one that was taken; 0: none. */
enum status change_log_revision(struct store_tx *tx, int64_t *ret_revision);

/* Appends it, and wakes who follows. */
enum status change_log_append(struct store_tx *tx, const struct change_row *row, int64_t now);

/* The last change; revision 0: the log is empty. */
enum status change_log_last(struct store_tx *tx, struct position *ret_position);

/* The change of position->revision: sets the change id that it has. NOT_FOUND: there is none. */
enum status change_log_find(struct store_tx *tx, struct position *position);

/* From this revision on, in order. */
typedef enum status change_each_fn(const struct change_row *row, void *arg);
enum status change_log_read(struct store_tx *tx, int64_t from, change_each_fn *each, void *arg);

/* Old changes, at most `limit`, but never the last one, and never one from between others: the log stays in one piece.
 */
enum status change_log_trim(struct store_tx *tx, int64_t before, int limit, int64_t *ret_removed);

#endif
