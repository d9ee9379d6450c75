/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: transactions over SQL, one contract for every backend.
 *
 * A transaction is a function. store_write queues it; the store calls it on a thread of its own with a struct store_tx,
 * on which it runs statements one after the other and sees its own effects. What it promises:
 *
 * Atomicity   When the function returns STATUS_OK, all its statements take effect or none. When it returns anything
 *             else, none does. Several functions may share one commit of the database (group commit); the failure of
 *             one does not undo another.
 * Durability  done(STATUS_OK) is called after the commit is on stable storage, never before. Any other status: nothing
 *             of this transaction is or will be visible, with one exception: if the connection to a database elsewhere
 *             broke during the commit, done gets STATUS_UNKNOWN, and the effect may be there or not.
 * Order       Write transactions take effect one after the other, as if alone; done is called in that order, one at a
 *             time. A write whose done was called is seen by every read that is queued later, on this process.
 * Isolation   A read function sees one state of the database, and cannot change it.
 * Processes   Where several write to one database, all this holds for store_write among all of them. What is queued by
 *             store_write_beside is not alone: other processes' writes may take effect between its statements. It must
 *             not wait for them either, so it inserts only keys that are new, and changes only rows that are free: a
 *             sub-select with FOR UPDATE SKIP LOCKED leaves out the rows that another process is changing.
 * Retry       The function may be called again from its beginning (a conflict with another replica, or the commit it
 *             shared was undone). It must set its outputs anew each time and have no effect outside but through tx.
 *
 * Givers up    Whoever waits for a transaction may have a function asked whether he still does (struct store_job).
 * Nobody does: what has not begun is dropped, and a read that runs is broken off; done gets what that function said,
 * and nothing happened. A write that runs is carried out and committed.
 *
 * Threads: store_write and store_read never block on I/O and may be called from any thread, `done` included. `done`
 * runs on the store's completion thread (writes, and all that was refused) or a reader's (reads) and must not block.
 * Only where memory has run out it runs on the caller's own, inside the call.
 *
 * Errors: STATUS_UNAVAILABLE the database cannot be used now (disk full, locked by another process, server gone,
 * queue full); nothing happened; try later. STATUS_ALREADY_EXISTS a unique key is taken (from store_run).
 * STATUS_INTERNAL a statement that is wrong: a bug, which the store logs. A statement that failed is the transaction's
 * last: all later ones return the same status, and a function that returns STATUS_OK nevertheless gets it too (it may
 * return another error). To insert only what is not there, use ON CONFLICT DO NOTHING and store_changes. After an error
 * of the disk that leaves in doubt what is stored, the process ends at once with a line in the log: it never continues
 * as if nothing had happened.
 *
 * SQL: what SQLite 3.40 and PostgreSQL 15 both know; STORE_SQL_BY where they need different words. Parameters are
 * $1, $2, … in order of appearance. Types:
 * BIGINT, TEXT, BLOB (the word BYTEA is put in its place for PostgreSQL, in migrations only). Booleans are BIGINT. Text
 * sorts by its bytes.
 */
#ifndef STORE_H
#define STORE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct store_tx;

typedef enum status store_fn(struct store_tx *tx, void *arg);
typedef void store_done_fn(enum status status, void *arg);

struct store_options {
    const char *url;                   /* "sqlite:/path/file" or "postgresql://…"; must live as long as the store */
    const struct store_schema *schema; /* brought up to date at the opening; must live as long as the store */
    bool create;                       /* make the database if it is not there (sqlite); otherwise that is an error */
    bool is_unchecked;                 /* rows may come before those that they refer to: for a copy */
    int readers;                       /* reading connections of each kind of read; 0: 2 */
    size_t queue_max;         /* transactions waiting, of each kind; one more is answered UNAVAILABLE; 0: 65,536 */
    int64_t busy_timeout_ms;  /* how long to wait for a lock that another process holds, or to connect; 0: 2,000 */
    int64_t checked_wholly;   /* a file of at most so many bytes is read wholly at the opening; 0: 64 MiB */
    int64_t reply_timeout_ms; /* how long a database elsewhere may take for one statement; 0: 10,000 */
};

