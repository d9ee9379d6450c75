/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/flusher.h"

#include "domain/credential.h"
#include "domain/token.h"
#include "log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    USES_AT_ONCE = 1000, /* in one transaction: what is issued or revoked meanwhile waits for it */
    REAP_LIMIT = 1000,   /* tokens looked at in one round */
    TIDY_ROUNDS = 30,    /* rounds between two looks at what grows slowly */
    TIDY_LIMIT = 1000,
    PURGE_LIMIT = 20,
};
#define REAP_GRACE \
    (60 * CLOCK_SECOND) /* a token is removed when it has been dead this long: a replica may know a later use */
#define REQUEST_RETENTION (24 * 3600 * CLOCK_SECOND)
#define CHANGE_LOG_RETENTION (3600 * CLOCK_SECOND)

struct secret_use {
    int64_t secret_id;
    int64_t used;
    UT_hash_handle hh;
};

struct flusher {
    struct domain *domain;
    int64_t interval_ms;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_stopping;
    bool is_ending;             /* a thread tells the first that it is done */
    struct flush *first, *last; /* that are not done, in the order in which they gathered; under the lock */
    pthread_mutex_t gathering;  /* held while one gathers, outside the lock */
    struct secret_use *secrets; /* by id; under the lock */
    struct token_key cursor;    /* of the reaper */
    int round;
};

/* What one flush carries: the uses of tokens in one job or several, one after the other, and the rest in another job.
 * Each job that fails gives back what it carried, and the flush has failed; so have those that gathered after it, and
 * did not find what it was carrying. None is done before those that gathered before it. */
struct flush {
    struct flush *next; /* in the flusher; as are the next two, under its lock */
    bool is_over;
    enum status status;
    struct domain *domain;
    struct flusher *flusher;
    struct arena arena;
    atomic_int to_do; /* the uses, the rest; the last to be done ends the flush */
    struct token_use *uses;
    size_t use_count, stored; /* so many of them are */
    struct usage_delta *deltas;
    size_t delta_count;
    struct audit_event *events;
    size_t event_count;
    struct secret_use *secrets;
    int64_t now;
    store_done_fn *done;
    void *arg;
};

static enum status store_credential_use(struct store_tx *tx, const struct usage_delta *delta)
{
    return store_send(tx,
                      "UPDATE credential SET last_used = $1 WHERE id ="
                      " (SELECT id FROM credential WHERE id = $2 AND last_used < $1 /* if free */)",
                      store_int(delta->last_used), store_int(delta->credential_id));
}

/* The floor of the next start's clock (clock.h). */
static enum status store_clock(struct store_tx *tx, int64_t now)
{
    return store_send(tx,
                      "INSERT INTO counter (name, value) VALUES ('clock', $1)"
                      " ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE counter.value < excluded.value",
                      store_int(now));
}

static size_t uses_end(const struct flush *flush)
{
    size_t left = flush->use_count - flush->stored;
    return flush->stored + (left < USES_AT_ONCE ? left : USES_AT_ONCE);
}

/* Most of a flush, and it need not be alone: no other replica waits for it. */
static enum status flush_uses_tx(struct store_tx *tx, void *arg)
{
    struct flush *flush = arg;
    struct usage *usage = flush->domain->usage;
    size_t end = uses_end(flush);
    bool is_shared = store_is_shared(flush->domain->store);
    for (size_t i = flush->stored; i < end; i++)
        TRY(token_store_use(tx, is_shared, &flush->uses[i], usage_api(usage, flush->uses[i].api)));
    return STATUS_OK;
}

static enum status flush_rest_tx(struct store_tx *tx, void *arg)
{
    struct flush *flush = arg;
    struct usage *usage = flush->domain->usage;
    for (size_t i = 0; i < flush->delta_count; i++) {
        TRY(usage_store(tx, &flush->deltas[i], usage_api(usage, flush->deltas[i].api)));
        TRY(store_credential_use(tx, &flush->deltas[i]));
    }
    for (size_t i = 0; i < flush->event_count; i++)
        TRY(audit_append(tx, &flush->events[i]));
    for (struct secret_use *use = flush->secrets; use != NULL; use = use->hh.next)
        TRY(store_send(tx, "UPDATE secret SET last_used = $1 WHERE id = $2 AND last_used < $1", store_int(use->used),
                       store_int(use->secret_id)));
    return store_clock(tx, clock_settled(flush->domain->clock));
}

