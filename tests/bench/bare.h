/* SPDX-License-Identifier: Apache-2.0 */
/* The yardstick for the store: rows of the token table, by bare SQLite statements. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stdbool.h>
#include <stdint.h>

enum { BENCH_KEY_BYTES = 32 };

#define BENCH_INSERT "INSERT INTO token (key, credential, epoch, last_used, roles) VALUES ($1, $2, $3, $4, $5)"

/* As the domain makes them: the second, then random; one of a thousand credentials. */
struct bench_row {
    unsigned char key[BENCH_KEY_BYTES];
    int64_t credential;
};
void bench_row_make(struct bench_row *row);

/* Ends the program with a sentence where it is not well. */
void bench_check(bool is_well, const char *what);

/* Microseconds of CLOCK_MONOTONIC. */
int64_t bench_now(void);

/* Rows a second, so many to a durable commit, into a database that has the daemon's schema, with the connection's
 * settings as the daemon has them. */
double bench_bare_inserts(const char *path, int group, double seconds);

#endif
