/* SPDX-License-Identifier: Apache-2.0 */
#include "store/postgres_link.h"

#include "clock.h"
#include "log.h"
#include "store/migrations.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PARAMETERS_MAX = 64,
    UNSENT_MAX = 512,      /* statements between two looks at the socket */
    WRITER_IDLE_MS = 2000, /* a writer that stops in the middle holds up the others for so long, and no longer */
    READER_IDLE_MS = 30000,
    LOCK_MS = 5000,
    REPLY_MARGIN_MS =
        2000, /* the server ends a statement that takes too long; this much later we stop believing in it */
};

/* Types of parameters (pg_type.dat); 0: what the context says. */
enum { OID_UNKNOWN = 0, OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25 };

static int64_t now_ms(void)
{
    return clock_monotonic() / 1000;
}

static void set_reason(struct link *link, const char *text)
{
    snprintf(link->reason, sizeof link->reason, "%.*s", (int)strcspn(text, "\n"), text);
}

bool link_is_open(const struct link *link)
{
    return link->conn != NULL;
}

void link_forgive(struct link *link)
{
    link->failed = STATUS_OK;
    link->is_own_failure = link->is_severed = link->is_warned = false;
}

void link_close(struct link *link)
{
    struct statement *statement, *next;
    HASH_ITER(hh, link->statements, statement, next)
    statement->is_prepared = false;
    PQfinish(link->conn);
    link->conn = NULL;
    link->first = link->count = link->unsynced = 0;
    link->retry_at = now_ms() + LINK_PAUSE_MS;
}

void link_done(struct link *link)
{
    link_close(link);
    struct statement *statement, *next;
    HASH_ITER(hh, link->statements, statement, next)
    {
        HASH_DEL(link->statements, statement);
        free(statement->copy);
        free(statement);
    }
    free(link->awaited);
}

/* The connection has gone, and with it whatever was not committed. */
static enum status lose(struct link *link)
{
    if (link->conn != NULL && PQerrorMessage(link->conn)[0] != '\0')
        set_reason(link, PQerrorMessage(link->conn));
    link_close(link);
    link->is_severed = true;
    return link->failed = STATUS_UNAVAILABLE;
}

/* Errors */

static bool is_class(const char *state, const char *class)
{
    return strncmp(state, class, strlen(class)) == 0;
}

/* SQLSTATE, PostgreSQL's appendix A. */
static enum status classify(const struct link *link, const char *state)
{
    static const char *const outages[] = {"08", "53", "55P03", "57", "58", "25P03"};
    if (is_class(state, "23505"))
        return STATUS_ALREADY_EXISTS;
    /* A conflict, a deadlock; a table that another replica made at the same moment. */
    if (is_class(state, "40001") || is_class(state, "40P01") || is_class(state, "42P07"))
        return STATUS_ABORTED;
    if (is_class(state, "08P01")) /* the parameters do not fit the statement */
        return STATUS_INTERNAL;
    if (is_class(state, "25006")) /* read only: our own transaction, or the server since a failover */
        return link->role == LINK_WRITER ? STATUS_UNAVAILABLE : STATUS_INTERNAL;
    for (size_t i = 0; i < sizeof outages / sizeof outages[0]; i++)
        if (is_class(state, outages[i]))
            return STATUS_UNAVAILABLE;
    return STATUS_INTERNAL;
}

static enum status status_of(struct link *link, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    set_reason(link, message != NULL ? message : PQresultErrorMessage(result));
    link->is_severed = link->is_severed || state == NULL || is_class(state, "08") || is_class(state, "57");
    if (state == NULL) /* libpq's own: the connection */
        return STATUS_UNAVAILABLE;
    return classify(link, state);
}

/* Connecting */

static bool execute(struct link *link, const char *sql)
{
    PGresult *result = PQexec(link->conn, sql);
    ExecStatusType status = PQresultStatus(result);
    bool is_well = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!is_well)
        set_reason(link, PQresultErrorMessage(result));
    PQclear(result);
    return is_well;
}

/* A transaction that nobody ends must end by itself: it may hold the lock for which all replicas wait. */
static bool configure(struct link *link)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "SET idle_in_transaction_session_timeout = %d; SET lock_timeout = %d; SET statement_timeout = %" PRId64
             "; SET client_min_messages = warning;"
             "SELECT set_config('synchronous_commit', 'on', false)"
             " WHERE current_setting('synchronous_commit') IN ('off', 'local')",
             link->role == LINK_WRITER ? WRITER_IDLE_MS : READER_IDLE_MS, LOCK_MS, link->reply_timeout_ms);
    if (!execute(link, sql))
        return false;
    /* So that the server, too, notices that the network has gone. Its relatives need not know these. */
    execute(link, "SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3;"
                  "SET tcp_user_timeout = 5000");
    link->reason[0] = '\0';
    return link->role != LINK_LISTENER || execute(link, "LISTEN gatehouse");
}