/* Opens, checks the database's integrity, and brings its schema up to date. Otherwise there is a sentence in `why`:
 * STATUS_FAILED_PRECONDITION (newer than this program, not ours, damaged, not ours to write), STATUS_UNAVAILABLE (may
 * pass: in use by another daemon, locked, out of reach, a full disk), STATUS_NOT_FOUND (not there, and not to be made),
 * STATUS_INVALID_ARGUMENT (no such URL). */
enum status store_open(const struct store_options *options, struct store **ret_store, char why[256]);

/* Waits until everything queued is done; what a `done` queues meanwhile is refused. NULL is fine. */
void store_close(struct store *store);

/* Each kind of read has connections of its own, so that none waits for another kind. */
enum store_kind {
    STORE_WRITE,
    STORE_WRITE_BESIDE,
    STORE_READ,       /* a few rows by their key: what introspection and issuing wait for */
    STORE_READ_ADMIN, /* a page of a list, say */
    STORE_READ_LONG,  /* may take minutes: one after the other on each connection, in a transaction of its own */
};
enum { STORE_READ_KINDS = 3 };

/* STATUS_OK: it is still waited for. Else what done is to hear (not STATUS_UNKNOWN, nor any that a driver gives).
 * Quick; from any thread, between store_submit and done. */
typedef enum status store_waits_fn(const void *waiter);

struct store_job {
    enum store_kind kind;
    store_fn *fn;
    store_done_fn *done;
    void *arg;             /* of both */
    store_waits_fn *waits; /* NULL: it is run whatever happens */
    const void *waiter;
};
/* Queues it. job is copied; what it points to lives until its `done` was called. */
void store_submit(struct store *store, const struct store_job *job);

/* The same, run whatever happens. */
void store_write(struct store *store, store_fn *fn, store_done_fn *done, void *arg);
void store_write_beside(struct store *store, store_fn *fn, store_done_fn *done, void *arg);
void store_read(struct store *store, store_fn *fn, store_done_fn *done, void *arg);

/* Waiting for the end. Not from a store's own thread. */
enum status store_write_wait(struct store *store, store_fn *fn, void *arg);
enum status store_read_wait(struct store *store, store_fn *fn, void *arg);

/* Do other processes write to the same database? (Then what is in memory may be behind.) */
bool store_is_shared(const struct store *store);

/* Of a shared store, and from one thread at a time: waits until another process has announced something (it may have
 * been this one), at most `ms`; then runs a read on a connection of its own, at once. */
enum status store_follow(struct store *store, int64_t ms, store_fn *fn, void *arg);

/* Could the last write be committed, or fail for a reason of its own? False: the disk is full, say. From any thread. */
bool store_is_writable(const struct store *store);

/* Commits made and write transactions in them, since open; for metrics and for tests of "no write per call". */
void store_counters(const struct store *store, uint64_t *ret_commits, uint64_t *ret_writes);

/* A parameter of a statement. What it points to must live until store_run returns. */
struct store_value {
    enum { STORE_NULL, STORE_INT, STORE_TEXT, STORE_BLOB } type;
    int64_t integer;
    const void *data;
    size_t len;
};

static inline struct store_value store_null(void)
{
    return (struct store_value){.type = STORE_NULL};
}
static inline struct store_value store_int(int64_t integer)
{
    return (struct store_value){.type = STORE_INT, .integer = integer};
}
struct store_value store_text(const char *text); /* NULL becomes SQL's NULL */
static inline struct store_value store_blob(const void *data, size_t len)
{
    return (struct store_value){.type = STORE_BLOB, .data = data, .len = len};
}

