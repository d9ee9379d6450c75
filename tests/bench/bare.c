/* SPDX-License-Identifier: Apache-2.0 */
#include "bare.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

int64_t bench_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

void bench_check(bool is_well, const char *what)
{
    if (is_well)
        return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

void bench_row_make(struct bench_row *row)
{
    uint64_t seconds = (uint64_t)time(NULL), random;
    if (getrandom(row->key, sizeof row->key, 0) != sizeof row->key)
        abort();
    for (int i = 0; i < 4; i++)
        row->key[i] = (unsigned char)(seconds >> (24 - 8 * i));
    memcpy(&random, row->key + 8, sizeof random);
    row->credential = (int64_t)(random % 1000);
}

static void run(sqlite3 *db, const char *sql)
{
    bench_check(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sqlite3_errmsg(db));
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    bench_check(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, sqlite3_errmsg(db));
    return statement;
}

static void step(sqlite3_stmt *statement)
{
    bench_check(sqlite3_step(statement) == SQLITE_DONE, sqlite3_errmsg(sqlite3_db_handle(statement)));
    sqlite3_reset(statement);
}

static void insert(sqlite3_stmt *statement)
{
    struct bench_row row;
    bench_row_make(&row);
    sqlite3_bind_blob(statement, 1, row.key, BENCH_KEY_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, row.credential);
    sqlite3_bind_int64(statement, 3, 1);
    sqlite3_bind_int64(statement, 4, (int64_t)time(NULL) * 1000000);
    sqlite3_bind_null(statement, 5);
    step(statement);
}

double bench_bare_inserts(const char *path, int group, double seconds)
{
    sqlite3 *db;
    bench_check(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK, path);
    /* As beside a daemon that runs on: a log that is there already costs less to write than one that grows. */
    sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &(int){1});
    run(db, "PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 2000");
    sqlite3_stmt *begin = prepare(db, "BEGIN IMMEDIATE"), *statement = prepare(db, BENCH_INSERT),
                 *commit = prepare(db, "COMMIT");
    int64_t start = bench_now(), until = start + (int64_t)(seconds * 1e6);
    long rows = 0;
    while (bench_now() < until) {
        step(begin);
        for (int i = 0; i < group; i++, rows++)
            insert(statement);
        step(commit);
    }
    double rate = (double)rows * 1e6 / (double)(bench_now() - start);
    sqlite3_finalize(begin);
    sqlite3_finalize(statement);
    sqlite3_finalize(commit);
    sqlite3_close(db);
    return rate;
}