static PGconn *connect_to(const struct link *link)
{
    char timeout[24], user_timeout[24];
    snprintf(timeout, sizeof timeout, "%" PRId64, (link->connect_timeout_ms + 999) / 1000);
    snprintf(user_timeout, sizeof user_timeout, "%" PRId64, link->connect_timeout_ms);
    /* What the URL says comes after these, and wins. */
    const char *const keys[] = {
        "fallback_application_name", "connect_timeout",  "keepalives_idle", "keepalives_interval",
        "keepalives_count",          "tcp_user_timeout", "dbname",          NULL};
    const char *const values[] = {"gatehoused", timeout, "1", "1", "2", user_timeout, link->url, NULL};
    return PQconnectdbParams(keys, values, 1);
}

static void note_warning(void *arg, const PGresult *result)
{
    struct link *link = arg;
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    set_reason(link, message == NULL ? "a warning" : message);
    link->is_warned = true;
}

/* A connection that the server closed meanwhile says so when it is looked at. */
static void look(struct link *link)
{
    if (link->count > 0 && link_wait(link, NULL, NULL) != STATUS_OK && link->conn == NULL) {
        link->retry_at = 0;
        return;
    }
    struct pollfd file = {.fd = PQsocket(link->conn), .events = POLLIN};
    if (poll(&file, 1, 0) > 0 &&
        (PQconsumeInput(link->conn) == 0 || PQstatus(link->conn) != CONNECTION_OK || (file.revents & POLLHUP) != 0)) {
        link_close(link);
        link->retry_at = 0;
    }
}

enum status link_open(struct link *link)
{
    if (link->conn != NULL)
        look(link);
    if (link->conn != NULL)
        return STATUS_OK;
    if (now_ms() < link->retry_at)
        return STATUS_UNAVAILABLE;
    link->reason[0] = '\0';
    link_forgive(link);
    PQconninfoOption *options = PQconninfoParse(link->url, NULL);
    if (options == NULL) { /* libpq's own message would repeat it, password and all */
        set_reason(link, "its address cannot be understood");
        return STATUS_INVALID_ARGUMENT;
    }
    PQconninfoFree(options);
    link->conn = connect_to(link);
    if (link->conn == NULL)
        return lose(link);
    PQsetNoticeReceiver(link->conn, note_warning, link);
    if (PQstatus(link->conn) != CONNECTION_OK || !configure(link) || PQenterPipelineMode(link->conn) == 0 ||
        PQsetnonblocking(link->conn, 1) != 0)
        return lose(link);
    return STATUS_OK;
}

/* Sending */

static void expect(struct link *link, enum awaited_kind kind, struct statement *statement)
{
    if (link->count == link->size) {
        size_t size = link->size == 0 ? 64 : link->size * 2;
        struct awaited *awaited = malloc(size * sizeof *awaited);
        if (awaited == NULL)
            abort();
        for (size_t i = 0; i < link->count; i++)
            awaited[i] = link->awaited[(link->first + i) % link->size];
        free(link->awaited);
        link->awaited = awaited;
        link->first = 0;
        link->size = size;
    }
    link->awaited[(link->first + link->count++) % link->size] = (struct awaited){.kind = kind, .statement = statement};
}

/* Waits until the socket can be read, or written where that is wanted. */
static bool wait_for_socket(struct link *link, bool wants_write, int64_t until)
{
    for (;;) {
        int64_t left = until - now_ms();
        struct pollfd file = {.fd = PQsocket(link->conn), .events = (short)(wants_write ? POLLIN | POLLOUT : POLLIN)};
        int ready = left <= 0 ? 0 : poll(&file, 1, (int)left);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0) {
            set_reason(link, "the database does not answer");
            return false;
        }
        return (file.revents & (POLLIN | POLLHUP | POLLERR)) == 0 || PQconsumeInput(link->conn) == 1;
    }
}

/* Both sides may have filled their buffers: reading goes on while it is written. */
static bool flush(struct link *link, int64_t until)
{
    int state;
    while ((state = PQflush(link->conn)) > 0)
        if (!wait_for_socket(link, true, until))
            return false;
    return state == 0;
}

static int64_t deadline(const struct link *link)
{
    return now_ms() + link->reply_timeout_ms + REPLY_MARGIN_MS;
}