static void flush_free(struct flush *flush)
{
    struct secret_use *use, *next;
    HASH_ITER(hh, flush->secrets, use, next)
    {
        HASH_DEL(flush->secrets, use);
        free(use);
    }
    free(flush->uses);
    free(flush->deltas);
    arena_done(&flush->arena);
    free(flush);
}

/* What it carried is in memory again. */
static void has_failed(struct flush *flush, enum status status)
{
    struct flusher *flusher = flush->flusher;
    log_write(LOG_LEVEL_WARN, "flush_failed", "status", status_name(status), NULL);
    pthread_mutex_lock(&flusher->lock);
    for (; flush != NULL; flush = flush->next)
        if (flush->status == STATUS_OK)
            flush->status = status;
    pthread_mutex_unlock(&flusher->lock);
}

/* The first, if it is over and no other thread ends it: a store without memory answers on the caller's own. */
static struct flush *take_over(struct flusher *flusher)
{
    struct flush *flush = flusher->first;
    if (flush == NULL || !flush->is_over || flusher->is_ending)
        return NULL;
    flusher->is_ending = true;
    return flush;
}

static void one_done(struct flush *flush)
{
    struct flusher *flusher = flush->flusher;
    if (atomic_fetch_sub(&flush->to_do, 1) > 1)
        return;
    pthread_mutex_lock(&flusher->lock);
    flush->is_over = true;
    while ((flush = take_over(flusher)) != NULL) {
        pthread_mutex_unlock(&flusher->lock);
        if (flush->done != NULL)
            flush->done(flush->status, flush->arg);
        pthread_mutex_lock(&flusher->lock);
        flusher->is_ending = false;
        flusher->first = flush->next;
        if (flusher->first == NULL)
            flusher->last = NULL;
        flush_free(flush);
    }
    pthread_cond_broadcast(&flusher->wake);
    pthread_mutex_unlock(&flusher->lock);
}

static void rest_done(enum status status, void *arg)
{
    struct flush *flush = arg;
    struct domain *domain = flush->domain;
    if (status != STATUS_OK) {
        usage_give_back(domain->usage, flush->deltas, flush->delta_count);
        for (size_t i = 0; i < flush->event_count; i++)
            audit_queue_add(domain->audit, &flush->events[i]);
        for (struct secret_use *use = flush->secrets; use != NULL; use = use->hh.next)
            flusher_note_secret(flush->flusher, use->secret_id, use->used);
        has_failed(flush, status);
    }
    one_done(flush);
}

static bool is_one_part(const struct flush *flush)
{
    return flush->use_count <= USES_AT_ONCE;
}

/* Of several parts, the next is queued when this one is done: other writes come between. The rest comes after them; of
 * one part it is queued behind it already. */
static void uses_done(enum status status, void *arg)
{
    struct flush *flush = arg;
    struct store *store = flush->domain->store;
    if (status == STATUS_OK)
        flush->stored = uses_end(flush);
    if (status == STATUS_OK && flush->stored < flush->use_count) {
        store_write_beside(store, flush_uses_tx, uses_done, flush);
        return;
    }
    for (size_t i = flush->stored; i < flush->use_count; i++)
        token_table_touch(flush->domain->tokens, &flush->uses[i].key, flush->uses[i].used, flush->uses[i].api);
    if (status != STATUS_OK)
        has_failed(flush, status);
    if (!is_one_part(flush))
        store_write(store, flush_rest_tx, rest_done, flush);
    one_done(flush);
}

static int compare_uses(const void *a, const void *b)
{
    const uint8_t *key_a = ((const struct token_use *)a)->key.bytes, *key_b = ((const struct token_use *)b)->key.bytes;
    int i = 0;
    while (i < TOKEN_KEY_BYTES - 1 && key_a[i] == key_b[i])
        i++;
    return key_a[i] - key_b[i];
}

