/* SPDX-License-Identifier: Apache-2.0 */
#include "store/transaction.h"

#include "base/log.h"

#include <string.h>

enum { CONFLICTS_MAX = 10 }; /* lost against another replica so often in a row: it is not going to work now */

struct store_tx {
    struct connection *connection;
    enum status failed; /* the first statement that failed: the same on every backend, nothing works after it */
    bool is_in_row;
};

struct rows {
    struct store_tx *tx;
    store_row_fn *each;
    void *arg;
    enum status status;
};

/* Tells the row function's "no further" from a statement's failure. */
static enum status pass_row(const struct store_row *row, void *arg)
{
    struct rows *rows = arg;
    rows->tx->is_in_row = true;
    rows->status = rows->each(row, rows->arg);
    rows->tx->is_in_row = false;
    return rows->status;
}

enum status store_run_n(struct store_tx *tx, const char *sql, const struct store_value *values, size_t count,
                        store_row_fn *each, void *arg)
{
    if (tx->failed != STATUS_OK)
        return tx->failed;
    if (tx->is_in_row) {
        log_write(LOG_LEVEL_ERROR, "store_statement_in_row", "sql", sql, NULL);
        return tx->failed = STATUS_INTERNAL;
    }
    struct rows rows = {.tx = tx, .each = each, .arg = arg, .status = STATUS_OK};
    enum status status =
        tx->connection->driver->run(tx->connection, sql, values, count, each != NULL ? pass_row : NULL, &rows);
    if (rows.status != STATUS_OK)
        return tx->failed != STATUS_OK ? tx->failed : rows.status;
    if (status == STATUS_INTERNAL)
        log_write(LOG_LEVEL_ERROR, "store_statement_wrong", "reason", tx->connection->driver->reason(tx->connection),
                  "sql", sql, NULL);
    return tx->failed = status;
}

enum store_dialect store_dialect(const struct store_tx *tx)
{
    return tx->connection->driver->dialect;
}

enum status store_changes(struct store_tx *tx, int64_t *ret_rows)
{
    if (tx->failed != STATUS_OK)
        return tx->failed;
    return tx->failed = tx->connection->driver->changes(tx->connection, ret_rows);
}

enum status store_now(struct store_tx *tx, int64_t *ret_time)
{
    if (tx->failed != STATUS_OK)
        return tx->failed;
    return tx->failed = tx->connection->driver->now(tx->connection, ret_time);
}

enum status store_send_n(struct store_tx *tx, const char *sql, const struct store_value *values, size_t count,
                         int64_t *ret_changed)
{
    if (tx->failed != STATUS_OK || tx->is_in_row)
        return store_run_n(tx, sql, values, count, NULL, NULL);
    enum status status = tx->connection->driver->send(tx->connection, sql, values, count, ret_changed);
    if (status == STATUS_INTERNAL)
        log_write(LOG_LEVEL_ERROR, "store_statement_wrong", "reason", tx->connection->driver->reason(tx->connection),
                  "sql", sql, NULL);
    return tx->failed = status;
}

enum status transaction_script(struct store_tx *tx, const char *sql)
{
    if (tx->failed != STATUS_OK)
        return tx->failed;
    return tx->failed = tx->connection->driver->script(tx->connection, sql);
}

void store_announce(struct store_tx *tx)
{
    tx->connection->driver->announce(tx->connection);
}

static enum status call(struct store_tx *tx, const struct job *job)
{
    enum status status = job->fn(tx, job->arg);
    return status != STATUS_OK ? status : tx->failed;
}

/* One function of a transaction that others share. STATUS_OK: the transaction continues, with or without it. */
static enum status call_sharing(struct connection *connection, struct job *job, bool marked)
{
    const struct driver *driver = connection->driver;
    struct store_tx tx = {.connection = connection};
    TRY(driver->start(connection, marked));
    job->status = call(&tx, job);
    if (job->status == STATUS_OK)
        job->status = tx.failed = driver->keep(connection);
    if (tx.failed == STATUS_CONFLICT)
        return STATUS_CONFLICT;
    return job->status == STATUS_OK ? STATUS_OK : driver->undo(connection);
}

static enum status call_all(struct connection *connection, struct job_list *jobs, bool marked, uint64_t *ret_well)
{
    for (struct job *job = jobs->first; job != NULL; job = job->next) {
        TRY(call_sharing(connection, job, marked));
        *ret_well += job->status == STATUS_OK;
    }
    return STATUS_OK;
}

static enum status begin(struct connection *connection, const struct job *jobs)
{
    const struct driver *driver = connection->driver;
    TRY(driver->begin(connection));
    while (jobs != NULL && !jobs->is_alone)
        jobs = jobs->next;
    return jobs != NULL ? driver->lock(connection) : STATUS_OK;
}

