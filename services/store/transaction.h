/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the functions of a list of jobs in transactions of one connection, and leaves in each job what came of it. */
#ifndef STORE_TRANSACTION_H
#define STORE_TRANSACTION_H

#include "store/driver.h"
#include "store/queue.h"

/* The jobs share one commit where that is possible. Returns STATUS_OK when the database could be used, whatever the
 * functions said; ret_commits and ret_writes count commits, and functions that took effect. */
enum status transaction_write(struct connection *connection, struct job_list *jobs, uint64_t *ret_commits,
                              uint64_t *ret_writes);

/* Runs one function that only reads, as long as it is waited for, inside or outside a transaction begun before:
 * has_begun says which, and is kept up to date. The caller ends a transaction left open with rollback. */
enum status transaction_read(struct connection *connection, struct job *job, bool *has_begun);

/* Words that change the schema, in the database's own dialect, in a transaction that is not shared with others. */
enum status transaction_script(struct store_tx *tx, const char *sql);

#endif
