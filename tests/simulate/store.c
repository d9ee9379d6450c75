/* SPDX-License-Identifier: Apache-2.0 */
/* store/store.h for the simulator: queues, and somebody else who says what happens next. */
#include "cluster_internal.h"
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP_MAX = 4, BATCH_MAX = 3, NESTED_MAX = 1000 };

struct read {
    struct job job; /* first */
    struct read *next;
    struct state *state; /* fixed; NULL: not yet */
    int history;         /* in which it was fixed */
    bool is_running, has_run;
};

static bool can_go_on(const struct read *read)
{
    return read->has_run || (read->state != NULL && !read->is_running);
}

struct store {
    struct cluster *cluster;
    struct job_list writes, completions;
    struct read *reads;
    bool is_dead;
    bool reads_apart;
    int nested;
};

struct store *cluster_connect(struct cluster *cluster)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        abort();
    store->cluster = cluster;
    return store;
}

/* For a copy, which opens its stores itself. */
static struct cluster *copied_from, *copied_to;

void cluster_open_for_copy(struct cluster *from, struct cluster *to)
{
    copied_from = from;
    copied_to = to;
}

enum status store_open(const struct store_options *options, struct store **ret_store, char why[256])
{
    bool is_source = strcmp(options->url, CLUSTER_FROM) == 0;
    (void)why;
    *ret_store = cluster_connect(is_source ? copied_from : copied_to);
    (*ret_store)->reads_apart = is_source; /* its one transaction lasts, while others write */
    return STATUS_OK;
}

static void append(struct job_list *to, struct job *job)
{
    job->next = NULL;
    if (to->last == NULL)
        to->first = job;
    else
        to->last->next = job;
    to->last = job;
    to->count++;
}

static struct job *take(struct job_list *from)
{
    struct job *job = from->first;
    from->first = job->next;
    if (from->first == NULL)
        from->last = NULL;
    from->count--;
    job->next = NULL;
    return job;
}

static void finish(struct job *job)
{
    job->done(job->status, job->arg);
    free(job);
}

/* What a dead process queues is refused at once; a program that tries for ever would never come back. */
static bool is_refused(struct store *store, store_done_fn *done, void *arg)
{
    if (!store->is_dead)
        return false;
    if (++store->nested > NESTED_MAX) {
        fprintf(stderr, "a refused job is tried again for ever\n");
        abort();
    }
    done(STATUS_UNAVAILABLE, arg);
    store->nested--;
    return true;
}

static void submit_write(struct store *store, const struct job *job)
{
    struct job *own = malloc(sizeof *own);
    if (own == NULL)
        abort();
    *own = *job;
    append(&store->writes, own);
}

static void submit_read(struct store *store, const struct job *job)
{
    struct read *read = calloc(1, sizeof *read);
    if (read == NULL)
        abort();
    read->job = *job;
    struct read **link = &store->reads;
    while (*link != NULL)
        link = &(*link)->next;
    *link = read;
}

void store_submit(struct store *store, const struct store_job *wanted)
{
    const struct job job = {.fn = wanted->fn,
                            .done = wanted->done,
                            .arg = wanted->arg,
                            .waits = wanted->waits,
                            .waiter = wanted->waiter,
                            .is_alone = wanted->kind == STORE_WRITE};
    if (is_refused(store, job.done, job.arg))
        return;
    if (wanted->kind < STORE_READ)
        submit_write(store, &job);
    else
        submit_read(store, &job);
}

void store_write(struct store *store, store_fn *fn, store_done_fn *done, void *arg)
{
    store_submit(store, &(struct store_job){.kind = STORE_WRITE, .fn = fn, .done = done, .arg = arg});
}

void store_write_beside(struct store *store, store_fn *fn, store_done_fn *done, void *arg)
{
    store_submit(store, &(struct store_job){.kind = STORE_WRITE_BESIDE, .fn = fn, .done = done, .arg = arg});
}

void store_read(struct store *store, store_fn *fn, store_done_fn *done, void *arg)
{
    store_submit(store, &(struct store_job){.kind = STORE_READ, .fn = fn, .done = done, .arg = arg});
}

/* Steps */

static bool write_some(struct store *store)
{
    if (store->writes.count == 0 || store->cluster->faults.writes_hang)
        return false;
    struct job_list jobs = {0};
    int count = 1 + random_below(GROUP_MAX);
    for (int i = 0; i < count && store->writes.count > 0; i++)
        append(&jobs, take(&store->writes));
    struct job_list dropped = job_list_drop(&jobs);
    while (dropped.count > 0)
        append(&store->completions, take(&dropped));
    if (jobs.count > 0)
        cluster_write(store->cluster, &jobs);
    while (jobs.count > 0)
        append(&store->completions, take(&jobs));
    return true;
}

static bool complete_one(struct store *store)
{
    if (store->completions.count == 0)
        return false;
    finish(take(&store->completions));
    return true;
}