/* All jobs in one transaction. STATUS_OK: each job has its status. Otherwise none took effect. */
static enum status attempt_together(struct connection *connection, struct job_list *jobs, bool marked,
                                    uint64_t *ret_well)
{
    const struct driver *driver = connection->driver;
    *ret_well = 0;
    enum status status = begin(connection, jobs->first);
    if (status == STATUS_OK)
        status = call_all(connection, jobs, marked, ret_well);
    if (status == STATUS_OK && *ret_well > 0)
        status = driver->commit(connection);
    if (status != STATUS_OK || *ret_well == 0)
        driver->rollback(connection);
    return status;
}

/* One job, one transaction: what the function does is undone with it. */
static enum status attempt_alone(struct connection *connection, struct job *job)
{
    const struct driver *driver = connection->driver;
    struct store_tx tx = {.connection = connection};
    enum status status = begin(connection, job);
    if (status == STATUS_OK) {
        status = call(&tx, job);
        job->status = status;
        if (status == STATUS_OK)
            status = driver->commit(connection);
        else if (tx.failed == STATUS_OK)
            status = STATUS_OK; /* it did not want to; that says nothing about the database */
        else
            status = tx.failed;
    }
    if (status != STATUS_OK || job->status != STATUS_OK)
        driver->rollback(connection);
    return status;
}

/* Is this an answer to the function, or about the database? */
static bool is_outage(enum status status)
{
    return status == STATUS_UNAVAILABLE || status == STATUS_UNKNOWN;
}

static enum status write_alone(struct connection *connection, struct job *job, uint64_t *commits, uint64_t *writes)
{
    enum status status = STATUS_CONFLICT;
    for (int tries = 0; status == STATUS_CONFLICT && tries < CONFLICTS_MAX; tries++) {
        job->status = STATUS_OK;
        status = attempt_alone(connection, job);
    }
    if (status == STATUS_CONFLICT)
        status = STATUS_UNAVAILABLE;
    if (job->status == STATUS_OK || is_outage(status))
        job->status = status;
    *commits += job->status == STATUS_OK;
    *writes += job->status == STATUS_OK;
    return is_outage(status) ? status : STATUS_OK;
}

static void set_all(struct job_list *jobs, enum status status)
{
    for (struct job *job = jobs->first; job != NULL; job = job->next)
        job->status = status;
}

enum status transaction_write(struct connection *connection, struct job_list *jobs, uint64_t *ret_commits,
                              uint64_t *ret_writes)
{
    *ret_commits = *ret_writes = 0;
    if (jobs->count == 1)
        return write_alone(connection, jobs->first, ret_commits, ret_writes);
    /* Marks cost time, and hardly a function fails after it has changed something: first without. */
    uint64_t well = 0;
    enum status status = attempt_together(connection, jobs, false, &well);
    if (!is_outage(status) && status != STATUS_OK)
        status = attempt_together(connection, jobs, true, &well);
    if (status == STATUS_OK) {
        *ret_commits = well > 0;
        *ret_writes = well;
        return STATUS_OK;
    }
    if (is_outage(status)) {
        set_all(jobs, status);
        return status;
    }
    status = STATUS_OK;
    for (struct job *job = jobs->first; job != NULL; job = job->next) {
        enum status one = write_alone(connection, job, ret_commits, ret_writes);
        status = one != STATUS_OK ? one : status;
    }
    return status;
}

enum status transaction_read(struct connection *connection, struct job *job, bool *has_begun)
{
    const struct driver *driver = connection->driver;
    struct store_tx tx = {.connection = connection};
    if (!*has_begun) {
        job->status = driver->begin(connection);
        if (job->status != STATUS_OK)
            return job->status;
        *has_begun = true;
    }
    driver->attend(connection, job->waits, job->waiter);
    job->status = call(&tx, job);
    driver->attend(connection, NULL, NULL);
    if (tx.failed != STATUS_OK) {
        driver->rollback(connection);
        *has_begun = false;
    }
    if (tx.failed == STATUS_CONFLICT)
        job->status = tx.failed = STATUS_UNAVAILABLE;
    return is_outage(tx.failed) ? tx.failed : STATUS_OK;
}

struct store_value store_text(const char *text)
{
    if (text == NULL)
        return store_null();
    return (struct store_value){.type = STORE_TEXT, .data = text, .len = strlen(text)};
}

bool store_row_is_null(const struct store_row *row, int column)
{
    return row->driver->row_is_null(row->handle, column);
}

int64_t store_row_int(const struct store_row *row, int column)
{
    return row->driver->row_int(row->handle, column);
}

enum status store_read_int(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

const char *store_row_text(const struct store_row *row, int column)
{
    return row->driver->row_text(row->handle, column);
}

const void *store_row_blob(const struct store_row *row, int column, size_t *ret_len)
{
    return row->driver->row_blob(row->handle, column, ret_len);
}
