/* SPDX-License-Identifier: Apache-2.0 */
/* Making a connection, and listening on it. */
#include "store/postgres_link.h"

#include "base/log.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    WRITER_IDLE_MS = 2000, /* a writer that stops in the middle holds up the others for so long, and no longer */
    READER_IDLE_MS = 30000,
    LOCK_MS = 5000,
};

static bool execute(struct link *link, const char *sql)
{
    PGresult *result = PQexec(link->conn, sql);
    ExecStatusType status = PQresultStatus(result);
    bool is_well = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!is_well)
        link_set_reason(link, PQresultErrorMessage(result));
    PQclear(result);
    return is_well;
}

/* A standby is behind: what was ended may still be live there. */
static bool is_standby(struct link *link)
{
    PGresult *result = PQexec(link->conn, "SELECT pg_is_in_recovery()");
    bool is_one = PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), "t") == 0;
    PQclear(result);
    if (is_one)
        link_set_reason(link, "the server is a standby; target_session_attrs=read-write finds the primary");
    return is_one;
}

/* Not every relative of PostgreSQL knows notifications: some call them an error, some warn that they do nothing. There
 * a replica hears of a change when it looks next, and the writer must leave them out: a failed NOTIFY would undo what
 * it announces. */
static bool try_notifications(struct link *link)
{
    link->is_warned = false;
    PGresult *result = PQexec(link->conn, link->role == LINK_LISTENER ? "LISTEN gatehouse" : "NOTIFY gatehouse");
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    bool is_done = PQresultStatus(result) == PGRES_COMMAND_OK;
    bool is_unknown = state != NULL && (strcmp(state, "0A000") == 0 || strcmp(state, "42601") == 0);
    link->has_notifications = is_done && !link->is_warned;
    if (!is_done)
        link_set_reason(link, PQresultErrorMessage(result));
    PQclear(result);
    if (!link->has_notifications && (is_done || is_unknown))
        log_write(LOG_LEVEL_WARN, "store_without_notifications", "for",
                  link->role == LINK_LISTENER ? "following" : "writes", "reason", link->reason, NULL);
    link->is_warned = false;
    return is_done || is_unknown;
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
    if (!execute(link, sql) || is_standby(link))
        return false;
    /* So that the server, too, notices that the network has gone. Its relatives need not know these. */
    execute(link, "SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3;"
                  "SET tcp_user_timeout = 5000");
    link->reason[0] = '\0';
    return link->role == LINK_READER || try_notifications(link);
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

/* libpq's, within a call of its: the result stays libpq's. */
static void note_warning(void *arg, const PGresult *result)
{
    struct link *link = arg;
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    link_set_reason(link, message == NULL ? "a warning" : message);
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
    if (link_time_ms() < link->retry_at)
        return STATUS_UNAVAILABLE;
    link->reason[0] = '\0';
    link_forgive(link);
    PQconninfoOption *options = PQconninfoParse(link->url, NULL);
    if (options == NULL) { /* libpq's own message would repeat it, password and all */
        link_set_reason(link, "its address cannot be understood");
        return STATUS_INVALID_ARGUMENT;
    }
    PQconninfoFree(options);
    link->conn = connect_to(link);
    if (link->conn == NULL)
        return link_lose(link);
    PQsetNoticeReceiver(link->conn, note_warning, link);
    if (PQstatus(link->conn) != CONNECTION_OK || !configure(link) || PQenterPipelineMode(link->conn) == 0 ||
        PQsetnonblocking(link->conn, 1) != 0)
        return link_lose(link);
    return STATUS_OK;
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
        int64_t pause = link->retry_at - link_time_ms();
        sleep_ms(pause < 0 ? 0 : pause < ms ? pause : ms);
        return;
    }
    if (take_notifications(link))
        return;
    struct pollfd file = {.fd = PQsocket(link->conn), .events = POLLIN};
    if (poll(&file, 1, (int)ms) > 0 && PQconsumeInput(link->conn) == 0)
        (void)!link_lose(link);
    else
        take_notifications(link);
}
