/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to PostgreSQL, in libpq's pipeline mode: statements are sent without waiting, and their results are
 * taken when one is waited for. A connection that broke is made anew by the next link_open, not more often than every
 * LINK_PAUSE_MS, so that a database that comes back is not met by a storm.
 */
#ifndef STORE_POSTGRES_LINK_H
#define STORE_POSTGRES_LINK_H

#include "store/driver.h"

#include <libpq-fe.h>
#include <uthash.h>

enum { LINK_PAUSE_MS = 200 };

enum link_role { LINK_WRITER, LINK_READER, LINK_LISTENER };

struct statement {
    const char *sql; /* its address is the key */
    char *copy;      /* to see that the address still means the same */
    char name[16];
    bool is_prepared;
    UT_hash_handle hh;
};

enum awaited_kind { AWAIT_PREPARE, AWAIT_QUERY, AWAIT_COMMAND, AWAIT_SYNC };

/* What was sent and has not been answered: one entry for each result that is to come. */
struct awaited {
    enum awaited_kind kind;
    struct statement *statement;
    int64_t *changed; /* takes how many rows it changed, if it is not NULL */
};

struct link {
    const char *url;
    enum link_role role;
    int64_t connect_timeout_ms;
    int64_t reply_timeout_ms;
    PGconn *conn; /* NULL: there is none */
    int64_t retry_at;
    struct statement *statements;
    unsigned statement_count;
    struct awaited *awaited;
    size_t first, count, size; /* a ring */
    size_t unsynced;           /* sent since the last sync */
    enum status failed;        /* since the last link_forgive */
    bool is_own_failure;       /* and it was the statement that was waited for that failed */
    int64_t changed;           /* rows, of the last statement answered */
    bool is_committed;         /* the last COMMIT answered did commit */
    store_waits_fn *waits;     /* is asked while a result is waited for; NULL: nobody could give up */
    const void *waiter;
    enum status given_up;   /* what it said, since the last link_forgive */
    bool is_severed;        /* the server ended the connection, or it broke: who knows what it did last */
    bool has_notifications; /* and not only their syntax */
    bool is_warned;         /* the server had something to say since the last link_forgive */
    char reason[STORE_WHY_MAX];
};

struct link_row {
    PGresult *result;
    int number;
};

/* Connects if there is no connection. */
enum status link_open(struct link *link);
void link_close(struct link *link); /* for good, or because it broke */
void link_done(struct link *link);
bool link_is_open(const struct link *link);

/* Sends without waiting. An error shows at the next wait, or here. */
enum status link_send(struct link *link, const char *sql, const struct store_value *values, size_t count,
                      int64_t *ret_changed);
enum status link_command(struct link *link, const char *sql); /* BEGIN and the like */

/* Waits for all that was sent. Rows of the last statement sent go to `each`, if that is not NULL. */
enum status link_wait(struct link *link, store_row_fn *each, void *arg);

/* Marks the end of what was sent, so that what comes after it is carried out even after an error. */
enum status link_sync(struct link *link);

/* After a rollback: errors until now are no more. */
void link_forgive(struct link *link);

/* Several statements at once, outside the pipeline. */
enum status link_script(struct link *link, const char *sql);

/* Waits for a notification, or for `ms`. */
void link_await(struct link *link, int64_t ms);

/* For the two files that make up the link. */
int64_t link_time_ms(void);
void link_set_reason(struct link *link, const char *text); /* its first line */
enum status link_lose(struct link *link);                  /* the connection has gone; UNAVAILABLE, or given_up */

#endif
