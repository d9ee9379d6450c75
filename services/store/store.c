/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and queues. A write waits in `writes`; the one writer takes all that wait, makes one commit of them, and
 * hands them to `completions`, so that it can begin the next commit while the completion thread tells the callers.
 * Reads wait in the pool of their kind for any of its readers.
 */
#include "store/store.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/driver.h"
#include "store/migrations.h"
#include "store/queue.h"
#include "store/transaction.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    GROUP_MAX = 256, /* functions in one commit: bounds how long the first of them waits for the last */
    PATIENCE = 4,    /* a commit waits for company a quarter as long as the last one took */
    READERS_DEFAULT = 2,
    READERS_MAX = 64,
    QUEUE_DEFAULT = 65536,
    BUSY_DEFAULT_MS = 2000,
    REPLY_DEFAULT_MS = 10000,
};

static const struct driver *const drivers[] = {&sqlite_driver, &postgres_driver};

/* Functions in one read transaction, which keeps the database from being tidied. */
static const size_t read_batch_max[STORE_READ_KINDS] = {32, 4, 1};

/* Steps down in priority (nice): where there are fewer cores than work, a report is not what others wait for. */
static const int read_niceness[STORE_READ_KINDS] = {0, 5, 15};

struct reader {
    struct pool *pool;
    struct connection *connection;
    pthread_t thread;
    bool is_running;
};

/* Of one kind of read. */
struct pool {
    struct store *store;
    struct queue queue;
    size_t batch_max;
    int niceness;
    struct reader *readers;
    size_t reader_count;
};

struct store {
    const struct driver *driver;
    struct store_options options;
    struct database *database;
    struct connection *connection; /* the writer's */
    struct connection *follower;   /* of a shared store */
    bool is_follower_ill;
    struct queue writes, completions;
    struct pool pools[STORE_READ_KINDS]; /* from STORE_READ on */
    pthread_t writer, completer;
    bool is_writer_running, is_completer_running;
    atomic_uint_fast64_t commits, write_count;
    atomic_bool is_writer_ill;
};

/* Says once that the database has gone, and once that it is back. */
static void report_health(struct connection *connection, const char *who, bool *is_ill, enum status status)
{
    bool was_ill = *is_ill;
    *is_ill = status != STATUS_OK;
    if (*is_ill && !was_ill)
        log_write(LOG_LEVEL_ERROR, "store_unavailable", "for", who, "reason", connection->driver->reason(connection),
                  NULL);
    else if (was_ill && !*is_ill)
        log_write(LOG_LEVEL_INFO, "store_available", "for", who, NULL);
}

/* The writer's thread, until the queue is closed and empty. */
static void *write_forever(void *arg)
{
    struct store *store = arg;
    bool is_ill = false;
    struct job_list jobs;
    while ((jobs = queue_take(&store->writes, 1, GROUP_MAX)).count > 0) {
        uint64_t commits, writes;
        struct job_list dropped = job_list_drop(&jobs);
        queue_append(&store->completions, &dropped);
        size_t count = jobs.count;
        if (count == 0)
            continue;
        int64_t begin = clock_monotonic();
        enum status status = transaction_write(store->connection, &jobs, &commits, &writes);
        atomic_fetch_add(&store->commits, commits);
        atomic_fetch_add(&store->write_count, writes);
        /* Before anybody is answered: who was, and asks how the store is, is told no older state. */
        report_health(store->connection, "writes", &is_ill, status);
        atomic_store(&store->is_writer_ill, is_ill);
        queue_append(&store->completions, &jobs);
        int64_t end = clock_monotonic();
        store->driver->tidy(store->connection);
        /* Who was answered just now often comes again at once. Without them there would be two groups for ever, each
         * waiting while the other is written. */
        queue_gather(&store->writes, count, GROUP_MAX, end + (end - begin) / PATIENCE);
    }
    return NULL;
}

static void finish(struct job *job)
{
    job->done(job->status, job->arg);
    free(job);
}

/* The completer's thread, until the queue is closed and empty: calls `done`, in the order of the writes. */
static void *complete_forever(void *arg)
{
    struct store *store = arg;
    struct job_list jobs;
    while ((jobs = queue_take(&store->completions, 1, SIZE_MAX)).count > 0) {
        for (struct job *job = jobs.first, *next; job != NULL; job = next) {
            next = job->next;
            finish(job);
        }
    }
    return NULL;
}

/* A reader's thread, until the queue is closed and empty. */
static void *read_forever(void *arg)
{
    struct reader *reader = arg;
    struct pool *pool = reader->pool;
    const struct driver *driver = pool->store->driver;
    bool is_ill = false;
    struct job_list jobs;
    (void)!setpriority(PRIO_PROCESS, (id_t)gettid(),
                       getpriority(PRIO_PROCESS, 0) + pool->niceness); /* of this thread */
    while ((jobs = queue_take(&pool->queue, pool->reader_count, pool->batch_max)).count > 0) {
        /* The state that they see is fixed after the last of them was queued: none misses a write done before. */
        bool has_begun = false;
        for (struct job *job = jobs.first, *next; job != NULL; job = next) {
            next = job->next;
            if (!job_is_waited_for(job)) {
                finish(job);
                continue;
            }
            report_health(reader->connection, "reads", &is_ill, transaction_read(reader->connection, job, &has_begun));
            finish(job);
        }
        driver->rollback(reader->connection);
    }
    return NULL;
}

