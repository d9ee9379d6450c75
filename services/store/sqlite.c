/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite. One connection writes and checkpoints: SQLite before 3.51.3 can damage a WAL that two connections reset, and
 * the other connections therefore never checkpoint, not even when they close.
 */
#include "base/log.h"
#include "store/driver.h"
#include "store/migrations.h"
#include "store/sqlite_file.h"
#include "store/sqlite_wal.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

enum {
    STEPS_AT_ONCE = 2000, /* of SQLite's machine, between two looks whether a statement is still waited for */
};

struct sqlite_database {
    struct database base;
    struct sqlite_file file;
};

struct statement {
    const char *sql; /* its address is the key */
    sqlite3_stmt *handle;
    UT_hash_handle hh;
};

struct sqlite_connection {
    struct connection base;
    sqlite3 *db;
    bool writes;
    struct statement *statements;
    bool is_marked;
    int64_t changes_at_start; /* of the function */
    int64_t changes_before;   /* the last statement */
    int64_t changes_after;
    struct sqlite_wal wal;
    store_waits_fn *waits; /* see attend */
    const void *waiter;
    enum status given_up; /* what it said */
    char reason[STORE_WHY_MAX];
};

static struct sqlite_connection *of(struct connection *connection)
{
    return (struct sqlite_connection *)connection;
}

/* What is stored is in doubt. Going on could mean to confirm what is not there. */
static _Noreturn void end_process(struct sqlite_connection *connection, int code)
{
    log_write(LOG_LEVEL_ERROR, "store_damaged", "reason", connection->reason, "code", log_number(code).text, "errno",
              strerror(sqlite3_system_errno(connection->db)), NULL);
    _exit(EX_IOERR);
}

static bool is_about_shared_memory(int code)
{
    return code == SQLITE_IOERR_SHMOPEN || code == SQLITE_IOERR_SHMSIZE || code == SQLITE_IOERR_SHMLOCK ||
           code == SQLITE_IOERR_SHMMAP;
}

/* The status of a result code. Ends the process where nothing else is right. */
static enum status classify(struct sqlite_connection *connection, int code)
{
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
        return STATUS_OK;
    snprintf(connection->reason, sizeof connection->reason, "%s",
             sqlite_file_is_full(connection->db) ? "the disk is full" : sqlite3_errmsg(connection->db));
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        return code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
                       code == SQLITE_CONSTRAINT_ROWID
                   ? STATUS_ALREADY_EXISTS
                   : STATUS_INTERNAL;
    case SQLITE_IOERR:
        /* Full in other words: a quota, memory, the index of the WAL, which nothing durable depends on. */
        if (code == SQLITE_IOERR_NOMEM || is_about_shared_memory(code) ||
            sqlite3_system_errno(connection->db) == EDQUOT)
            return STATUS_UNAVAILABLE;
        end_process(connection, code);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        end_process(connection, code);
    case SQLITE_INTERRUPT:
        return connection->given_up;
    case SQLITE_FULL:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
    case SQLITE_PERM:
        return STATUS_UNAVAILABLE;
    default:
        return STATUS_INTERNAL;
    }
}

/* Contract: the n-th parameter to appear is $n. PostgreSQL counts by the name, SQLite by the appearance. */
static bool are_parameters_in_order(sqlite3_stmt *handle)
{
    for (int i = 1; i <= sqlite3_bind_parameter_count(handle); i++) {
        char name[16];
        snprintf(name, sizeof name, "$%d", i);
        const char *found = sqlite3_bind_parameter_name(handle, i);
        if (found == NULL || strcmp(found, name) != 0)
            return false;
    }
    return true;
}

static enum status refuse(struct sqlite_connection *connection, sqlite3_stmt *handle, const char *reason)
{
    sqlite3_finalize(handle);
    snprintf(connection->reason, sizeof connection->reason, "%s", reason);
    return STATUS_INTERNAL;
}