/* In one step, as the others see it: what one has taken is not looked for in vain by the next, unless that one is known
 * to come after it. */
static void gather(struct flusher *flusher, struct flush *flush)
{
    struct domain *domain = flusher->domain;
    pthread_mutex_lock(&flusher->gathering);
    flush->use_count = token_table_gather(domain->tokens, &flush->uses);
    flush->delta_count = usage_gather(domain->usage, flush->now, &flush->deltas);
    flush->event_count = audit_queue_gather(domain->audit, &flush->arena, &flush->events);
    pthread_mutex_lock(&flusher->lock);
    flush->secrets = flusher->secrets;
    flusher->secrets = NULL;
    if (flusher->last == NULL)
        flusher->first = flush;
    else
        flusher->last->next = flush;
    flusher->last = flush;
    pthread_mutex_unlock(&flusher->lock);
    pthread_mutex_unlock(&flusher->gathering);
}

void flusher_flush(struct flusher *flusher, store_done_fn *done, void *arg)
{
    struct domain *domain = flusher->domain;
    struct flush *flush = calloc(1, sizeof *flush);
    if (flush == NULL)
        abort();
    flush->domain = domain;
    flush->flusher = flusher;
    flush->now = clock_now(domain->clock);
    flush->done = done;
    flush->arg = arg;
    flush->to_do = 2;
    gather(flusher, flush);
    if (flush->use_count > 0) /* in the order of the store's tree: each of its pages is changed once */
        qsort(flush->uses, flush->use_count, sizeof *flush->uses, compare_uses);
    bool is_rest_next = is_one_part(flush); /* asked first: the uses may be done before store_write_beside returns */
    store_write_beside(domain->store, flush_uses_tx, uses_done, flush);
    if (is_rest_next)
        store_write(domain->store, flush_rest_tx, rest_done, flush);
}

void flusher_note_secret(struct flusher *flusher, int64_t secret_id, int64_t now)
{
    struct secret_use *use = NULL;
    pthread_mutex_lock(&flusher->lock);
    HASH_FIND(hh, flusher->secrets, &secret_id, sizeof secret_id, use);
    if (use == NULL && (use = calloc(1, sizeof *use)) != NULL) {
        use->secret_id = secret_id;
        HASH_ADD(hh, flusher->secrets, secret_id, sizeof secret_id, use);
    }
    if (use != NULL && use->used < now)
        use->used = now;
    pthread_mutex_unlock(&flusher->lock);
}

/* Removing */

struct reaping {
    struct flusher *flusher;
    struct work work;
    struct token_key cursor;
    bool is_tidy_round;
    int64_t purge_before;
    int64_t usage_before;
    int seen, removed;
};

static enum status tidy(struct reaping *reaping)
{
    struct work *work = &reaping->work;
    TRY(store_run(work->tx, "DELETE FROM secret WHERE ends <> 0 AND ends <= $1", NULL, NULL, store_int(work->now)));
    TRY(store_run(work->tx, "DELETE FROM request WHERE at <= $1", NULL, NULL,
                  store_int(work->now - REQUEST_RETENTION)));
    TRY(store_run(work->tx, "DELETE FROM change_log WHERE at <= $1", NULL, NULL,
                  store_int(work->now - CHANGE_LOG_RETENTION)));
    TRY(usage_expire(work->tx, reaping->usage_before, TIDY_LIMIT));
    return credential_purge(work, reaping->purge_before, PURGE_LIMIT);
}

static enum status reap_tx(struct store_tx *tx, void *arg)
{
    struct reaping *reaping = arg;
    struct work *work = &reaping->work;
    work_reset(work);
    work->tx = tx;
    reaping->cursor = reaping->flusher->cursor;
    TRY(token_reap(tx, work->domain, work->now - REAP_GRACE, &reaping->cursor, REAP_LIMIT, &reaping->seen,
                   &reaping->removed));
    return reaping->is_tidy_round ? tidy(reaping) : STATUS_OK;
}

