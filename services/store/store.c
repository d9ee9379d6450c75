/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and queues. A write waits in `writes`; the one writer takes all that wait, makes one commit of them, and
 * hands them to `completions`, so that it can begin the next commit while the completion thread tells the callers.
 * Reads wait in `reads` for any of the readers.
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

enum {
    GROUP_MAX = 256,     /* functions in one commit: bounds how long the first of them waits for the last */
    PATIENCE = 4,        /* a commit waits for company a quarter as long as the last one took */
    READ_BATCH_MAX = 32, /* functions in one read transaction, which keeps the database from being tidied */
    READERS_DEFAULT = 2,
    READERS_MAX = 64,
    QUEUE_DEFAULT = 65536,
    BUSY_DEFAULT_MS = 2000,
    REPLY_DEFAULT_MS = 10000,
};

static const struct driver *const drivers[] = {&sqlite_driver, &postgres_driver};

struct reader {
    struct store *store;
    struct connection *connection;
    pthread_t thread;
    bool is_running;
};

struct store {
    const struct driver *driver;
    struct store_options options;
    struct database *database;
    struct connection *connection; /* the writer's */
    struct connection *follower;   /* of a shared store */
    bool is_follower_ill;
    struct queue writes, reads, completions;
    pthread_t writer, completer;
    bool is_writer_running, is_completer_running;
    struct reader *readers;
    size_t reader_count;
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

static void *write_forever(void *arg)
{
    struct store *store = arg;
    bool is_ill = false;
    struct job_list jobs;
    while ((jobs = queue_take(&store->writes, 1, GROUP_MAX)).count > 0) {
        uint64_t commits, writes;
        size_t count = jobs.count;
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

static void *read_forever(void *arg)
{
    struct reader *reader = arg;
    const struct driver *driver = reader->store->driver;
    bool is_ill = false;
    struct job_list jobs;
    while ((jobs = queue_take(&reader->store->reads, reader->store->reader_count, READ_BATCH_MAX)).count > 0) {
        /* The state that they see is fixed after the last of them was queued: none misses a write done before. */
        bool has_begun = false;
        for (struct job *job = jobs.first, *next; job != NULL; job = next) {
            next = job->next;
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

static enum status start_threads(struct store *store, char why[STORE_WHY_MAX])
{
    store->is_writer_running = start_thread(&store->writer, "store-writer", write_forever, store);
    store->is_completer_running = start_thread(&store->completer, "store-done", complete_forever, store);
    bool are_running = store->is_writer_running && store->is_completer_running;
    for (size_t i = 0; i < store->reader_count; i++) {
        struct reader *reader = &store->readers[i];
        reader->is_running = start_thread(&reader->thread, "store-reader", read_forever, reader);
        are_running = are_running && reader->is_running;
    }
    if (are_running)
        return STATUS_OK;
    snprintf(why, STORE_WHY_MAX, "the store's threads cannot be started");
    return STATUS_UNAVAILABLE;
}

static enum status connect_all(struct store *store, char why[STORE_WHY_MAX])
{
    const struct driver *driver = store->driver;
    TRY(driver->open(driver, &store->options, &store->database, why));
    TRY(driver->connect(store->database, CONNECTION_WRITES, &store->connection, why));
    TRY(migrations_apply(store->connection, store->options.schema, why));
    if (driver->is_shared)
        TRY(driver->connect(store->database, CONNECTION_FOLLOWS, &store->follower, why));
    store->reader_count = (size_t)store->options.readers;
    store->readers = calloc(store->reader_count, sizeof *store->readers);
    if (store->readers == NULL) {
        store->reader_count = 0;
        snprintf(why, STORE_WHY_MAX, "out of memory");
        return STATUS_UNAVAILABLE;
    }
    for (size_t i = 0; i < store->reader_count; i++) {
        store->readers[i].store = store;
        TRY(driver->connect(store->database, CONNECTION_READS, &store->readers[i].connection, why));
    }
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
    queue_init(&store->reads, store->options.queue_max);
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

static void stop_threads(struct store *store)
{
    queue_close(&store->writes);
    queue_close(&store->reads);
    if (store->is_writer_running)
        pthread_join(store->writer, NULL);
    for (size_t i = 0; i < store->reader_count; i++) {
        if (store->readers[i].is_running)
            pthread_join(store->readers[i].thread, NULL);
    }
    queue_close(&store->completions); /* last: what the others finished or refused still gets its answer */
    if (store->is_completer_running)
        pthread_join(store->completer, NULL);
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    stop_threads(store);
    for (size_t i = 0; i < store->reader_count; i++) {
        if (store->readers[i].connection != NULL)
            store->driver->disconnect(store->readers[i].connection);
    }
    if (store->connection != NULL)
        store->driver->disconnect(store->connection);
    if (store->follower != NULL)
        store->driver->disconnect(store->follower);
    if (store->database != NULL)
        store->driver->close(store->database);
    queue_done(&store->completions);
    queue_done(&store->reads);
    queue_done(&store->writes);
    free(store->readers);
    free(store);
}

static void submit(struct store *store, struct queue *queue, struct job job)
{
    struct job *own = malloc(sizeof *own);
    if (own == NULL) { /* nowhere to keep it: the one answer that comes on the caller's own thread */
        job.done(STATUS_UNAVAILABLE, job.arg);
        return;
    }
    *own = job;
    if (queue_push(queue, own))
        return;
    own->status = STATUS_UNAVAILABLE;
    queue_append(&store->completions, &(struct job_list){own, own, 1});
}

void store_write(struct store *store, store_fn *fn, store_done_fn *done, void *arg)
{
    submit(store, &store->writes, (struct job){.fn = fn, .done = done, .arg = arg, .is_alone = true});
}

void store_write_beside(struct store *store, store_fn *fn, store_done_fn *done, void *arg)
{
    submit(store, &store->writes, (struct job){.fn = fn, .done = done, .arg = arg});
}

void store_read(struct store *store, store_fn *fn, store_done_fn *done, void *arg)
{
    submit(store, &store->reads, (struct job){.fn = fn, .done = done, .arg = arg});
}

struct waiter {
    store_fn *fn;
    void *arg;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
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
    pthread_mutex_lock(&waiter->mutex);
    waiter->status = status;
    waiter->is_done = true;
    pthread_cond_signal(&waiter->changed); /* inside the lock: outside it the waiter may be gone already */
    pthread_mutex_unlock(&waiter->mutex);
}

static enum status wait_for(struct store *store, struct queue *queue, store_fn *fn, void *arg)
{
    struct waiter waiter = {
        .fn = fn, .arg = arg, .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    submit(store, queue, (struct job){.fn = call_for_waiter, .done = wake_waiter, .arg = &waiter, .is_alone = true});
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
    return wait_for(store, &store->writes, fn, arg);
}

enum status store_read_wait(struct store *store, store_fn *fn, void *arg)
{
    return wait_for(store, &store->reads, fn, arg);
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
