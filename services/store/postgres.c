/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL, for several replicas. One lock, a row of the table counter, is what makes a write alone among the writes
 * of all replicas; writes that need not be alone (store_write_beside) do without.
 *
 * Everything is sent as late as possible: BEGIN goes out with the first statement, and of a group of inserts nothing is
 * waited for but the COMMIT.
 */
#include "base/utf8.h"
#include "store/driver.h"
#include "store/migrations.h"
#include "store/postgres_link.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REASON_SHOWN = 200 };

struct postgres_database {
    struct database base;
    const struct store_options *options;
};

struct postgres_connection {
    struct connection base;
    struct link link;
    bool is_begun;
    bool is_shared, is_marked; /* see start */
    bool has_sent;             /* since start */
    bool is_announced;
};

static struct postgres_connection *of(struct connection *connection)
{
    return (struct postgres_connection *)connection;
}

/* Where functions share a transaction without marks, nobody knows whose statement it was that failed. */
static enum status blame(const struct postgres_connection *connection, enum status status)
{
    bool is_outage = status == STATUS_UNAVAILABLE || status == STATUS_UNKNOWN;
    bool is_anybodys = connection->is_shared && !connection->is_marked && !connection->link.is_own_failure;
    return status != STATUS_OK && connection->link.failed != STATUS_OK && is_anybodys && !is_outage ? STATUS_CONFLICT
                                                                                                    : status;
}