static enum status sent(struct link *link, int is_sent, enum awaited_kind kind, struct statement *statement)
{
    if (is_sent == 0)
        return lose(link);
    expect(link, kind, statement);
    link->unsynced++;
    if (link->unsynced % UNSENT_MAX == 0 && !flush(link, deadline(link)))
        return lose(link);
    return STATUS_OK;
}

static enum status prepare(struct link *link, struct statement *statement, const Oid *types, size_t count)
{
    static const struct migration_word words[] = {{"/* if free */", "FOR UPDATE SKIP LOCKED"}, {NULL, NULL}};
    char *sql = migration_translate(statement->sql, words);
    if (sql == NULL)
        return STATUS_UNAVAILABLE;
    int is_sent = PQsendPrepare(link->conn, statement->name, sql, (int)count, types);
    free(sql);
    statement->is_prepared = true; /* unless the answer says otherwise */
    return sent(link, is_sent, AWAIT_PREPARE, statement);
}

static enum status get_statement(struct link *link, const char *sql, struct statement **ret_statement)
{
    struct statement *statement;
    HASH_FIND_PTR(link->statements, &sql, statement);
    if (statement != NULL && strcmp(statement->copy, sql) != 0) {
        set_reason(link, "the SQL is not a literal");
        return STATUS_INTERNAL;
    }
    if (statement == NULL) {
        statement = calloc(1, sizeof *statement);
        if (statement == NULL || (statement->copy = strdup(sql)) == NULL)
            abort();
        statement->sql = sql;
        snprintf(statement->name, sizeof statement->name, "s%u", ++link->statement_count);
        HASH_ADD_PTR(link->statements, sql, statement);
    }
    *ret_statement = statement;
    return STATUS_OK;
}

struct parameters {
    Oid types[PARAMETERS_MAX];
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX];
    int formats[PARAMETERS_MAX];
    int64_t integers[PARAMETERS_MAX];
};

static void set_parameter(struct parameters *parameters, size_t i, const struct store_value *value)
{
    static const Oid types[] = {
        [STORE_NULL] = OID_UNKNOWN, [STORE_INT] = OID_INT8, [STORE_TEXT] = OID_TEXT, [STORE_BLOB] = OID_BYTEA};
    parameters->types[i] = types[value->type];
    parameters->formats[i] = 1; /* binary */
    parameters->lengths[i] = (int)value->len;
    parameters->values[i] = value->data != NULL ? value->data : "";
    if (value->type == STORE_NULL)
        parameters->values[i] = NULL;
    if (value->type == STORE_INT) {
        parameters->integers[i] = (int64_t)htobe64((uint64_t)value->integer);
        parameters->values[i] = (const char *)&parameters->integers[i];
        parameters->lengths[i] = sizeof(int64_t);
    }
}

enum status link_send(struct link *link, const char *sql, const struct store_value *values, size_t count)
{
    struct parameters parameters;
    struct statement *statement;
    if (link->failed != STATUS_OK)
        return link->failed;
    if (link->conn == NULL)
        return STATUS_UNAVAILABLE;
    if (count > PARAMETERS_MAX) {
        set_reason(link, "too many parameters");
        return STATUS_INTERNAL;
    }
    TRY(get_statement(link, sql, &statement));
    for (size_t i = 0; i < count; i++)
        set_parameter(&parameters, i, &values[i]);
    if (!statement->is_prepared)
        TRY(prepare(link, statement, parameters.types, count));
    return sent(link,
                PQsendQueryPrepared(link->conn, statement->name, (int)count, parameters.values, parameters.lengths,
                                    parameters.formats, 1),
                AWAIT_QUERY, statement);
}

enum status link_command(struct link *link, const char *sql)
{
    if (link->conn == NULL)
        return STATUS_UNAVAILABLE;
    return sent(link, PQsendQueryParams(link->conn, sql, 0, NULL, NULL, NULL, NULL, 1), AWAIT_COMMAND, NULL);
}

enum status link_sync(struct link *link)
{
    if (link->conn == NULL)
        return STATUS_UNAVAILABLE;
    if (link->unsynced == 0)
        return STATUS_OK;
    if (PQpipelineSync(link->conn) == 0)
        return lose(link);
    expect(link, AWAIT_SYNC, NULL);
    link->unsynced = 0;
    return STATUS_OK;
}

/* Receiving */

static PGresult *next_result(struct link *link, int64_t until, bool *ret_is_lost)
{
    while (PQisBusy(link->conn) != 0)
        if (!flush(link, until) || !wait_for_socket(link, false, until)) {
            *ret_is_lost = true;
            return NULL;
        }
    return PQgetResult(link->conn);
}

