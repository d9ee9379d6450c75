/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster.h"

#include "cluster_internal.h"
#include "memory_file.h"
#include "random.h"

#include "records/schema.h"
#include "store/migrations.h"

#include <stdio.h>
#include <stdlib.h>

static enum { FATE_NONE, FATE_UNSAID, FATE_LOST } fate; /* of the next commit */

static enum status commit(struct connection *connection)
{
    if (fate == FATE_LOST) {
        sqlite_driver.rollback(connection);
        return STATUS_UNKNOWN;
    }
    enum status status = sqlite_driver.commit(connection);
    return status == STATUS_OK && fate == FATE_UNSAID ? STATUS_UNKNOWN : status;
}

static const int64_t *database_clock; /* NULL: it has none */

static enum status now(struct connection *connection, int64_t *ret_time)
{
    (void)connection;
    *ret_time = database_clock == NULL ? INT64_MAX : *database_clock;
    return STATUS_OK;
}

static void open_handle(struct cluster *cluster, struct handle *handle)
{
    char why[STORE_WHY_MAX] = "";
    if (cluster->driver.connect(cluster->database, CONNECTION_WRITES, &handle->connection, why) != STATUS_OK)
        abort();
    handle->db = memory_file_last();
}

struct cluster *cluster_new(void (*yield)(void))
{
    struct cluster *cluster = calloc(1, sizeof *cluster);
    char why[STORE_WHY_MAX] = "";
    if (cluster == NULL)
        abort();
    cluster->yield = yield;
    cluster->driver = sqlite_driver;
    cluster->driver.commit = commit;
    cluster->driver.now = now;
    cluster->options = (struct store_options){.url = "sqlite:"};
    if (cluster->driver.open(&cluster->driver, &cluster->options, &cluster->database, why) != STATUS_OK)
        abort();
    open_handle(cluster, &cluster->now);
    open_handle(cluster, &cluster->empty);
    for (int i = 0; i < COPY_COUNT; i++)
        open_handle(cluster, &cluster->copies[i]);
    if (migrations_apply(cluster->empty.connection, &records_schema, why) != STATUS_OK) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    return cluster;
}

void cluster_free(struct cluster *cluster)
{
    cluster->driver.disconnect(cluster->now.connection);
    cluster->driver.disconnect(cluster->empty.connection);
    for (int i = 0; i < COPY_COUNT; i++)
        cluster->driver.disconnect(cluster->copies[i].connection);
    for (size_t i = 0; i < cluster->spare_count; i++)
        cluster->driver.disconnect(cluster->spares[i].connection);
    cluster->driver.close(cluster->database);
    free(cluster);
}

void cluster_reset(struct cluster *cluster, bool is_shared)
{
    memory_file_copy(cluster->empty.db, cluster->now.db);
    cluster->is_shared = is_shared;
    cluster->faults = (struct cluster_faults){.writes_fail = false};
}

void cluster_set_clock(struct cluster *cluster, const int64_t *clock)
{
    database_clock = cluster->is_shared ? clock : NULL;
}

struct cluster_faults *cluster_faults(struct cluster *cluster)
{
    return &cluster->faults;
}

/* States */

struct state *cluster_fix(struct cluster *cluster)
{
    if (cluster->newest == NULL) {
        cluster->newest = calloc(1, sizeof *cluster->newest);
        if (cluster->newest == NULL)
            abort();
    }
    cluster->newest->users++;
    return cluster->newest;
}

struct state *cluster_fix_apart(struct cluster *cluster)
{
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL)
        abort();
    *state = (struct state){.users = 1, .is_apart = true};
    open_handle(cluster, &state->own);
    memory_file_copy(cluster->now.db, state->own.db);
    return state;
}

/* Whoever still needs the state that is now, gets a copy of it before it changes. */
static void part_from_newest(struct cluster *cluster)
{
    struct state *state = cluster->newest;
    cluster->newest = NULL;
    if (state == NULL)
        return;
    if (cluster->spare_count > 0)
        state->own = cluster->spares[--cluster->spare_count];
    else
        open_handle(cluster, &state->own);
    memory_file_copy(cluster->now.db, state->own.db);
}