/* Signals are the main thread's. */
static bool start_thread(pthread_t *thread, const char *name, void *(*run)(void *), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool is_running = pthread_create(thread, NULL, run, arg) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (is_running)
        pthread_setname_np(*thread, name);
    return is_running;
}

static bool start_readers(struct pool *pool, const char *name)
{
    bool are_running = true;
    for (size_t i = 0; i < pool->reader_count; i++) {
        struct reader *reader = &pool->readers[i];
        reader->is_running = start_thread(&reader->thread, name, read_forever, reader);
        are_running = are_running && reader->is_running;
    }
    return are_running;
}

static enum status start_threads(struct store *store, char why[STORE_WHY_MAX])
{
    static const char *const thread_names[STORE_READ_KINDS] = {"store-reader", "store-reader-a", "store-reader-l"};
    store->is_writer_running = start_thread(&store->writer, "store-writer", write_forever, store);
    store->is_completer_running = start_thread(&store->completer, "store-done", complete_forever, store);
    bool are_running = store->is_writer_running && store->is_completer_running;
    for (int kind = 0; kind < STORE_READ_KINDS; kind++)
        are_running = start_readers(&store->pools[kind], thread_names[kind]) && are_running;
    if (are_running)
        return STATUS_OK;
    snprintf(why, STORE_WHY_MAX, "the store's threads cannot be started");
    return STATUS_UNAVAILABLE;
}

static enum status connect_readers(struct pool *pool, char why[STORE_WHY_MAX])
{
    struct store *store = pool->store;
    size_t count = (size_t)store->options.readers;
    pool->readers = calloc(count, sizeof *pool->readers);
    if (pool->readers == NULL) {
        snprintf(why, STORE_WHY_MAX, "out of memory");
        return STATUS_UNAVAILABLE;
    }
    for (; pool->reader_count < count; pool->reader_count++) {
        struct reader *reader = &pool->readers[pool->reader_count];
        reader->pool = pool;
        TRY(store->driver->connect(store->database, CONNECTION_READS, &reader->connection, why));
    }
    return STATUS_OK;
}

static enum status connect_all(struct store *store, char why[STORE_WHY_MAX])
{
    const struct driver *driver = store->driver;
    TRY(driver->open(driver, &store->options, &store->database, why));
    TRY(driver->connect(store->database, CONNECTION_WRITES, &store->connection, why));
    TRY(migrations_apply(store->connection, store->options.schema, why));
    if (driver->is_shared)
        TRY(driver->connect(store->database, CONNECTION_FOLLOWS, &store->follower, why));
    for (int kind = 0; kind < STORE_READ_KINDS; kind++)
        TRY(connect_readers(&store->pools[kind], why));
    return STATUS_OK;
}

static struct store_options with_defaults(const struct store_options *options)
{
    struct store_options full = *options;
    if (full.readers <= 0)
        full.readers = READERS_DEFAULT;
    if (full.readers > READERS_MAX)
        full.readers = READERS_MAX;
    if (full.queue_max == 0)
        full.queue_max = QUEUE_DEFAULT;
    if (full.busy_timeout_ms <= 0)
        full.busy_timeout_ms = BUSY_DEFAULT_MS;
    if (full.reply_timeout_ms <= 0)
        full.reply_timeout_ms = REPLY_DEFAULT_MS;
    return full;
}

enum status store_open_driver(const struct driver *driver, const struct store_options *options,
                              struct store **ret_store, char why[STORE_WHY_MAX])
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        snprintf(why, STORE_WHY_MAX, "out of memory");
        return STATUS_UNAVAILABLE;
    }
    store->driver = driver;
    store->options = with_defaults(options);
    queue_init(&store->writes, store->options.queue_max);
    for (int kind = 0; kind < STORE_READ_KINDS; kind++) {
        store->pools[kind] =
            (struct pool){.store = store, .batch_max = read_batch_max[kind], .niceness = read_niceness[kind]};
        queue_init(&store->pools[kind].queue, store->options.queue_max);
    }
    queue_init(&store->completions, SIZE_MAX);
    enum status status = connect_all(store, why);
    if (status == STATUS_OK)
        status = start_threads(store, why);
    if (status != STATUS_OK) {
        store_close(store);
        return status;
    }
    *ret_store = store;
    return STATUS_OK;
}