static void note_failure(struct link *link, enum status status, const struct awaited *awaited, bool is_own)
{
    if (awaited->kind == AWAIT_PREPARE)
        awaited->statement->is_prepared = false;
    if (link->failed != STATUS_OK)
        return;
    link->failed = status;
    link->is_own_failure = is_own;
}

static enum status give_rows(PGresult *result, store_row_fn *each, void *arg)
{
    struct link_row handle = {.result = result};
    const struct store_row row = {.driver = &postgres_driver, .handle = &handle};
    for (int rows = PQntuples(result); handle.number < rows; handle.number++)
        TRY(each(&row, arg));
    return STATUS_OK;
}

struct receiving {
    store_row_fn *each;
    void *arg;
    enum status row_status; /* what the row function ended with */
    int64_t until;
};

static void take_result(struct link *link, PGresult *result, const struct awaited *awaited, bool is_last,
                        struct receiving *receiving)
{
    switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
    case PGRES_TUPLES_OK:
        if (is_last && receiving->each != NULL && receiving->row_status == STATUS_OK)
            receiving->row_status = give_rows(result, receiving->each, receiving->arg);
        link->changed = strncmp(PQcmdStatus(result), "SELECT", 6) == 0 ? 0 : strtoll(PQcmdTuples(result), NULL, 10);
        break;
    case PGRES_COMMAND_OK:
        if (awaited->kind == AWAIT_QUERY)
            link->changed = strtoll(PQcmdTuples(result), NULL, 10);
        link->is_committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
        break;
    case PGRES_PIPELINE_SYNC:
        break;
    case PGRES_PIPELINE_ABORTED: /* because of one before it */
        note_failure(link, STATUS_ABORTED, awaited, false);
        break;
    default:
        note_failure(link, status_of(link, result), awaited, is_last);
    }
}

/* All results of one entry. A sync is one result without an end; each other ends with NULL. */
static bool take_entry(struct link *link, struct receiving *receiving)
{
    struct awaited awaited = link->awaited[link->first];
    bool is_last = awaited.kind == AWAIT_QUERY && link->count == 2, is_lost = false; /* before the sync */
    if (is_last && receiving->each != NULL)
        PQsetSingleRowMode(link->conn);
    for (;;) {
        PGresult *result = next_result(link, receiving->until, &is_lost);
        if (is_lost)
            return false;
        if (result == NULL) {
            is_lost = awaited.kind == AWAIT_SYNC;
            break;
        }
        take_result(link, result, &awaited, is_last, receiving);
        PQclear(result);
        if (awaited.kind == AWAIT_SYNC)
            break;
    }
    link->first = (link->first + 1) % link->size;
    link->count--;
    return !is_lost && PQstatus(link->conn) == CONNECTION_OK;
}

enum status link_wait(struct link *link, store_row_fn *each, void *arg)
{
    struct receiving receiving = {.each = each, .arg = arg, .row_status = STATUS_OK, .until = deadline(link)};
    TRY(link_sync(link));
    while (link->count > 0) {
        if (!take_entry(link, &receiving))
            return lose(link);
    }
    return link->failed != STATUS_OK ? link->failed : receiving.row_status;
}

enum status link_script(struct link *link, const char *sql)
{
    TRY(link_wait(link, NULL, NULL));
    PQsetnonblocking(link->conn, 0);
    if (PQexitPipelineMode(link->conn) == 0)
        return lose(link);
    PGresult *result = PQexec(link->conn, sql);
    ExecStatusType code = PQresultStatus(result);
    enum status status = code == PGRES_COMMAND_OK || code == PGRES_TUPLES_OK ? STATUS_OK : status_of(link, result);
    PQclear(result);
    if (PQenterPipelineMode(link->conn) == 0 || PQsetnonblocking(link->conn, 1) != 0)
        return lose(link);
    return link->failed = status;
}

/* Notifications */

static bool take_notifications(struct link *link)
{
    bool is_any = false;
    for (PGnotify *notice; (notice = PQnotifies(link->conn)) != NULL; PQfreemem(notice))
        is_any = true;
    return is_any;
}

static void sleep_ms(int64_t ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

void link_await(struct link *link, int64_t ms)
{
    if (link->conn == NULL) {
        int64_t pause = link->retry_at - now_ms();
        sleep_ms(pause < 0 ? 0 : pause < ms ? pause : ms);
        return;
    }
    if (take_notifications(link))
        return;
    struct pollfd file = {.fd = PQsocket(link->conn), .events = POLLIN};
    if (poll(&file, 1, (int)ms) > 0 && PQconsumeInput(link->conn) == 0)
        (void)!lose(link);
    else
        take_notifications(link);
}
