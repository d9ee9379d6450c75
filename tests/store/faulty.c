/* SPDX-License-Identifier: Apache-2.0 */
#include "faulty.h"

#include <stdlib.h>

struct faulty_database {
    struct database base;
    struct database *inner;
};

struct faulty_connection {
    struct connection base;
    struct faulty *faulty;
    struct connection *inner;
    bool writes;
};

static struct faulty_connection *of(struct connection *connection)
{
    return (struct faulty_connection *)connection;
}

static bool fails_now(struct faulty_connection *connection, enum faulty_kind kind)
{
    struct faulty *faulty = connection->faulty;
    if (!connection->writes || (faulty->kind != FAULTY_ANY && faulty->kind != kind))
        return false;
    int left = atomic_load(&faulty->calls_to_fail);
    if (left == 0 || (left == -1 && !atomic_load(&faulty->is_lasting)))
        return false;
    if (left > 0)
        atomic_store(&faulty->calls_to_fail, left == 1 ? -1 : left - 1);
    return left == 1 || left == -1;
}

/* The status of a call, or the fault in its stead. */
#define CALL(connection, kind, call) \
    do { \
        struct faulty_connection *own = of(connection); \
        const struct driver *inner = own->faulty->inner; \
        if (!fails_now(own, kind)) \
            return inner->call; \
        if ((kind) == FAULTY_COMMIT && own->faulty->has_effect) { \
            enum status status = inner->call; \
            return status == STATUS_OK ? own->faulty->status : status; \
        } \
        inner->rollback(own->inner); /* as SQLite does on a full disk */ \
        return own->faulty->status; \
    } while (0)

static enum status faulty_begin(struct connection *connection)
{
    CALL(connection, FAULTY_ANY, begin(own->inner));
}

static enum status faulty_lock(struct connection *connection)
{
    CALL(connection, FAULTY_ANY, lock(own->inner));
}

static enum status faulty_commit(struct connection *connection)
{
    CALL(connection, FAULTY_COMMIT, commit(own->inner));
}

static enum status faulty_start(struct connection *connection, bool marked)
{
    CALL(connection, FAULTY_ANY, start(own->inner, marked));
}

static enum status faulty_keep(struct connection *connection)
{
    CALL(connection, FAULTY_ANY, keep(own->inner));
}

static enum status faulty_undo(struct connection *connection)
{
    CALL(connection, FAULTY_ANY, undo(own->inner));
}

static enum status faulty_run(struct connection *connection, const char *sql, const struct store_value *values,
                              size_t count, store_row_fn *each, void *arg)
{
    CALL(connection, FAULTY_ANY, run(own->inner, sql, values, count, each, arg));
}

static enum status faulty_send(struct connection *connection, const char *sql, const struct store_value *values,
                               size_t count, int64_t *ret_changed)
{
    CALL(connection, FAULTY_ANY, send(own->inner, sql, values, count, ret_changed));
}

static void faulty_attend(struct connection *connection, store_waits_fn *waits, const void *waiter)
{
    of(connection)->faulty->inner->attend(of(connection)->inner, waits, waiter);
}

static enum status faulty_now(struct connection *connection, int64_t *ret_time)
{
    return of(connection)->faulty->inner->now(of(connection)->inner, ret_time);
}

static void faulty_announce(struct connection *connection)
{
    of(connection)->faulty->inner->announce(of(connection)->inner);
}

static void faulty_await(struct connection *connection, int64_t ms)
{
    of(connection)->faulty->inner->await(of(connection)->inner, ms);
}

static enum status faulty_changes(struct connection *connection, int64_t *ret_rows)
{
    return of(connection)->faulty->inner->changes(of(connection)->inner, ret_rows);
}

static enum status faulty_lock_schema(struct connection *connection)
{
    CALL(connection, FAULTY_ANY, lock_schema(own->inner));
}

static enum status faulty_script(struct connection *connection, const char *sql)
{
    CALL(connection, FAULTY_ANY, script(own->inner, sql));
}

static void faulty_rollback(struct connection *connection)
{
    of(connection)->faulty->inner->rollback(of(connection)->inner);
}

static const char *faulty_reason(struct connection *connection)
{
    return of(connection)->faulty->inner->reason(of(connection)->inner);
}

static void faulty_tidy(struct connection *connection)
{
    of(connection)->faulty->inner->tidy(of(connection)->inner);
}

static enum status faulty_open(const struct driver *driver, const struct store_options *options,
                               struct database **ret_database, char why[STORE_WHY_MAX])
{
    const struct faulty *faulty = (const struct faulty *)driver;
    struct faulty_database *database = calloc(1, sizeof *database);
    database->base.driver = driver;
    enum status status = faulty->inner->open(faulty->inner, options, &database->inner, why);
    if (status == STATUS_OK)
        *ret_database = &database->base;
    else
        free(database);
    return status;
}

static void faulty_close(struct database *base)
{
    struct faulty_database *database = (struct faulty_database *)base;
    database->inner->driver->close(database->inner);
    free(database);
}

static enum status faulty_connect(struct database *base, enum connection_use use, struct connection **ret_connection,
                                  char why[STORE_WHY_MAX])
{
    struct faulty_database *database = (struct faulty_database *)base;
    struct faulty_connection *connection = calloc(1, sizeof *connection);
    connection->base.driver = base->driver;
    connection->faulty = (struct faulty *)base->driver;
    connection->writes = use == CONNECTION_WRITES;
    enum status status = database->inner->driver->connect(database->inner, use, &connection->inner, why);
    if (status == STATUS_OK)
        *ret_connection = &connection->base;
    else
        free(connection);
    return status;
}

static void faulty_disconnect(struct connection *connection)
{
    of(connection)->faulty->inner->disconnect(of(connection)->inner);
    free(connection);
}

void faulty_init(struct faulty *faulty, const struct driver *inner)
{
    *faulty = (struct faulty){.driver = *inner, .inner = inner};
    faulty->driver.open = faulty_open;
    faulty->driver.close = faulty_close;
    faulty->driver.connect = faulty_connect;
    faulty->driver.disconnect = faulty_disconnect;
    faulty->driver.begin = faulty_begin;
    faulty->driver.lock = faulty_lock;
    faulty->driver.commit = faulty_commit;
    faulty->driver.rollback = faulty_rollback;
    faulty->driver.start = faulty_start;
    faulty->driver.keep = faulty_keep;
    faulty->driver.undo = faulty_undo;
    faulty->driver.run = faulty_run;
    faulty->driver.send = faulty_send;
    faulty->driver.changes = faulty_changes;
    faulty->driver.attend = faulty_attend;
    faulty->driver.now = faulty_now;
    faulty->driver.announce = faulty_announce;
    faulty->driver.await = faulty_await;
    faulty->driver.lock_schema = faulty_lock_schema;
    faulty->driver.script = faulty_script;
    faulty->driver.reason = faulty_reason;
    faulty->driver.tidy = faulty_tidy;
}

void faulty_arm(struct faulty *faulty, int n, enum faulty_kind kind, enum status status)
{
    faulty->kind = kind;
    faulty->status = status;
    atomic_store(&faulty->calls_to_fail, n);
}

bool faulty_disarm(struct faulty *faulty)
{
    return atomic_exchange(&faulty->calls_to_fail, 0) == -1;
}