/* One state for a few that wait. */
static bool fix_some(struct store *store)
{
    int count = 1 + random_below(BATCH_MAX);
    bool has_fixed = false;
    for (struct read *read = store->reads; read != NULL && count > 0; read = read->next) {
        if (read->state != NULL || read->has_run)
            continue;
        read->state = (store->reads_apart ? cluster_fix_apart : cluster_fix)(store->cluster);
        read->history = store->cluster->history;
        has_fixed = true;
        count--;
    }
    return has_fixed;
}

/* Whether it is waited for is asked once. In the middle of a statement SQLite would ask as often as its machine's steps
 * make it, and they depend on what it did before, in other runs too: a seed would not repeat. */
static void run_read(struct store *store, struct read *read)
{
    bool is_wanted = job_is_waited_for(&read->job);
    read->job.waits = NULL;
    read->is_running = true;
    if (!is_wanted)
        ; /* its status says so */
    else if (read->history == store->cluster->history)
        cluster_read(store->cluster, read->state, &read->job);
    else /* the connection went with the database that it was to */
        read->job.status = STATUS_UNAVAILABLE;
    cluster_release(store->cluster, read->state);
    read->state = NULL;
    read->has_run = true;
}

/* Runs a read, or tells one what came of it. */
static bool go_on_with_one(struct store *store)
{
    int count = 0;
    for (struct read *read = store->reads; read != NULL; read = read->next)
        count += can_go_on(read);
    if (count == 0)
        return false;
    struct read **link = &store->reads;
    int chosen = random_below(count);
    while (!can_go_on(*link))
        link = &(*link)->next;
    for (; chosen > 0; chosen--) {
        link = &(*link)->next;
        while (!can_go_on(*link))
            link = &(*link)->next;
    }
    struct read *read = *link;
    if (!read->has_run) {
        run_read(store, read);
        return true;
    }
    *link = read->next;
    finish(&read->job); /* frees the read, whose first member it is */
    return true;
}

bool store_step(struct store *store)
{
    typedef bool step_fn(struct store *);
    static step_fn *const steps[] = {write_some, complete_one, fix_some, go_on_with_one};
    enum { STEPS = sizeof steps / sizeof steps[0] };
    int first = random_below(STEPS);
    for (int i = 0; i < STEPS; i++)
        if (steps[(first + i) % STEPS](store))
            return true;
    return false;
}

bool store_is_idle(const struct store *store)
{
    return store->writes.count == 0 && store->completions.count == 0 && store->reads == NULL;
}

void store_crash(struct store *store)
{
    store->is_dead = true;
    struct job *job;
    while (store->completions.count > 0 || store->writes.count > 0) {
        job = take(store->completions.count > 0 ? &store->completions : &store->writes);
        job->status = STATUS_UNAVAILABLE;
        finish(job);
    }
    while (store->reads != NULL) {
        struct read *read = store->reads;
        store->reads = read->next;
        if (read->state != NULL)
            cluster_release(store->cluster, read->state);
        read->job.status = STATUS_UNAVAILABLE;
        finish(&read->job);
    }
}

void store_close(struct store *store)
{
    free(store);
}

/* Waiting */

struct waiter {
    store_fn *fn;
    void *arg;
    bool is_done;
    enum status status;
};

static enum status call_for_waiter(struct store_tx *tx, void *arg)
{
    struct waiter *waiter = arg;
    return waiter->fn(tx, waiter->arg);
}

static void wake_waiter(enum status status, void *arg)
{
    struct waiter *waiter = arg;
    waiter->status = status;
    waiter->is_done = true;
}

static enum status wait_for(struct store *store, bool is_write, store_fn *fn, void *arg)
{
    struct waiter waiter = {.fn = fn, .arg = arg};
    store->cluster->yield();
    if (is_write)
        store_write(store, call_for_waiter, wake_waiter, &waiter);
    else
        store_read(store, call_for_waiter, wake_waiter, &waiter);
    while (!waiter.is_done) {
        store->cluster->yield();
        if (!store_step(store))
            store->cluster->faults.writes_hang = false;
    }
    store->cluster->yield();
    return waiter.status;
}

enum status store_write_wait(struct store *store, store_fn *fn, void *arg)
{
    return wait_for(store, true, fn, arg);
}

enum status store_read_wait(struct store *store, store_fn *fn, void *arg)
{
    return wait_for(store, false, fn, arg);
}

enum status store_follow(struct store *store, int64_t ms, store_fn *fn, void *arg)
{
    struct cluster *cluster = store->cluster;
    struct job job = {.fn = fn, .arg = arg};
    (void)ms;
    if (store->is_dead)
        return STATUS_UNAVAILABLE;
    cluster->yield();
    struct state *state = cluster_fix(cluster); /* by its first statement */
    cluster_read(cluster, state, &job);
    cluster_release(cluster, state);
    cluster->yield();
    return job.status;
}

bool store_is_writable(const struct store *store)
{
    (void)store;
    return true;
}

bool store_is_shared(const struct store *store)
{
    return store->cluster->is_shared;
}

void store_counters(const struct store *store, uint64_t *ret_commits, uint64_t *ret_writes)
{
    (void)store;
    *ret_commits = *ret_writes = 0;
}