static enum status postgres_begin(struct connection *base)
{
    struct postgres_connection *connection = of(base);
    connection->is_shared = connection->is_marked = connection->is_announced = false;
    TRY(link_open(&connection->link));
    link_forgive(&connection->link);
    connection->is_begun = true;
    return link_command(&connection->link, connection->link.role == LINK_WRITER
                                               ? "BEGIN ISOLATION LEVEL READ COMMITTED"
                                               : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
}

static enum status postgres_lock(struct connection *base)
{
    return link_send(&of(base)->link,
                     STORE_SQL_IN("store_sql_postgres", "SELECT value FROM counter WHERE name = 'lock' FOR UPDATE"),
                     NULL, 0, NULL);
}

static enum status postgres_commit(struct connection *base)
{
    struct postgres_connection *connection = of(base);
    struct link *link = &connection->link;
    if (connection->is_announced && link->has_notifications)
        TRY(link_command(link, "NOTIFY gatehouse"));
    TRY(link_command(link, "COMMIT"));
    link->is_committed = false;
    enum status status = link_wait(link, NULL, NULL);
    /* A warning may say that a standby does not have it: what is acknowledged could be lost with this server. */
    if (link->is_severed || link->is_warned)
        return STATUS_UNKNOWN;
    if (status == STATUS_OK && !link->is_committed)
        status = STATUS_CONFLICT;
    connection->is_begun = status != STATUS_OK;
    return blame(connection, status);
}

/* Nothing waits for its end: the next one that waits takes that answer, too. */
static void postgres_rollback(struct connection *base)
{
    struct postgres_connection *connection = of(base);
    struct link *link = &connection->link;
    if (!connection->is_begun)
        return;
    connection->is_begun = false;
    if (link_is_open(link) && link_sync(link) == STATUS_OK && link_command(link, "ROLLBACK") == STATUS_OK)
        (void)!link_sync(link);
    if (link->role != LINK_READER)
        (void)!link_wait(link, NULL, NULL);
    if (link->is_severed && link_is_open(link)) /* it has become a standby, say */
        link_close(link);
    link_forgive(link);
}

static enum status postgres_start(struct connection *base, bool marked)
{
    struct postgres_connection *connection = of(base);
    connection->is_shared = true;
    connection->is_marked = marked;
    connection->has_sent = false;
    return marked ? link_command(&connection->link, "SAVEPOINT function") : STATUS_OK;
}

static enum status postgres_keep(struct connection *base)
{
    struct postgres_connection *connection = of(base);
    if (!connection->is_marked)
        return STATUS_OK;
    TRY(link_command(&connection->link, "RELEASE SAVEPOINT function"));
    return link_wait(&connection->link, NULL, NULL);
}

static enum status postgres_undo(struct connection *base)
{
    struct postgres_connection *connection = of(base);
    struct link *link = &connection->link;
    if (!connection->is_begun || !link_is_open(link))
        return STATUS_UNAVAILABLE;
    if (!connection->is_marked)
        return connection->has_sent || link->failed != STATUS_OK ? STATUS_CONFLICT : STATUS_OK;
    (void)!link_wait(link, NULL, NULL); /* its errors are what is undone */
    if (!link_is_open(link))
        return STATUS_UNAVAILABLE;
    link_forgive(link);
    TRY(link_command(link, "ROLLBACK TO SAVEPOINT function"));
    TRY(link_command(link, "RELEASE SAVEPOINT function"));
    return link_wait(link, NULL, NULL);
}

static enum status postgres_send(struct connection *base, const char *sql, const struct store_value *values,
                                 size_t count, int64_t *ret_changed)
{
    struct postgres_connection *connection = of(base);
    if (!connection->is_begun) /* it would be a transaction of its own */
        return STATUS_UNAVAILABLE;
    connection->has_sent = true;
    return link_send(&connection->link, sql, values, count, ret_changed);
}

static bool is_read(const char *sql)
{
    return strncmp(sql, "SELECT", 6) == 0;
}

static enum status postgres_run(struct connection *base, const char *sql, const struct store_value *values,
                                size_t count, store_row_fn *each, void *arg)
{
    struct postgres_connection *connection = of(base);
    if (!connection->is_begun)
        return STATUS_UNAVAILABLE;
    connection->has_sent = connection->has_sent || !is_read(sql);
    TRY(link_send(&connection->link, sql, values, count, NULL));
    return blame(connection, link_wait(&connection->link, each, arg));
}

static enum status postgres_changes(struct connection *base, int64_t *ret_rows)
{
    struct postgres_connection *connection = of(base);
    TRY(blame(connection, link_wait(&connection->link, NULL, NULL)));
    *ret_rows = connection->link.changed;
    return STATUS_OK;
}

static enum status postgres_now(struct connection *base, int64_t *ret_time)
{
    return postgres_run(base, "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)", NULL, 0,
                        store_read_int, ret_time);
}

static void postgres_attend(struct connection *base, store_waits_fn *waits, const void *waiter)
{
    of(base)->link.waits = waits;
    of(base)->link.waiter = waiter;
}

static void postgres_announce(struct connection *base)
{
    of(base)->is_announced = true;
}

static void postgres_await(struct connection *base, int64_t ms)
{
    link_await(&of(base)->link, ms);
}

static enum status postgres_script(struct connection *base, const char *sql)
{
    static const struct migration_word words[] = {
        {"/* table in order of its key */", ""},
        {"/* table */", ""},
        {"BLOB", "BYTEA"},
        {"TEXT", "TEXT COLLATE \"C\""}, /* SQLite's order, and that of the page tokens */
        {NULL, NULL},
    };
    char *text = migration_translate(sql, words);
    if (text == NULL)
        return STATUS_UNAVAILABLE;
    enum status status = link_script(&of(base)->link, text);
    free(text);
    return status;
}

/* Any number that no other program on the same database is likely to use. */
#define SCHEMA_LOCK "1195463507"

static enum status postgres_lock_schema(struct connection *base)
{
    return link_script(&of(base)->link, "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0;"
                                        "SELECT pg_advisory_xact_lock(" SCHEMA_LOCK ")");
}

static const char *postgres_reason(struct connection *base)
{
    return of(base)->link.reason;
}

static void postgres_tidy(struct connection *base)
{
    (void)base;
}

/* Rows: results come in binary, integers with the most significant byte first. */

static bool postgres_row_is_null(void *handle, int column)
{
    const struct link_row *row = handle;
    return PQgetisnull(row->result, row->number, column) != 0;
}

static int64_t postgres_row_int(void *handle, int column)
{
    const struct link_row *row = handle;
    const char *data = PQgetvalue(row->result, row->number, column);
    uint64_t eight;
    uint32_t four;
    switch (postgres_row_is_null(handle, column) ? 0 : PQgetlength(row->result, row->number, column)) {
    case sizeof eight:
        memcpy(&eight, data, sizeof eight);
        return (int64_t)be64toh(eight);
    case sizeof four:
        memcpy(&four, data, sizeof four);
        return (int32_t)be32toh(four);
    default:
        return 0;
    }
}

static const char *postgres_row_text(void *handle, int column)
{
    const struct link_row *row = handle;
    return postgres_row_is_null(handle, column) ? NULL : PQgetvalue(row->result, row->number, column);
}

static const void *postgres_row_blob(void *handle, int column, size_t *ret_len)
{
    const struct link_row *row = handle;
    *ret_len = (size_t)PQgetlength(row->result, row->number, column);
    return postgres_row_text(handle, column);
}

/* Opening */

static void postgres_close(struct database *base)
{
    free(base);
}

static void postgres_disconnect(struct connection *base)
{
    link_done(&of(base)->link);
    free(base);
}

static enum status postgres_connect(struct database *base, enum connection_use use, struct connection **ret_connection,
                                    char why[STORE_WHY_MAX])
{
    static const enum link_role roles[] = {
        [CONNECTION_WRITES] = LINK_WRITER, [CONNECTION_READS] = LINK_READER, [CONNECTION_FOLLOWS] = LINK_LISTENER};
    const struct store_options *options = ((struct postgres_database *)base)->options;
    struct postgres_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        abort();
    connection->base.driver = base->driver;
    connection->link = (struct link){
        .url = options->url,
        .role = roles[use],
        .connect_timeout_ms = options->busy_timeout_ms,
        .reply_timeout_ms = options->reply_timeout_ms,
    };
    enum status status = link_open(&connection->link);
    if (status != STATUS_OK) {
        snprintf(why, STORE_WHY_MAX, "the database cannot be used: %.*s",
                 (int)utf8_fitting(connection->link.reason, REASON_SHOWN), connection->link.reason);
        postgres_disconnect(&connection->base);
        return status;
    }
    *ret_connection = &connection->base;
    return STATUS_OK;
}

struct tables {
    int64_t all, ours;
};

/* A store_row_fn: how many tables there are, and how many of them are ours. */
static enum status read_tables(const struct store_row *row, void *arg)
{
    struct tables *tables = arg;
    tables->all = store_row_int(row, 0);
    tables->ours = store_row_int(row, 1);
    return STATUS_OK;
}

/* Ours, or empty and to become ours. */
static enum status check_identity(struct connection *connection, bool create, char why[STORE_WHY_MAX])
{
    struct tables tables = {0};
    enum status status = postgres_begin(connection);
    if (status == STATUS_OK)
        status = postgres_run(connection,
                              "SELECT count(*), count(*) FILTER (WHERE table_name = 'schema_version')"
                              " FROM information_schema.tables WHERE table_schema = current_schema()",
                              NULL, 0, read_tables, &tables);
    postgres_rollback(connection);
    if (status != STATUS_OK) {
        snprintf(why, STORE_WHY_MAX, "the database cannot be read: %.*s",
                 (int)utf8_fitting(postgres_reason(connection), REASON_SHOWN), postgres_reason(connection));
        return status;
    }
    if (tables.ours == 0 && tables.all > 0) {
        snprintf(why, STORE_WHY_MAX, "the database has the tables of another program");
        return STATUS_FAILED_PRECONDITION;
    }
    if (tables.ours == 0 && !create) {
        snprintf(why, STORE_WHY_MAX, "the database is empty");
        return STATUS_NOT_FOUND;
    }
    return STATUS_OK;
}

static enum status postgres_open(const struct driver *driver, const struct store_options *options,
                                 struct database **ret_database, char why[STORE_WHY_MAX])
{
    struct connection *connection = NULL;
    struct postgres_database *database = calloc(1, sizeof *database);
    if (database == NULL)
        abort();
    database->base.driver = driver;
    database->options = options;
    enum status status = postgres_connect(&database->base, CONNECTION_READS, &connection, why);
    if (status == STATUS_OK) {
        status = check_identity(connection, options->create, why);
        postgres_disconnect(connection);
    }
    if (status != STATUS_OK) {
        postgres_close(&database->base);
        return status;
    }
    *ret_database = &database->base;
    return STATUS_OK;
}

const struct driver postgres_driver = {
    .scheme = "postgres", /* libpq knows postgres:// and postgresql:// */
    .is_shared = true,
    .dialect = STORE_POSTGRES,
    .open = postgres_open,
    .close = postgres_close,
    .connect = postgres_connect,
    .disconnect = postgres_disconnect,
    .begin = postgres_begin,
    .lock = postgres_lock,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .start = postgres_start,
    .keep = postgres_keep,
    .undo = postgres_undo,
    .run = postgres_run,
    .send = postgres_send,
    .changes = postgres_changes,
    .attend = postgres_attend,
    .now = postgres_now,
    .announce = postgres_announce,
    .await = postgres_await,
    .lock_schema = postgres_lock_schema,
    .script = postgres_script,
    .reason = postgres_reason,
    .tidy = postgres_tidy,
    .row_is_null = postgres_row_is_null,
    .row_int = postgres_row_int,
    .row_text = postgres_row_text,
    .row_blob = postgres_row_blob,
};