enum status flusher_reap(struct flusher *flusher, int *ret_seen, int *ret_removed)
{
    struct domain *domain = flusher->domain;
    struct arena arena = {0};
    struct reaping reaping = {
        .flusher = flusher,
        .work = {.domain = domain, .arena = &arena, .now = clock_now(domain->clock), .actor = "gatehoused"},
        .is_tidy_round = flusher->round % TIDY_ROUNDS == 0,
    };
    directory_lock(domain->directory);
    reaping.purge_before = reaping.work.now - directory_settings(domain->directory)->deletion_retention;
    reaping.usage_before = reaping.work.now - directory_settings(domain->directory)->usage_retention;
    directory_unlock(domain->directory);
    enum status status = store_write_wait(domain->store, reap_tx, &reaping);
    if (status == STATUS_OK) {
        work_apply(&reaping.work);
        flusher->cursor = reaping.cursor;
        flusher->round++;
    }
    work_reset(&reaping.work);
    arena_done(&arena);
    *ret_seen = reaping.seen;
    *ret_removed = reaping.removed;
    return status;
}

/* True when it is time to stop. */
static bool pause_for(struct flusher *flusher, int64_t milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += milliseconds % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&flusher->lock);
    int result = 0;
    while (!flusher->is_stopping && result == 0)
        result = pthread_cond_timedwait(&flusher->wake, &flusher->lock, &until);
    bool is_stopping = flusher->is_stopping;
    pthread_mutex_unlock(&flusher->lock);
    return is_stopping;
}

static void *run(void *arg)
{
    struct flusher *flusher = arg;
    int64_t pause = flusher->interval_ms;
    while (!pause_for(flusher, pause)) {
        int seen = 0, removed = 0;
        flusher_flush(flusher, NULL, NULL);
        /* Who has not heard of the others for so long may take for dead what they have given more time. */
        bool may_reap = replica_age(flusher->domain->replica) < REAP_GRACE;
        enum status status = may_reap ? flusher_reap(flusher, &seen, &removed) : STATUS_UNAVAILABLE;
        /* Where much is dead, go on soon; else there is time. */
        bool is_busy = status == STATUS_OK && removed > REAP_LIMIT / 4;
        pause = is_busy ? flusher->interval_ms / 20 + 1 : flusher->interval_ms;
    }
    return NULL;
}

struct flusher *flusher_new(struct domain *domain, int64_t interval_ms)
{
    struct flusher *flusher = calloc(1, sizeof *flusher);
    if (flusher == NULL)
        abort();
    flusher->domain = domain;
    flusher->interval_ms = interval_ms;
    pthread_mutex_init(&flusher->lock, NULL);
    pthread_mutex_init(&flusher->gathering, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&flusher->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (interval_ms >= 0) {
        flusher->has_thread = pthread_create(&flusher->thread, NULL, run, flusher) == 0;
        if (!flusher->has_thread)
            abort();
    }
    return flusher;
}

void flusher_stop(struct flusher *flusher)
{
    if (flusher->has_thread) {
        pthread_mutex_lock(&flusher->lock);
        flusher->is_stopping = true;
        pthread_cond_signal(&flusher->wake);
        pthread_mutex_unlock(&flusher->lock);
        pthread_join(flusher->thread, NULL);
        flusher->has_thread = false;
    }
    flusher_flush(flusher, NULL, NULL);
    pthread_mutex_lock(&flusher->lock);
    while (flusher->first != NULL)
        pthread_cond_wait(&flusher->wake, &flusher->lock);
    pthread_mutex_unlock(&flusher->lock);
}

void flusher_free(struct flusher *flusher)
{
    if (flusher == NULL)
        return;
    struct secret_use *use, *next;
    HASH_ITER(hh, flusher->secrets, use, next)
    {
        HASH_DEL(flusher->secrets, use);
        free(use);
    }
    pthread_cond_destroy(&flusher->wake);
    pthread_mutex_destroy(&flusher->gathering);
    pthread_mutex_destroy(&flusher->lock);
    free(flusher);
}