static enum status prepare(struct sqlite_connection *connection, const char *sql, sqlite3_stmt **ret_handle)
{
    sqlite3_stmt *handle = NULL;
    const char *rest = NULL;
    TRY(classify(connection, sqlite3_prepare_v3(connection->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, &rest)));
    if (handle == NULL || *rest != '\0')
        return refuse(connection, handle, "not one statement");
    if (!are_parameters_in_order(handle))
        return refuse(connection, handle, "parameters are not $1, $2, … in order of appearance");
    if (!connection->writes && !sqlite3_stmt_readonly(handle))
        return refuse(connection, handle, "a read transaction cannot write");
    *ret_handle = handle;
    return STATUS_OK;
}

static enum status get_statement(struct sqlite_connection *connection, const char *sql, sqlite3_stmt **ret_handle)
{
    struct statement *statement;
    HASH_FIND_PTR(connection->statements, &sql, statement);
    if (statement == NULL) {
        sqlite3_stmt *handle;
        TRY(prepare(connection, sql, &handle));
        statement = calloc(1, sizeof *statement);
        if (statement == NULL) {
            sqlite3_finalize(handle);
            return STATUS_UNAVAILABLE;
        }
        statement->sql = sql;
        statement->handle = handle;
        HASH_ADD_PTR(connection->statements, sql, statement);
    }
    if (strcmp(sqlite3_sql(statement->handle), sql) != 0) { /* a buffer used again: not the statement it once was */
        snprintf(connection->reason, sizeof connection->reason, "the SQL is not a literal");
        return STATUS_INTERNAL;
    }
    *ret_handle = statement->handle;
    return STATUS_OK;
}

