/* SPDX-License-Identifier: Apache-2.0 */
#include "store/postgres_link.h"

#include "base/clock.h"
#include "base/log.h"
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
    PARAMETERS_MAX = 160, /* MANY_ROWS of a copy, of STORE_COLUMNS_MAX */
    UNSENT_MAX = 512,     /* statements between two looks at the socket */
    REPLY_MARGIN_MS =
        2000,     /* the server ends a statement that takes too long; this much later we stop believing in it */
    LOOK_MS = 50, /* between two looks whether a statement is still waited for */
};

/* Types of parameters (pg_type.dat); 0: what the context says. */
enum { OID_UNKNOWN = 0, OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25 };

int64_t link_time_ms(void)
{
    return clock_monotonic() / 1000;
}

void link_set_reason(struct link *link, const char *text)
{
    snprintf(link->reason, sizeof link->reason, "%.*s", (int)strcspn(text, "\n"), text);
}

bool link_is_open(const struct link *link)
{
    return link->conn != NULL;
}

void link_forgive(struct link *link)
{
    link->failed = link->given_up = STATUS_OK;
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
    link->retry_at = link_time_ms() + LINK_PAUSE_MS;
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
enum status link_lose(struct link *link)
{
    if (link->conn != NULL && PQerrorMessage(link->conn)[0] != '\0')
        link_set_reason(link, PQerrorMessage(link->conn));
    link_close(link);
    link->is_severed = true;
    if (link->given_up == STATUS_OK)
        return link->failed = STATUS_UNAVAILABLE;
    link->retry_at = 0; /* there is nothing wrong with the server */
    return link->failed = link->given_up;
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
    /* A conflict, a deadlock; a table or a column that another replica made at the same moment. */
    if (is_class(state, "40001") || is_class(state, "40P01") || is_class(state, "42P07") || is_class(state, "42701"))
        return STATUS_CONFLICT;
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
    link_set_reason(link, message != NULL ? message : PQresultErrorMessage(result));
    bool is_gone = state == NULL || (is_class(state, "08") && !is_class(state, "08P01")) || is_class(state, "57P");
    bool is_standby = state != NULL && link->role == LINK_WRITER && is_class(state, "25006");
    link->is_severed = link->is_severed || is_gone || is_standby;
    if (state == NULL) /* libpq's own: the connection */
        return STATUS_UNAVAILABLE;
    return classify(link, state);
}

/* Sending */

static void expect(struct link *link, struct awaited entry)
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
    link->awaited[(link->first + link->count++) % link->size] = entry;
}

/* The server is told to stop, and the connection goes with the statement: it could not tell whether that was still in
 * time, and the next statement is not to be stopped in its place. */
static bool is_given_up(struct link *link)
{
    enum status status = link->waits == NULL ? STATUS_OK : link->waits(link->waiter);
    if (status == STATUS_OK)
        return false;
    char why[STORE_WHY_MAX];
    PGcancel *cancel = PQgetCancel(link->conn);
    if (cancel != NULL)
        PQcancel(cancel, why, sizeof why);
    PQfreeCancel(cancel);
    link_set_reason(link, "nobody waits for it any more");
    link->given_up = status;
    return true;
}

/* Waits until the socket can be read, or written where that is wanted. False: the connection is to be given up, if it
 * was not already. */
static bool wait_for_socket(struct link *link, bool wants_write, int64_t until)
{
    for (;;) {
        int64_t now = link_time_ms(), left = until - now;
        struct pollfd file = {.fd = PQsocket(link->conn), .events = (short)(wants_write ? POLLIN | POLLOUT : POLLIN)};
        if (is_given_up(link))
            return false;
        bool is_look = link->waits != NULL && left > LOOK_MS;
        int ready = left <= 0 ? 0 : poll(&file, 1, (int)(is_look ? LOOK_MS : left));
        if ((ready < 0 && errno == EINTR) || (ready == 0 && is_look))
            continue;
        if (ready <= 0) {
            link_set_reason(link, "the database does not answer");
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
    return link_time_ms() + link->reply_timeout_ms + REPLY_MARGIN_MS;
}

static enum status sent(struct link *link, int is_sent, struct awaited entry)
{
    if (is_sent == 0)
        return link_lose(link);
    expect(link, entry);
    link->unsynced++;
    if (link->unsynced % UNSENT_MAX == 0 && !flush(link, deadline(link)))
        return link_lose(link);
    return STATUS_OK;
}

static enum status prepare(struct link *link, struct statement *statement, const Oid *types, size_t count)
{
    int is_sent = PQsendPrepare(link->conn, statement->name, statement->sql, (int)count, types);
    statement->is_prepared = true; /* unless the answer says otherwise */
    return sent(link, is_sent, (struct awaited){.kind = AWAIT_PREPARE, .statement = statement});
}

static enum status get_statement(struct link *link, const char *sql, struct statement **ret_statement)
{
    struct statement *statement;
    HASH_FIND_PTR(link->statements, &sql, statement);
    if (statement != NULL && strcmp(statement->copy, sql) != 0) {
        link_set_reason(link, "the SQL is not a literal");
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

enum status link_send(struct link *link, const char *sql, const struct store_value *values, size_t count,
                      int64_t *ret_changed)
{
    struct parameters parameters;
    struct statement *statement;
    if (link->failed != STATUS_OK)
        return link->failed;
    if (link->conn == NULL)
        return STATUS_UNAVAILABLE;
    if (count > PARAMETERS_MAX) {
        link_set_reason(link, "too many parameters");
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
                (struct awaited){.kind = AWAIT_QUERY, .statement = statement, .changed = ret_changed});
}

enum status link_command(struct link *link, const char *sql)
{
    if (link->conn == NULL)
        return STATUS_UNAVAILABLE;
    return sent(link, PQsendQueryParams(link->conn, sql, 0, NULL, NULL, NULL, NULL, 1),
                (struct awaited){.kind = AWAIT_COMMAND});
}

enum status link_sync(struct link *link)
{
    if (link->conn == NULL)
        return STATUS_UNAVAILABLE;
    if (link->unsynced == 0)
        return STATUS_OK;
    if (PQpipelineSync(link->conn) == 0)
        return link_lose(link);
    expect(link, (struct awaited){.kind = AWAIT_SYNC});
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
        if (awaited->changed != NULL)
            *awaited->changed = link->changed;
        link->is_committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
        break;
    case PGRES_PIPELINE_SYNC:
        break;
    case PGRES_PIPELINE_ABORTED: /* because of one before it */
        note_failure(link, STATUS_CONFLICT, awaited, false);
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
            return link_lose(link);
    }
    return link->failed != STATUS_OK ? link->failed : receiving.row_status;
}

enum status link_script(struct link *link, const char *sql)
{
    TRY(link_wait(link, NULL, NULL));
    PQsetnonblocking(link->conn, 0);
    if (PQexitPipelineMode(link->conn) == 0)
        return link_lose(link);
    PGresult *result = PQexec(link->conn, sql);
    ExecStatusType code = PQresultStatus(result);
    enum status status = code == PGRES_COMMAND_OK || code == PGRES_TUPLES_OK ? STATUS_OK : status_of(link, result);
    PQclear(result);
    if (PQenterPipelineMode(link->conn) == 0 || PQsetnonblocking(link->conn, 1) != 0)
        return link_lose(link);
    return link->failed = status;
}
