/* SPDX-License-Identifier: Apache-2.0 */
/* The table `process`: who serves from this store, and for how long each answers from memory. Times are microseconds.
 */
#ifndef RECORDS_PROCESS_H
#define RECORDS_PROCESS_H

#include "store/copy.h"

struct process_leases {
    int64_t own;   /* for so long it answers from memory; 0: it serves no more */
    int64_t cache; /* and for so long may those that it tells of changes */
};

struct process_row {
    int64_t id;
    struct process_leases leases;
    struct process_leases used; /* so much of them it goes by already. Only when it is said */
    int64_t seen;               /* when it said last that it is there */
    int64_t beat;               /* it says so as often as that at least */
    const char *host;           /* the name of its machine; "": a program that does not tell */
    int64_t revision;           /* the last change that it knew then */
    int64_t lag;                /* before `seen`, it read the others' changes last */
    int64_t unstored;    /* before `seen`, all uses of tokens that it knew were stored last. Only when it is said */
    const char *version; /* of its program; "" likewise. Only when it is read */
};

/* The process is there. */
enum status process_row_say(struct store_tx *tx, const struct process_row *row);

/* The longest leases that any other goes by that serves; 0: none does. */
enum status process_row_used(struct store_tx *tx, int64_t id, struct process_leases *ret_leases);

/* Removes those that were seen last before `before`. */
enum status process_row_expire(struct store_tx *tx, int64_t before);

/* The longest leases of those that are there: their own; and of caches that any may have told, those that serve no more
 * among them, for the longest lease and longer. */
enum status process_row_longest(struct store_tx *tx, struct process_leases *ret_leases);

/* So many beats without a word: another one does what it did for all. */
enum { PROCESS_BEATS_MISSED = COPY_BEATS_MISSED };
/* The least id of those that serve, and were heard of lately as of `now`. */
enum status process_row_first(struct store_tx *tx, int64_t now, int64_t *ret_id);

/* By then, those that serve had stored every use of a token that they knew; INT64_MAX: none serves. */
enum status process_row_stored(struct store_tx *tx, int64_t *ret_time);

/* Calls `each` for those that serve, in the order of their ids. */
typedef void process_row_fn(const struct process_row *row, void *arg);
enum status process_row_list(struct store_tx *tx, process_row_fn *each, void *arg);

/* How many steps of the schema the oldest program knows that serves; one that knows fewer than 8 does not say so: 0.
 * Where none serves, this one's. */
enum { PROCESS_KNOWS_SUSPENSION = 8, PROCESS_KNOWS_LIMITS = 8 };
enum status process_row_oldest(struct store_tx *tx, int64_t *ret_program);

/* It serves no more from `now` on. No row is no error. */
enum status process_row_leave(struct store_tx *tx, int64_t id, int64_t now);

#endif