enum status store_open(const struct store_options *options, struct store **ret_store, char why[256])
{
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
        if (strncmp(options->url, drivers[i]->scheme, strlen(drivers[i]->scheme)) == 0)
            return store_open_driver(drivers[i], options, ret_store, why);
    }
    snprintf(why, STORE_WHY_MAX, "the address of the store must begin with sqlite: or postgresql:");
    return STATUS_INVALID_ARGUMENT;
}

static void stop_readers(struct pool *pool)
{
    queue_close(&pool->queue);
    for (size_t i = 0; i < pool->reader_count; i++) {
        if (pool->readers[i].is_running)
            pthread_join(pool->readers[i].thread, NULL);
    }
}

static void stop_threads(struct store *store)
{
    queue_close(&store->writes);
    if (store->is_writer_running)
        pthread_join(store->writer, NULL);
    for (int kind = 0; kind < STORE_READ_KINDS; kind++)
        stop_readers(&store->pools[kind]);
    queue_close(&store->completions); /* last: what the others finished or refused still gets its answer */
    if (store->is_completer_running)
        pthread_join(store->completer, NULL);
}

static void pool_done(struct pool *pool)
{
    for (size_t i = 0; i < pool->reader_count; i++)
        pool->store->driver->disconnect(pool->readers[i].connection);
    free(pool->readers);
    queue_done(&pool->queue);
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    stop_threads(store);
    for (int kind = 0; kind < STORE_READ_KINDS; kind++)
        pool_done(&store->pools[kind]);
    if (store->connection != NULL)
        store->driver->disconnect(store->connection);
    if (store->follower != NULL)
        store->driver->disconnect(store->follower);
    if (store->database != NULL)
        store->driver->close(store->database);
    queue_done(&store->completions);
    queue_done(&store->writes);
    free(store);
}

void store_submit(struct store *store, const struct store_job *job)
{
    struct queue *queue = job->kind < STORE_READ ? &store->writes : &store->pools[job->kind - STORE_READ].queue;
    struct job *own = malloc(sizeof *own);
    if (own == NULL) { /* nowhere to keep it: the one answer that comes on the caller's own thread */
        job->done(STATUS_UNAVAILABLE, job->arg);
        return;
    }
    *own = (struct job){.fn = job->fn,
                        .done = job->done,
                        .arg = job->arg,
                        .waits = job->waits,
                        .waiter = job->waiter,
                        .is_alone = job->kind == STORE_WRITE};
    if (queue_push(queue, own))
        return;
    own->status = STATUS_UNAVAILABLE;
    queue_append(&store->completions, &(struct job_list){own, own, 1});
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

struct waiter {
    store_fn *fn;
    void *arg;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_done;
    enum status status;
};

/* A store_fn, of wait_for. */
static enum status call_for_waiter(struct store_tx *tx, void *arg)
{
    struct waiter *waiter = arg;
    return waiter->fn(tx, waiter->arg);
}

/* A store_done_fn, of wait_for, whose thread has the waiter on its stack. */
static void wake_waiter(enum status status, void *arg)
{
    struct waiter *waiter = arg;
    pthread_mutex_lock(&waiter->mutex);
    waiter->status = status;
    waiter->is_done = true;
    pthread_cond_signal(&waiter->changed); /* inside the lock: outside it the waiter may be gone already */
    pthread_mutex_unlock(&waiter->mutex);
}

static enum status wait_for(struct store *store, enum store_kind kind, store_fn *fn, void *arg)
{
    struct waiter waiter = {
        .fn = fn, .arg = arg, .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    store_submit(store, &(struct store_job){.kind = kind, .fn = call_for_waiter, .done = wake_waiter, .arg = &waiter});
    pthread_mutex_lock(&waiter.mutex);
    while (!waiter.is_done)
        pthread_cond_wait(&waiter.changed, &waiter.mutex);
    pthread_mutex_unlock(&waiter.mutex);
    pthread_cond_destroy(&waiter.changed);
    pthread_mutex_destroy(&waiter.mutex);
    return waiter.status;
}

enum status store_write_wait(struct store *store, store_fn *fn, void *arg)
{
    return wait_for(store, STORE_WRITE, fn, arg);
}

enum status store_read_wait(struct store *store, store_fn *fn, void *arg)
{
    return wait_for(store, STORE_READ, fn, arg);
}

enum status store_follow(struct store *store, int64_t ms, store_fn *fn, void *arg)
{
    struct job job = {.fn = fn, .arg = arg};
    bool has_begun = false;
    store->driver->await(store->follower, ms);
    enum status health = transaction_read(store->follower, &job, &has_begun);
    report_health(store->follower, "following", &store->is_follower_ill, health);
    store->driver->rollback(store->follower);
    return job.status;
}

bool store_is_shared(const struct store *store)
{
    return store->driver->is_shared;
}

bool store_is_writable(const struct store *store)
{
    return !atomic_load(&store->is_writer_ill);
}

void store_counters(const struct store *store, uint64_t *ret_commits, uint64_t *ret_writes)
{
    *ret_commits = atomic_load(&store->commits);
    *ret_writes = atomic_load(&store->write_count);
}