void cluster_release(struct cluster *cluster, struct state *state)
{
    if (--state->users > 0)
        return;
    if (state == cluster->newest)
        cluster->newest = NULL;
    else if (!state->is_apart && cluster->spare_count < SPARES_MAX)
        cluster->spares[cluster->spare_count++] = state->own;
    else
        cluster->driver.disconnect(state->own.connection);
    free(state);
}

void cluster_keep(struct cluster *cluster, enum cluster_copy copy)
{
    memory_file_copy(cluster->now.db, cluster->copies[copy].db);
}

void cluster_go_back(struct cluster *cluster, enum cluster_copy copy)
{
    part_from_newest(cluster);
    cluster->history++;
    memory_file_copy(cluster->copies[copy].db, cluster->now.db);
}

/* Moving to another one */

/* A connection knows its statements by their addresses, and a copy's are no more. */
static void renew_handles(struct cluster *cluster)
{
    struct handle old = cluster->now;
    open_handle(cluster, &cluster->now);
    memory_file_copy(old.db, cluster->now.db);
    cluster->driver.disconnect(old.connection);
    while (cluster->spare_count > 0)
        cluster->driver.disconnect(cluster->spares[--cluster->spare_count].connection);
}

enum status cluster_copy(struct cluster *from, struct cluster *to, struct copy_result *ret_result,
                         char why[static STORE_WHY_MAX])
{
    const struct copy_options options = {.from = CLUSTER_FROM, .to = CLUSTER_TO, .schema = &records_schema};
    cluster_open_for_copy(from, to);
    enum status status = store_copy(&options, ret_result, why);
    renew_handles(to);
    return status;
}

void cluster_swap(struct cluster *cluster, struct cluster *other)
{
    struct handle now = cluster->now;
    cluster->now = other->now;
    other->now = now;
    struct cluster_faults faults = cluster->faults;
    cluster->faults = other->faults;
    other->faults = faults;
    cluster->history++;
    other->history++;
}

static enum status read_number(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

int64_t cluster_ask(struct cluster *cluster, const char *sql, const struct store_value *values, size_t count,
                    int64_t otherwise)
{
    struct connection *connection = cluster->now.connection;
    if (cluster->driver.run(connection, sql, values, count, read_number, &otherwise) == STATUS_OK)
        return otherwise;
    fprintf(stderr, "%s: %s\n", sql, cluster->driver.reason(connection));
    abort();
}

bool cluster_is_busy(const struct cluster *cluster)
{
    return cluster->is_busy;
}

/* Running jobs */

void cluster_write(struct cluster *cluster, struct job_list *jobs)
{
    if (cluster->faults.writes_fail) {
        for (struct job *job = jobs->first; job != NULL; job = job->next)
            job->status = STATUS_UNAVAILABLE;
        return;
    }
    uint64_t commits, writes;
    fate = FATE_NONE;
    if (cluster->is_shared && cluster->faults.unknown_percent > 0 && random_chance(cluster->faults.unknown_percent))
        fate = random_chance(50) ? FATE_LOST : FATE_UNSAID;
    part_from_newest(cluster);
    cluster->is_busy = true;
    (void)!transaction_write(cluster->now.connection, jobs, &commits, &writes); /* each job has its status */
    cluster->is_busy = false;
    fate = FATE_NONE;
}

void cluster_read(struct cluster *cluster, struct state *state, struct job *job)
{
    struct connection *connection = state->own.connection == NULL ? cluster->now.connection : state->own.connection;
    bool has_begun = false;
    job->status = STATUS_UNAVAILABLE;
    if (cluster->faults.reads_fail)
        return;
    cluster->is_busy = !state->is_apart;
    (void)!transaction_read(connection, job, &has_begun);
    cluster->is_busy = false;
    cluster->driver.rollback(connection);
}
