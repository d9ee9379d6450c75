/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/flusher.h"

#include "domain/credential.h"
#include "domain/group.h"
#include "domain/token.h"
#include "log.h"
#include "store/floor.h"

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
#define REAP_GRACE (60 * CLOCK_SECOND) /* a token is removed when it has been dead this long */
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
    bool is_flushed; /* the thread's flush is over, like this */
    enum status flushed;
    bool is_ending;             /* a thread tells the first that it is done */
    struct flush *first, *last; /* that are not done, in the order in which they gathered; under the lock */
    pthread_mutex_t gathering;  /* held while one gathers, outside the lock */
    struct secret_use *secrets; /* by id; under the lock */
    struct token_key cursor;    /* of the reaper */
    int round;
    _Atomic uint64_t tokens_missing; /* in use here, and gone from the store */
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
    int64_t *changed;         /* rows, by each of them */
    size_t use_count, stored; /* so many of them are */
    struct token_use *unsure; /* those that changed no row */
    size_t unsure_count;
    bool *is_missing; /* and of these, have no row */
    struct usage_delta *deltas;
    size_t delta_count;
    struct audit_event *events;
    size_t event_count;
    struct secret_use *secrets;
    struct group *group; /* that is told that this process is there; NULL: not now */
    struct group_word word;
    int64_t now;
    store_done_fn *done;
    void *arg;
};

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static enum status store_credential_use(struct store_tx *tx, const struct usage_delta *delta)
{
    return store_send(tx,
                      "UPDATE credential SET last_used = $1 WHERE id ="
                      " (SELECT id FROM credential WHERE id = $2 AND last_used < $1 /* if free */)",
                      store_int(delta->last_used), store_int(delta->credential_id));
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
    int64_t wrong_after = INT64_MAX, database = 0;
    for (size_t i = flush->stored; i < end; i++) {
        const struct token_use *use = &flush->uses[i];
        if (use->is_clamped && wrong_after == INT64_MAX) { /* wrong by every clock */
            TRY(store_now(tx, &database));
            wrong_after = CLOCK_TOLERANCE + (database != INT64_MAX && database > flush->now ? database : flush->now);
        }
        const struct token_use_row row = {.key = use->key,
                                          .used = use->used,
                                          .wrong_after = use->is_clamped ? wrong_after : INT64_MAX,
                                          .api = usage_api(usage, use->api)};
        TRY(token_store_use(tx, is_shared, &row, &flush->changed[i]));
    }
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
    if (flush->group != NULL)
        TRY(group_say(flush->group, tx, &flush->word));
    return floor_raise(tx, clock_settled(flush->domain->clock));
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
    free(flush->changed);
    free(flush->unsure);
    free(flush->is_missing);
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
    } else if (flush->group != NULL) {
        group_said(flush->group, &flush->word);
    }
    one_done(flush);
}

static bool is_one_part(const struct flush *flush)
{
    return flush->use_count <= USES_AT_ONCE;
}

static enum status look_for_missing_tx(struct store_tx *tx, void *arg)
{
    struct flush *flush = arg;
    struct token_row row;
    for (size_t i = 0; i < flush->unsure_count; i++) {
        enum status status = token_load(tx, &flush->unsure[i].key, &row);
        flush->is_missing[i] = status == STATUS_NOT_FOUND;
        if (status != STATUS_OK && status != STATUS_NOT_FOUND)
            return status;
    }
    return STATUS_OK;
}

void flusher_note_missing(struct flusher *flusher, int64_t count)
{
    if (count == 0)
        return;
    atomic_fetch_add(&flusher->tokens_missing, (uint64_t)count);
    log_write(LOG_LEVEL_WARN, "tokens_missing", "count", log_number(count).text, "message",
              "tokens that were in use are not in the database any more; they are inactive from now on", NULL);
}

static void missing_known(enum status status, void *arg)
{
    struct flush *flush = arg;
    int64_t count = 0;
    for (size_t i = 0; status == STATUS_OK && i < flush->unsure_count; i++) {
        if (!flush->is_missing[i])
            continue;
        token_table_remove(flush->domain->tokens, &flush->unsure[i].key);
        count++;
    }
    flusher_note_missing(flush->flusher, count);
    one_done(flush);
}

static void look_for_missing(struct flush *flush)
{
    for (size_t i = 0; i < flush->stored; i++)
        flush->unsure_count += flush->changed[i] == 0;
    if (flush->unsure_count == 0) {
        one_done(flush);
        return;
    }
    flush->unsure = must(calloc(flush->unsure_count, sizeof *flush->unsure));
    flush->is_missing = must(calloc(flush->unsure_count, sizeof *flush->is_missing));
    for (size_t i = 0, at = 0; i < flush->stored; i++)
        if (flush->changed[i] == 0)
            flush->unsure[at++] = flush->uses[i];
    store_read(flush->domain->store, look_for_missing_tx, missing_known, flush);
}