static int bind(sqlite3_stmt *handle, int index, const struct store_value *value)
{
    const void *data = value->data != NULL ? value->data : ""; /* SQLite takes NULL with length 0 for SQL's NULL */
    switch (value->type) {
    case STORE_NULL:
        return sqlite3_bind_null(handle, index);
    case STORE_INT:
        return sqlite3_bind_int64(handle, index, value->integer);
    case STORE_TEXT:
        return sqlite3_bind_text64(handle, index, data, value->len, SQLITE_STATIC, SQLITE_UTF8);
    case STORE_BLOB:
        return sqlite3_bind_blob64(handle, index, data, value->len, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

static enum status bind_all(struct sqlite_connection *connection, sqlite3_stmt *handle,
                            const struct store_value *values, size_t count)
{
    if (count != (size_t)sqlite3_bind_parameter_count(handle)) {
        snprintf(connection->reason, sizeof connection->reason, "%zu values for %d parameters", count,
                 sqlite3_bind_parameter_count(handle));
        return STATUS_INTERNAL;
    }
    for (size_t i = 0; i < count; i++)
        TRY(classify(connection, bind(handle, (int)i + 1, &values[i])));
    return STATUS_OK;
}

static enum status step_all(struct sqlite_connection *connection, sqlite3_stmt *handle, store_row_fn *each, void *arg)
{
    const struct store_row row = {.driver = &sqlite_driver, .handle = handle};
    int code = sqlite3_step(handle);
    for (; code == SQLITE_ROW && each != NULL; code = sqlite3_step(handle))
        TRY(each(&row, arg));
    return classify(connection, code);
}

static enum status sqlite_run(struct connection *base, const char *sql, const struct store_value *values, size_t count,
                              store_row_fn *each, void *arg)
{
    struct sqlite_connection *connection = of(base);
    sqlite3_stmt *handle;
    TRY(get_statement(connection, sql, &handle));
    TRY(bind_all(connection, handle, values, count));
    connection->changes_before = sqlite3_total_changes64(connection->db);
    enum status status = step_all(connection, handle, each, arg);
    sqlite3_reset(handle); /* its error is the step's, told already */
    connection->changes_after = sqlite3_total_changes64(connection->db);
    return status;
}

static enum status sqlite_changes(struct connection *base, int64_t *ret_rows)
{
    *ret_rows = of(base)->changes_after - of(base)->changes_before;
    return STATUS_OK;
}

static enum status sqlite_send(struct connection *base, const char *sql, const struct store_value *values, size_t count,
                               int64_t *ret_changed)
{
    TRY(sqlite_run(base, sql, values, count, NULL, NULL));
    return ret_changed == NULL ? STATUS_OK : sqlite_changes(base, ret_changed);
}

static enum status sqlite_now(struct connection *base, int64_t *ret_time)
{
    (void)base;
    *ret_time = INT64_MAX; /* its clock is this process's */
    return STATUS_OK;
}

static enum status run_plain(struct sqlite_connection *connection, const char *sql)
{
    return sqlite_run(&connection->base, sql, NULL, 0, NULL, NULL);
}

static enum status sqlite_begin(struct connection *base)
{
    return run_plain(of(base), of(base)->writes ? "BEGIN IMMEDIATE" : "BEGIN");
}

/* It is: BEGIN IMMEDIATE, and the lock beside the file. */
static enum status sqlite_lock(struct connection *base)
{
    (void)base;
    return STATUS_OK;
}

static enum status sqlite_lock_schema(struct connection *base)
{
    return sqlite_lock(base);
}

static enum status sqlite_commit(struct connection *base)
{
    return run_plain(of(base), "COMMIT");
}

static bool is_in_transaction(const struct sqlite_connection *connection)
{
    return sqlite3_get_autocommit(connection->db) == 0;
}

static void sqlite_rollback(struct connection *base)
{
    struct sqlite_connection *connection = of(base);
    char reason[STORE_WHY_MAX];
    if (!is_in_transaction(connection))
        return;
    memcpy(reason, connection->reason, sizeof reason); /* of what it is that is rolled back */
    if (run_plain(connection, "ROLLBACK") == STATUS_OK)
        memcpy(connection->reason, reason, sizeof reason);
}

static enum status sqlite_start(struct connection *base, bool marked)
{
    struct sqlite_connection *connection = of(base);
    connection->is_marked = marked;
    connection->changes_at_start = sqlite3_total_changes64(connection->db);
    return marked ? run_plain(connection, "SAVEPOINT function") : STATUS_OK;
}

static enum status sqlite_keep(struct connection *base)
{
    return of(base)->is_marked ? run_plain(of(base), "RELEASE function") : STATUS_OK;
}

static enum status sqlite_undo(struct connection *base)
{
    struct sqlite_connection *connection = of(base);
    if (!is_in_transaction(connection)) /* SQLite has rolled all of it back, as it does when the disk is full */
        return STATUS_UNAVAILABLE;
    if (connection->is_marked) {
        TRY(run_plain(connection, "ROLLBACK TO function"));
        return run_plain(connection, "RELEASE function");
    }
    bool has_changed = sqlite3_total_changes64(connection->db) != connection->changes_at_start;
    return has_changed ? STATUS_CONFLICT : STATUS_OK;
}

/* SQLite's progress handler, on the thread that runs the statement: not 0 ends it. */
static int look_at_waiter(void *arg)
{
    struct sqlite_connection *connection = arg;
    connection->given_up = connection->waits(connection->waiter);
    return connection->given_up != STATUS_OK;
}

static void sqlite_attend(struct connection *base, store_waits_fn *waits, const void *waiter)
{
    struct sqlite_connection *connection = of(base);
    connection->waits = waits;
    connection->waiter = waiter;
    sqlite3_progress_handler(connection->db, STEPS_AT_ONCE, waits == NULL ? NULL : look_at_waiter, connection);
}

/* There are no others. */
static void sqlite_announce(struct connection *base)
{
    (void)base;
}

static void sqlite_await(struct connection *base, int64_t ms)
{
    (void)base;
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static enum status sqlite_script(struct connection *base, const char *sql)
{
    static const struct migration_word words[] = {
        {"BIGINT", "INTEGER"},
        {"/* table in order of its key */", "STRICT, WITHOUT ROWID"},
        {"/* table */", "STRICT"},
        {NULL, NULL},
    };
    char *text = migration_translate(sql, words);
    if (text == NULL)
        return STATUS_UNAVAILABLE;
    enum status status = classify(of(base), sqlite3_exec(of(base)->db, text, NULL, NULL, NULL));
    free(text);
    return status;
}

static const char *sqlite_reason(struct connection *base)
{
    return of(base)->reason;
}

static void sqlite_tidy(struct connection *base)
{
    struct sqlite_connection *connection = of(base);
    int code = sqlite_wal_tidy(&connection->wal, connection->db);
    if (classify(connection, code) == STATUS_INTERNAL)
        log_write(LOG_LEVEL_ERROR, "store_checkpoint_failed", "reason", connection->reason, NULL);
}

static bool sqlite_row_is_null(void *handle, int column)
{
    return sqlite3_column_type(handle, column) == SQLITE_NULL;
}

static int64_t sqlite_row_int(void *handle, int column)
{
    return sqlite3_column_int64(handle, column);
}

static const char *sqlite_row_text(void *handle, int column)
{
    return (const char *)sqlite3_column_text(handle, column);
}

static const void *sqlite_row_blob(void *handle, int column, size_t *ret_len)
{
    const void *data = sqlite3_column_blob(handle, column);
    *ret_len = (size_t)sqlite3_column_bytes(handle, column);
    return data == NULL && !sqlite_row_is_null(handle, column) ? "" : data;
}

static void sqlite_disconnect(struct connection *base)
{
    struct sqlite_connection *connection = of(base);
    struct statement *statement, *next;
    HASH_ITER(hh, connection->statements, statement, next)
    {
        HASH_DEL(connection->statements, statement);
        sqlite3_finalize(statement->handle);
        free(statement);
    }
    sqlite3_close(connection->db);
    free(connection);
}
static void sqlite_close(struct database *base)
{
    struct sqlite_database *database = (struct sqlite_database *)base;
    sqlite_file_done(&database->file);
    free(database);
}

static enum status sqlite_open(const struct driver *driver, const struct store_options *options,
                               struct database **ret_database, char why[STORE_WHY_MAX])
{
    struct sqlite_database *database = calloc(1, sizeof *database);
    if (database == NULL) {
        snprintf(why, STORE_WHY_MAX, "out of memory");
        return STATUS_UNAVAILABLE;
    }
    database->base.driver = driver;
    enum status status = sqlite_file_init(&database->file, options->url + strlen(driver->scheme), options, why);
    if (status == STATUS_OK)
        status = sqlite_file_check(&database->file, options->create, why);
    if (status != STATUS_OK) {
        sqlite_close(&database->base);
        return status;
    }
    *ret_database = &database->base;
    return STATUS_OK;
}

static enum status sqlite_connect(struct database *base, enum connection_use use, struct connection **ret_connection,
                                  char why[STORE_WHY_MAX])
{
    const struct sqlite_database *database = (const struct sqlite_database *)base;
    bool writes = use == CONNECTION_WRITES;
    struct sqlite_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        snprintf(why, STORE_WHY_MAX, "out of memory");
        return STATUS_UNAVAILABLE;
    }
    enum status status = sqlite_file_open(&database->file, writes, &connection->db, why);
    if (status != STATUS_OK) {
        free(connection);
        return status;
    }
    connection->base.driver = base->driver;
    connection->writes = writes;
    if (writes)
        sqlite_wal_init(&connection->wal, &database->file, connection->db);
    *ret_connection = &connection->base;
    return STATUS_OK;
}

const struct driver sqlite_driver = {
    .scheme = "sqlite:",
    .dialect = STORE_SQLITE,
    .open = sqlite_open,
    .close = sqlite_close,
    .connect = sqlite_connect,
    .disconnect = sqlite_disconnect,
    .begin = sqlite_begin,
    .lock = sqlite_lock,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .start = sqlite_start,
    .keep = sqlite_keep,
    .undo = sqlite_undo,
    .run = sqlite_run,
    .send = sqlite_send,
    .changes = sqlite_changes,
    .attend = sqlite_attend,
    .now = sqlite_now,
    .announce = sqlite_announce,
    .await = sqlite_await,
    .lock_schema = sqlite_lock_schema,
    .script = sqlite_script,
    .reason = sqlite_reason,
    .tidy = sqlite_tidy,
    .row_is_null = sqlite_row_is_null,
    .row_int = sqlite_row_int,
    .row_text = sqlite_row_text,
    .row_blob = sqlite_row_blob,
};