/* One row of an answer, valid inside the row function only. Columns count from 0. NULL reads as 0, NULL or len 0. */
struct store_row;
bool store_row_is_null(const struct store_row *row, int column);
int64_t store_row_int(const struct store_row *row, int column);
const char *store_row_text(const struct store_row *row, int column);
const void *store_row_blob(const struct store_row *row, int column, size_t *ret_len);

/* Is called for each row; another status than STATUS_OK ends the statement and is what store_run returns; it is no
 * failure of the statement, others may follow. A row function must not run statements itself (STATUS_INTERNAL). */
typedef enum status store_row_fn(const struct store_row *row, void *arg);

/* A store_row_fn: *(int64_t *)arg becomes the row's first column. */
enum status store_read_int(const struct store_row *row, void *arg);

/* A statement's text, a literal: its address names the prepared statement. All of them lie in one section, where a test
 * finds and EXPLAINs each (tests/records); those that are in another name the backend that they are for. */
#define STORE_SQL(text) STORE_SQL_IN("store_sql", text)
#define STORE_SQL_IN(section_name, text) \
    __extension__({ \
        static const char statement_text[] __attribute__((section(section_name), used, aligned(1))) = text; \
        statement_text; \
    })

/* The same statement where the backends need different words; the parameters are the same. */
#define STORE_SQL_BY(tx, sqlite, postgres) \
    (store_dialect(tx) == STORE_SQLITE ? STORE_SQL_IN("store_sql_sqlite", sqlite) \
                                       : STORE_SQL_IN("store_sql_postgres", postgres))
enum store_dialect { STORE_SQLITE, STORE_POSTGRES };
enum store_dialect store_dialect(const struct store_tx *tx);

/* Runs one statement, of which `sql` is the text, as STORE_SQL gives it. `each` may be NULL. */
enum status store_run_n(struct store_tx *tx, const char *sql, const struct store_value *values, size_t count,
                        store_row_fn *each, void *arg);

#define STORE_VALUES(...) ((const struct store_value[]){__VA_ARGS__})
#define store_run(tx, sql, each, arg, ...) store_run_by(tx, STORE_SQL(sql), each, arg, __VA_ARGS__)
/* With a text of STORE_SQL_BY. */
#define store_run_by(tx, sql, each, arg, ...) \
    store_run_n(tx, sql, STORE_VALUES(__VA_ARGS__), sizeof STORE_VALUES(__VA_ARGS__) / sizeof(struct store_value), \
                each, arg)

/* The same for a statement that gives no rows and whose error the function does not care to tell from others: a
 * database elsewhere gets it without being waited for, and an error shows at the next store_run, or at the commit. */
enum status store_send_n(struct store_tx *tx, const char *sql, const struct store_value *values, size_t count,
                         int64_t *ret_changed);
#define store_send(tx, sql, ...) store_send_counted(tx, sql, NULL, __VA_ARGS__)

/* And *ret_changed is how many rows it inserted, changed or deleted; it is set at the latest when the transaction
 * commits, and must live until then. */
#define store_send_counted(tx, sql, ret_changed, ...) store_send_by(tx, STORE_SQL(sql), ret_changed, __VA_ARGS__)
#define store_send_by(tx, sql, ret_changed, ...) \
    store_send_n(tx, sql, STORE_VALUES(__VA_ARGS__), sizeof STORE_VALUES(__VA_ARGS__) / sizeof(struct store_value), \
                 ret_changed)

/* The time by the database's own clock, in microseconds since 1970; INT64_MAX where it has none but this process's. */
enum status store_now(struct store_tx *tx, int64_t *ret_time);

/* When this transaction is committed, other processes' store_follow wakes. */
void store_announce(struct store_tx *tx);

/* Rows that the last statement of this transaction inserted, changed or deleted. May wait for the database. */
enum status store_changes(struct store_tx *tx, int64_t *ret_rows);

#endif
