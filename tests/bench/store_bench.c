/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store costs above SQLite itself: rows of the token table a second, in groups of 64 and one by one, by the
 * store and by bare statements in the same run, in turns, on the same file system.
 *
 *     store_bench [directory [seconds a turn]]
 */
#include "clock.h"
#include "store/store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { KEY_BYTES = 32, ROUNDS = 3 };

static const char insert[] = "INSERT INTO token (key, credential, epoch, last_used) VALUES ($1, $2, $3, $4)";

struct row {
    unsigned char key[KEY_BYTES];
    int64_t credential;
};

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * CLOCK_SECOND + time.tv_nsec / 1000;
}

static void make_row(struct row *row)
{
    uint64_t seconds = (uint64_t)time(NULL), random;
    if (getrandom(row->key, sizeof row->key, 0) != sizeof row->key)
        abort();
    for (int i = 0; i < 4; i++)
        row->key[i] = (unsigned char)(seconds >> (24 - 8 * i));
    memcpy(&random, row->key + 8, sizeof random);
    row->credential = (int64_t)(random % 1000);
}

static void check(bool is_well, const char *what)
{
    if (is_well)
        return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

struct flight {
    struct store *store;
    int64_t until;
    atomic_long rows;
    atomic_int flying;
};

struct plane {
    struct flight *flight;
    struct row row;
};

static enum status insert_row(struct store_tx *tx, void *arg)
{
    const struct plane *plane = arg;
    return store_run(tx, insert, NULL, NULL, store_blob(plane->row.key, KEY_BYTES), store_int(plane->row.credential),
                     store_int(0), store_int(1));
}

static void fly(struct plane *plane);

static void land(enum status status, void *arg)
{
    struct plane *plane = arg;
    check(status == STATUS_OK, status_name(status));
    atomic_fetch_add(&plane->flight->rows, 1);
    if (now() < plane->flight->until)
        fly(plane);
    else
        atomic_fetch_sub(&plane->flight->flying, 1);
}

static void fly(struct plane *plane)
{
    make_row(&plane->row);
    store_write(plane->flight->store, insert_row, land, plane);
}

static double measure_store(const char *url, int in_flight, double seconds)
{
    struct store *store;
    char why[256];
    check(store_open(&(struct store_options){.url = url}, &store, why) == STATUS_OK, why);
    int64_t start = now();
    struct flight flight = {.store = store, .until = start + (int64_t)(seconds * CLOCK_SECOND), .flying = in_flight};
    struct plane *planes = calloc((size_t)in_flight, sizeof *planes);
    for (int i = 0; i < in_flight; i++) {
        planes[i].flight = &flight;
        fly(&planes[i]);
    }
    while (atomic_load(&flight.flying) > 0)
        usleep(1000);
    double rate = (double)flight.rows * CLOCK_SECOND / (double)(now() - start);
    uint64_t commits, writes;
    store_counters(store, &commits, &writes);
    printf("    store, %2d in flight: %8.0f rows/s, %.1f rows a commit\n", in_flight, rate,
           (double)writes / (double)commits);
    store_close(store);
    free(planes);
    return rate;
}

static void run(sqlite3 *db, const char *sql)
{
    check(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sqlite3_errmsg(db));
}

static void step(sqlite3_stmt *statement)
{
    check(sqlite3_step(statement) == SQLITE_DONE, sqlite3_errmsg(sqlite3_db_handle(statement)));
    sqlite3_reset(statement);
}

static double measure_bare(const char *path, int group, double seconds)
{
    sqlite3 *db;
    sqlite3_stmt *begin, *statement, *commit;
    check(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK, path);
    run(db, "PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 2000");
    sqlite3_prepare_v2(db, "BEGIN IMMEDIATE", -1, &begin, NULL);
    sqlite3_prepare_v2(db, "COMMIT", -1, &commit, NULL);
    sqlite3_prepare_v2(db, insert, -1, &statement, NULL);
    int64_t start = now(), until = start + (int64_t)(seconds * CLOCK_SECOND);
    long rows = 0;
    while (now() < until) {
        step(begin);
        for (int i = 0; i < group; i++, rows++) {
            struct row row;
            make_row(&row);
            sqlite3_bind_blob(statement, 1, row.key, KEY_BYTES, SQLITE_STATIC);
            sqlite3_bind_int64(statement, 2, row.credential);
            sqlite3_bind_int64(statement, 3, 0);
            sqlite3_bind_int64(statement, 4, 1);
            step(statement);
        }
        step(commit);
    }
    double rate = (double)rows * CLOCK_SECOND / (double)(now() - start);
    printf("    bare, groups of %2d:  %8.0f rows/s\n", group, rate);
    sqlite3_finalize(begin);
    sqlite3_finalize(statement);
    sqlite3_finalize(commit);
    sqlite3_close(db);
    return rate;
}

/* A database each, so that both grow alike. */
static void make(const char *url)
{
    struct store *store;
    char why[256];
    check(store_open(&(struct store_options){.url = url, .create = true}, &store, why) == STATUS_OK, why);
    store_close(store);
}

int main(int argc, char **argv)
{
    char folder[200], ours[256], bare[256], command[256];
    snprintf(folder, sizeof folder, "%s/store-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    double seconds = argc > 2 ? atof(argv[2]) : 2, store_rate[2] = {0}, bare_rate[2] = {0};
    check(mkdtemp(folder) != NULL, "no temporary directory");
    snprintf(ours, sizeof ours, "sqlite:%s/ours.db", folder);
    snprintf(bare, sizeof bare, "sqlite:%s/bare.db", folder);
    make(ours);
    make(bare);
    for (int round = 1; round <= ROUNDS; round++) {
        printf("round %d\n", round);
        for (int i = 0; i < 2; i++) {
            store_rate[i] += measure_store(ours, i == 0 ? 64 : 1, seconds);
            bare_rate[i] += measure_bare(bare + strlen("sqlite:"), i == 0 ? 64 : 1, seconds);
        }
    }
    printf("64 in flight: store / bare groups of 64 = %.2f\n", store_rate[0] / bare_rate[0]);
    printf("one by one:   store / bare single commits = %.2f\n", store_rate[1] / bare_rate[1]);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : 1;
}