/* Of several parts, the next is queued when this one is done: other writes come between. The rest comes after them; of
 * one part it is queued behind it already. */
static void uses_done(enum status status, void *arg)
{
    struct flush *flush = arg;
    struct store *store = flush->domain->store;
    struct token_table *tokens = flush->domain->tokens;
    if (status == STATUS_OK) {
        size_t end = uses_end(flush);
        token_table_stored(tokens, flush->uses + flush->stored, end - flush->stored);
        flush->stored = end;
    }
    if (status == STATUS_OK && flush->stored < flush->use_count) {
        store_write_beside(store, flush_uses_tx, uses_done, flush);
        return;
    }
    token_table_give_back(tokens, flush->uses + flush->stored, flush->use_count - flush->stored);
    if (status != STATUS_OK)
        has_failed(flush, status);
    if (!is_one_part(flush))
        store_write(store, flush_rest_tx, rest_done, flush);
    look_for_missing(flush);
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
    flush->changed = must(calloc(flush->use_count + 1, sizeof *flush->changed));
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

/* What is dated later than now was dated by a clock that was ahead, this one perhaps, before it came back. But only a
 * clock that has settled may say so: one that is behind for a moment finds everything dated later. */
static void mend_memory(struct domain *domain)
{
    int64_t now = clock_now(domain->clock), latest = now + CLOCK_TOLERANCE;
    if (!clock_has_settled(domain->clock))
        return;
    token_table_clamp(domain->tokens, latest, now);
    directory_clamp(domain->directory, latest, now);
}

void flusher_flush(struct flusher *flusher, store_done_fn *done, void *arg)
{
    struct domain *domain = flusher->domain;
    struct flush *flush = must(calloc(1, sizeof *flush));
    mend_memory(domain);
    flush->domain = domain;
    flush->flusher = flusher;
    flush->now = clock_now(domain->clock);
    flush->done = done;
    flush->arg = arg;
    flush->to_do = 2;
    if (domain->replica != NULL && group_is_due(replica_group(domain->replica)))
        flush->group = replica_group(domain->replica);
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
    struct arena arena;
    struct work work;
    struct token_reaping tokens;
    bool is_tidy_round;
    int64_t deletion_retention, usage_retention;
    /* The end, which whoever asked waits for. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_over;
    enum status status;
};

/* Old changes, but never the last one, and never one from between others: the log stays in one piece. */
static enum status trim_log(struct store_tx *tx, int64_t before)
{
    return store_run(tx,
                     "DELETE FROM change_log WHERE revision < coalesce("
                     "(SELECT revision FROM change_log WHERE at > $1 ORDER BY revision LIMIT 1),"
                     " (SELECT max(revision) FROM change_log))",
                     NULL, NULL, store_int(before));
}

/* Settings whose floors a clock that was wrong has set. */
static enum status mend_settings(struct reaping *reaping, struct settings *settings)
{
    struct work *work = &reaping->work;
    bool is_mended = false;
    TRY(settings_mend(work->tx, settings, reaping->tokens.latest, work->now, &is_mended));
    return is_mended ? work_change_settings(work, settings) : STATUS_OK;
}

static enum status tidy(struct reaping *reaping, int64_t now)
{
    struct work *work = &reaping->work;
    TRY(credential_mend(work->tx, reaping->tokens.latest, work->now));
    TRY(store_run(work->tx, "DELETE FROM secret WHERE ends <> 0 AND ends <= $1", NULL, NULL, store_int(now)));
    TRY(store_run(work->tx, "DELETE FROM request WHERE at <= $1", NULL, NULL, store_int(now - REQUEST_RETENTION)));
    TRY(trim_log(work->tx, now - CHANGE_LOG_RETENTION));
    TRY(usage_expire(work->tx, now - reaping->usage_retention, TIDY_LIMIT));
    return credential_purge(work, now - reaping->deletion_retention, PURGE_LIMIT);
}

/* What is removed is gone for everybody: not by one clock that may be wrong. */
static enum status reap_tx(struct store_tx *tx, void *arg)
{
    struct reaping *reaping = arg;
    struct work *work = &reaping->work;
    struct clock *clock = work->domain->clock;
    int64_t database = 0, now = clock_settled(clock), latest = clock_now(clock);
    struct settings settings;
    arena_done(&reaping->arena);
    work_begin(work, tx);
    TRY(settings_load(tx, &settings));
    TRY(store_now(tx, &database));
    if (database < now)
        now = database;
    if (database != INT64_MAX && database > latest)
        latest = database;
    bool has_settled = latest - now < CLOCK_TOLERANCE;
    reaping->deletion_retention = settings.deletion_retention;
    reaping->usage_retention = settings.usage_retention;
    reaping->tokens.tokens = work->domain->tokens;
    reaping->tokens.cursor = reaping->flusher->cursor;
    reaping->tokens.at = now - REAP_GRACE;
    reaping->tokens.limits = settings_limits(&settings, reaping->tokens.at);
    reaping->tokens.latest = has_settled ? latest + CLOCK_TOLERANCE : INT64_MAX;
    TRY(mend_settings(reaping, &settings));
    TRY(token_reap(tx, &reaping->arena, &reaping->tokens, REAP_LIMIT));
    return reaping->is_tidy_round ? tidy(reaping, now) : STATUS_OK;
}

/* On the thread on which everybody's work is applied: one after the other, in the order of the commits. */
static void reap_done(enum status status, void *arg)
{
    struct reaping *reaping = arg;
    if (status == STATUS_OK) {
        for (int i = 0; i < reaping->tokens.removed_count; i++)
            token_table_remove(reaping->work.domain->tokens, &reaping->tokens.removed[i]);
        work_apply(&reaping->work);
        reaping->flusher->cursor = reaping->tokens.cursor;
        reaping->flusher->round++;
    }
    pthread_mutex_lock(&reaping->lock);
    reaping->is_over = true;
    reaping->status = status;
    pthread_cond_signal(&reaping->wake);
    pthread_mutex_unlock(&reaping->lock);
}

enum status flusher_reap(struct flusher *flusher, int *ret_seen, int *ret_removed)
{
    struct domain *domain = flusher->domain;
    struct reaping reaping = {
        .flusher = flusher,
        .work = {.domain = domain, .actor = "gatehoused"},
        .is_tidy_round = flusher->round % TIDY_ROUNDS == 0,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .wake = PTHREAD_COND_INITIALIZER,
    };
    reaping.work.arena = &reaping.arena;
    store_write(domain->store, reap_tx, reap_done, &reaping);
    pthread_mutex_lock(&reaping.lock);
    while (!reaping.is_over)
        pthread_cond_wait(&reaping.wake, &reaping.lock);
    pthread_mutex_unlock(&reaping.lock);
    *ret_seen = reaping.tokens.seen;
    *ret_removed = reaping.tokens.removed_count;
    work_reset(&reaping.work);
    arena_done(&reaping.arena);
    return reaping.status;
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

static void flush_known(enum status status, void *arg)
{
    struct flusher *flusher = arg;
    pthread_mutex_lock(&flusher->lock);
    flusher->is_flushed = true;
    flusher->flushed = status;
    pthread_cond_broadcast(&flusher->wake);
    pthread_mutex_unlock(&flusher->lock);
}

/* Waits for its end: nothing may be removed by what the store says of uses while it does not know them all. */
static enum status flush_and_wait(struct flusher *flusher)
{
    flusher->is_flushed = false;
    flusher_flush(flusher, flush_known, flusher);
    pthread_mutex_lock(&flusher->lock);
    while (!flusher->is_flushed)
        pthread_cond_wait(&flusher->wake, &flusher->lock);
    enum status status = flusher->flushed;
    pthread_mutex_unlock(&flusher->lock);
    return status;
}

void flusher_round(struct flusher *flusher, int *ret_removed)
{
    int seen = 0;
    *ret_removed = 0;
    /* Who has not heard of the others for so long may take for dead what they have given more time. */
    if (flush_and_wait(flusher) == STATUS_OK && replica_age(flusher->domain->replica) < REAP_GRACE &&
        flusher_reap(flusher, &seen, ret_removed) != STATUS_OK)
        *ret_removed = 0;
}

static int64_t pause_between(struct flusher *flusher)
{
    struct directory *directory = flusher->domain->directory;
    directory_lock(directory);
    int64_t pause = domain_flush_pause(flusher->domain, directory_settings(directory));
    directory_unlock(directory);
    return pause / 1000;
}

static void *run(void *arg)
{
    struct flusher *flusher = arg;
    int64_t pause = pause_between(flusher);
    while (!pause_for(flusher, pause)) {
        int removed = 0;
        flusher_round(flusher, &removed);
        pause = pause_between(flusher);
        if (removed > REAP_LIMIT / 4) /* where much is dead, go on soon */
            pause = pause / 20 + 1;
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

uint64_t flusher_tokens_missing(struct flusher *flusher)
{
    return atomic_load(&flusher->tokens_missing);
}

/* If it cannot be told, the others wait for it a little longer than they need. */
static enum status leave_tx(struct store_tx *tx, void *arg)
{
    return group_leave(arg, tx);
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
    if (flusher->domain->replica != NULL)
        (void)!store_write_wait(flusher->domain->store, leave_tx, replica_group(flusher->domain->replica));
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
