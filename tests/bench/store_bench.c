/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store costs above SQLite itself: rows of the token table a second, in groups of 64 and one by one, by the
 * store and by bare statements in the same run, in turns, on the same file system.
 *
 *     store_bench [directory [seconds a turn]]
 */
#include "bare.h"
#include "base/clock.h"
#include "records/schema.h"
#include "store/store.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 3 };

struct flight {
    struct store *store;
    int64_t until;
    atomic_long rows;
    atomic_int flying;
};

struct plane {
    struct flight *flight;
    struct bench_row row;
};

static enum status insert_row(struct store_tx *tx, void *arg)
{
    const struct plane *plane = arg;
    return store_run(tx, BENCH_INSERT, NULL, NULL, store_blob(plane->row.key, BENCH_KEY_BYTES),
                     store_int(plane->row.credential), store_int(1), store_int(bench_now()), store_null());
}

static void fly(struct plane *plane);

static void land(enum status status, void *arg)
{
    struct plane *plane = arg;
    bench_check(status == STATUS_OK, status_name(status));
    atomic_fetch_add(&plane->flight->rows, 1);
    if (bench_now() < plane->flight->until)
        fly(plane);
    else
        atomic_fetch_sub(&plane->flight->flying, 1);
}

static void fly(struct plane *plane)
{
    bench_row_make(&plane->row);
    store_write(plane->flight->store, insert_row, land, plane);
}

static double measure_store(const char *url, int in_flight, double seconds)
{
    struct store *store;
    char why[256];
    bench_check(store_open(&(struct store_options){.url = url, .schema = &records_schema}, &store, why) == STATUS_OK,
                why);
    int64_t start = bench_now();
    struct flight flight = {.store = store, .until = start + (int64_t)(seconds * CLOCK_SECOND), .flying = in_flight};
    struct plane *planes = calloc((size_t)in_flight, sizeof *planes);
    for (int i = 0; i < in_flight; i++) {
        planes[i].flight = &flight;
        fly(&planes[i]);
    }
    while (atomic_load(&flight.flying) > 0)
        usleep(1000);
    double rate = (double)flight.rows * CLOCK_SECOND / (double)(bench_now() - start);
    uint64_t commits, writes;
    store_counters(store, &commits, &writes);
    printf("    store, %2d in flight: %8.0f rows/s, %.1f rows a commit\n", in_flight, rate,
           (double)writes / (double)commits);
    store_close(store);
    free(planes);
    return rate;
}

static double measure_bare(const char *path, int group, double seconds)
{
    double rate = bench_bare_inserts(path, group, seconds);
    printf("    bare, groups of %2d:  %8.0f rows/s\n", group, rate);
    return rate;
}

/* A database each, so that both grow alike. */
static void make(const char *url)
{
    struct store *store;
    char why[256];
    bench_check(store_open(&(struct store_options){.url = url, .schema = &records_schema, .create = true}, &store,
                           why) == STATUS_OK,
                why);
    store_close(store);
}

int main(int argc, char **argv)
{
    char folder[200], ours[256], bare[256], command[256];
    snprintf(folder, sizeof folder, "%s/store-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    double seconds = argc > 2 ? atof(argv[2]) : 2, store_rate[2] = {0}, bare_rate[2] = {0};
    bench_check(mkdtemp(folder) != NULL, "no temporary directory");
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
