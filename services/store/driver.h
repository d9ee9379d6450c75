/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a backend implements. Everything that is the same for all of them (the queues, the threads, the group commit,
 * the migrations) lies above this line; whatever only one database knows lies below it.
 *
 * A connection is used by one thread at a time. Statuses: as in store.h, and STATUS_CONFLICT: the transaction is lost
 * through nobody's fault (a conflict with another replica); roll back and call its functions again.
 */
#ifndef STORE_DRIVER_H
#define STORE_DRIVER_H

#include "store/store.h"

struct driver;

/* Each is the first member of the driver's own structure. */
struct database {
    const struct driver *driver;
};
struct connection {
    const struct driver *driver;
};

struct store_row {
    const struct driver *driver;
    void *handle;
};

enum { STORE_WHY_MAX = 256 };

enum connection_use {
    CONNECTION_WRITES,
    CONNECTION_READS,
    CONNECTION_FOLLOWS, /* reads, and hears what other processes announce */
};

struct driver {
    const char *scheme; /* how its URLs begin: "sqlite:" */
    bool is_shared;     /* see store_is_shared */
    enum store_dialect dialect;

    /* Opens and checks the database that the URL names. The options outlive it. */
    enum status (*open)(const struct driver *driver, const struct store_options *options,
                        struct database **ret_database, char why[STORE_WHY_MAX]);
    void (*close)(struct database *database);
    enum status (*connect)(struct database *database, enum connection_use use, struct connection **ret_connection,
                           char why[STORE_WHY_MAX]);
    void (*disconnect)(struct connection *connection);

    /* A transaction. After an error of any of these or of run, rollback; it never fails, and does nothing outside one.
     * begin makes a broken connection anew. commit returns STATUS_OK when all is on stable storage. */
    enum status (*begin)(struct connection *connection);
    /* From here on alone among the transactions, of all processes, that called this. */
    enum status (*lock)(struct connection *connection);
    enum status (*commit)(struct connection *connection);
    void (*rollback)(struct connection *connection);

    /* Several functions in one transaction: start, the function, then keep or undo.
     * keep: where marked, waits for its statements and returns their error.
     * undo: takes back what was done since start; STATUS_CONFLICT where only a mark would have made that possible;
     *       another error where the transaction as a whole is lost. */
    enum status (*start)(struct connection *connection, bool marked);
    enum status (*keep)(struct connection *connection);
    enum status (*undo)(struct connection *connection);

    enum status (*run)(struct connection *connection, const char *sql, const struct store_value *values, size_t count,
                       store_row_fn *each, void *arg);
    /* *ret_changed (may be NULL) is set when the statement was carried out: at the latest when commit returns. */
    enum status (*send)(struct connection *connection, const char *sql, const struct store_value *values, size_t count,
                        int64_t *ret_changed);
    enum status (*changes)(struct connection *connection, int64_t *ret_rows);

    /* Whom the statements are for that run from here on, until the next call of this: they are broken off when `waits`
     * is not STATUS_OK, and run returns what it said. NULL: nobody who could give up. */
    void (*attend)(struct connection *connection, store_waits_fn *waits, const void *waiter);

    /* See store_now. */
    enum status (*now)(struct connection *connection, int64_t *ret_time);

    /* The commit of this transaction ends the other processes' await. */
    void (*announce)(struct connection *connection);
    void (*await)(struct connection *connection, int64_t ms);

    /* In a transaction that changes the schema: from here on alone among those of all processes, without a limit of
     * time. */
    enum status (*lock_schema)(struct connection *connection);

    /* Runs the statements of a migration, in the database's own dialect (records/schema.h says what may differ). */
    enum status (*script)(struct connection *connection, const char *sql);

    /* Why the last call failed, for a log. */
    const char *(*reason)(struct connection *connection);

    /* Is called on the writing connection outside a transaction, after answers went out: time for the upkeep. */
    void (*tidy)(struct connection *connection);

    bool (*row_is_null)(void *handle, int column);
    int64_t (*row_int)(void *handle, int column);
    const char *(*row_text)(void *handle, int column);
    const void *(*row_blob)(void *handle, int column, size_t *ret_len);
};

extern const struct driver sqlite_driver, postgres_driver;

/* store_open with a driver of the caller's: how tests put one between (tests/store/faulty.c). */
enum status store_open_driver(const struct driver *driver, const struct store_options *options,
                              struct store **ret_store, char why[STORE_WHY_MAX]);

#endif
