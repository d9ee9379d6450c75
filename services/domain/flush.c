/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/flush.h"

#include "base/log.h"
#include "base/must.h"
#include "domain/flush_batch.h"
#include "domain/flush_missing.h"
#include "records/credential.h"
#include "records/secret.h"
#include "records/token.h"
#include "store/floor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#ifndef FLUSH_USES_AT_ONCE /* the simulator has fewer, so that few tokens make several parts */
#define FLUSH_USES_AT_ONCE 1000
#endif

enum {
    USES_AT_ONCE = FLUSH_USES_AT_ONCE, /* in one transaction: what is issued or revoked meanwhile waits for it */
};
#define TOLD_EVERY (60 * CLOCK_SECOND)

struct flush {
    struct memory *memory;
    struct store *store;
    struct clock *clock;
    struct group *group; /* NULL: nobody else writes to the store */
    int64_t interval;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_ending;                /* a thread tells the first that it is done */
    struct flushing *first, *last; /* that are not done, in the order in which they gathered; under the lock */
    pthread_mutex_t gathering;     /* held while one gathers, outside the lock */
    bool is_last;                  /* no other will gather */
    struct flush_missing missing;
    struct flush_batch *doubtful;                          /* under the lock, as is what follows */
    char spent[FLUSH_BATCH_SPENT][FLUSH_BATCH_ID_LEN + 1]; /* ids of batches that are stored; more are left to expire */
    size_t spent_count;
    bool has_failed;          /* the store may have become another: whatever is in use is to be looked for in it */
    struct usage_beyond told; /* under `gathering` */
    int64_t told_at;
};

/* What one flush carries: the uses of tokens in one job or several, one after the other, and so the rest, in batches.
 * Each job that fails gives back what it carried, and the flush has failed; so have those that gathered after it, and
 * did not find what it was carrying. None is done before those that gathered before it. */
struct flushing {
    struct flushing *next; /* in the flush; as are the next two, under its lock */
    bool is_over;
    enum status status;
    struct flush *flush;
    atomic_int to_do; /* the uses, the rest; the last to be done ends the flush */
    struct token_use *uses;
    int64_t *changed;            /* rows, by each of them */
    size_t use_count, stored;    /* so many of them are */
    struct flush_batch *batches; /* that are not stored yet; the first of them is under way */
    struct secret_use *secrets;
    size_t secret_count;
    struct source_use *sources;
    size_t source_count;
    struct group *group; /* that is told that this process is there; NULL: not now */
    struct group_word word;
    int64_t now, begun; /* clock_now, clock_steady */
    bool has_gathered;
    store_done_fn *done;
    void *arg;
};

static size_t uses_end(const struct flushing *flushing)
{
    size_t left = flushing->use_count - flushing->stored;
    return flushing->stored + (left < USES_AT_ONCE ? left : USES_AT_ONCE);
}

/* Most of a flush, and it need not be alone: no other replica waits for it. */
static enum status flush_uses_tx(struct store_tx *tx, void *arg)
{
    struct flushing *flushing = arg;
    struct usage *usage = flushing->flush->memory->usage;
    size_t end = uses_end(flushing);
    int64_t wrong_after = INT64_MAX, database = 0;
    for (size_t i = flushing->stored; i < end; i++) {
        const struct token_use *use = &flushing->uses[i];
        if (use->is_clamped && wrong_after == INT64_MAX) { /* wrong by every clock */
            TRY(store_now(tx, &database));
            wrong_after =
                CLOCK_TOLERANCE + (database != INT64_MAX && database > flushing->now ? database : flushing->now);
        }
        char api[API_MAX + 1];
        const struct token_use_row row = {.key = use->key,
                                          .used = use->used,
                                          .wrong_after = use->is_clamped ? wrong_after : INT64_MAX,
                                          .api = usage_api(usage, use->api, api) ? api : NULL};
        TRY(token_row_store_use(tx, &row, &flushing->changed[i]));
    }
    return STATUS_OK;
}

/* What is the same however often it is stored. */
static enum status store_rest(struct store_tx *tx, struct flushing *flushing)
{
    for (size_t i = 0; i < flushing->secret_count; i++)
        TRY(secret_row_store_use(tx, flushing->secrets[i].secret_id, flushing->secrets[i].used));
    for (size_t i = 0; i < flushing->source_count; i++) {
        char from[ADDRESS_TEXT_MAX];
        address_format(&flushing->sources[i].address, from);
        TRY(credential_row_store_from(tx, flushing->sources[i].credential_id, from,
                                      flushing->sources[i].used + SOURCE_USES_KNOWN_FOR));
    }
    if (flushing->group != NULL)
        TRY(group_say(flushing->group, tx, &flushing->word));
    return floor_raise(tx, clock_settled(flushing->flush->clock));
}

static enum status batch_tx(struct store_tx *tx, void *arg)
{
    struct flushing *flushing = arg;
    const struct flush_batch *batch = flushing->batches;
    bool is_done = flush_batch_is_empty(batch);
    if (batch->is_doubtful)
        TRY(flush_batch_is_stored(tx, batch, &is_done));
    if (!is_done)
        TRY(flush_batch_store(tx, batch, flushing->flush->memory->usage, flushing->now));
    return batch->is_first ? store_rest(tx, flushing) : STATUS_OK;
}

static void flushing_free(struct flushing *flushing)
{
    free(flushing->secrets);
    free(flushing->sources);
    free(flushing->uses);
    free(flushing->changed);
    free(flushing);
}

/* What it carried is in memory again. */
static void has_failed(struct flushing *flushing, enum status status)
{
    struct flush *flush = flushing->flush;
    memory_note_news(flush->memory);
    log_write(LOG_LEVEL_WARN, "flush_failed", "status", status_name(status), NULL);
    pthread_mutex_lock(&flush->lock);
    flush->has_failed = true;
    for (; flushing != NULL; flushing = flushing->next)
        if (flushing->status == STATUS_OK)
            flushing->status = status;
    pthread_mutex_unlock(&flush->lock);
}

/* The first, if it is over and no other thread ends it: a store without memory answers on the caller's own. */
static struct flushing *take_over(struct flush *flush)
{
    struct flushing *flushing = flush->first;
    if (flushing == NULL || !flushing->is_over || flush->is_ending)
        return NULL;
    flush->is_ending = true;
    return flushing;
}

static void one_done(struct flushing *flushing)
{
    struct flush *flush = flushing->flush;
    if (atomic_fetch_sub(&flushing->to_do, 1) > 1)
        return;
    pthread_mutex_lock(&flush->lock);
    flushing->is_over = true;
    while ((flushing = take_over(flush)) != NULL) {
        pthread_mutex_unlock(&flush->lock);
        if (flushing->status == STATUS_OK && flushing->has_gathered && flush->group != NULL)
            group_has_stored(flush->group, flushing->begun);
        if (flushing->done != NULL)
            flushing->done(flushing->status, flushing->arg);
        pthread_mutex_lock(&flush->lock);
        flush->is_ending = false;
        flush->first = flushing->next;
        if (flush->first == NULL)
            flush->last = NULL;
        flushing_free(flushing);
    }
    pthread_cond_broadcast(&flush->wake);
    pthread_mutex_unlock(&flush->lock);
}

static void give_back_rest(struct flushing *flushing)
{
    struct secret_uses *secrets = flushing->flush->memory->secrets;
    for (size_t i = 0; i < flushing->source_count; i++)
        source_uses_note(flushing->flush->memory->sources, &flushing->sources[i]);
    for (size_t i = 0; i < flushing->secret_count; i++)
        secret_uses_note(secrets, flushing->secrets[i].secret_id, flushing->secrets[i].used);
}

/* It is not stored. If that is sure, it is in memory again, and added to what is counted there. */
static void give_back_batch(struct flushing *flushing, struct flush_batch *batch)
{
    struct flush *flush = flushing->flush;
    if (batch->is_first)
        give_back_rest(flushing);
    batch->is_first = false;
    if (batch->is_doubtful && !flush_batch_is_empty(batch)) {
        pthread_mutex_lock(&flush->lock);
        batch->next = flush->doubtful;
        flush->doubtful = batch;
        pthread_mutex_unlock(&flush->lock);
        return;
    }
    usage_give_back(flush->memory->usage, batch->deltas, batch->delta_count);
    audit_queue_give_back(flush->memory->audit, batch->events, batch->event_count);
    observed_give_back(flush->memory->observed, batch->observed, batch->observed_count);
    flush_batch_free(batch);
}

static void batch_stored(struct flushing *flushing, struct flush_batch *batch)
{
    struct flush *flush = flushing->flush;
    if (batch->is_first && flushing->group != NULL)
        group_said(flushing->group, &flushing->word);
    usage_stored(flush->memory->usage, batch->deltas, batch->delta_count);
    pthread_mutex_lock(&flush->lock);
    if (!flush_batch_is_empty(batch) && flush->spent_count < FLUSH_BATCH_SPENT)
        memcpy(flush->spent[flush->spent_count++], batch->id, sizeof batch->id);
    pthread_mutex_unlock(&flush->lock);
    flush_batch_free(batch);
}

static void begin_batch(struct flushing *flushing);

/* The next one is queued when this one is done: other writes come between. */
static void batch_done(enum status status, void *arg)
{
    struct flushing *flushing = arg;
    struct flush_batch *batch = flushing->batches;
    flushing->batches = batch->next;
    if (status == STATUS_OK) {
        batch_stored(flushing, batch);
    } else {
        batch->is_doubtful = batch->is_doubtful || status == STATUS_UNKNOWN;
        give_back_batch(flushing, batch);
        while ((batch = flushing->batches) != NULL) {
            flushing->batches = batch->next;
            give_back_batch(flushing, batch);
        }
        has_failed(flushing, status);
    }
    if (flushing->batches != NULL)
        begin_batch(flushing);
    else
        one_done(flushing);
}

static void begin_batch(struct flushing *flushing)
{
    struct flush *flush = flushing->flush;
    struct flush_batch *batch = flushing->batches;
    pthread_mutex_lock(&flush->lock);
    memcpy(batch->spent, flush->spent, sizeof batch->spent);
    batch->spent_count = flush->spent_count;
    flush->spent_count = 0;
    pthread_mutex_unlock(&flush->lock);
    store_write(flush->store, batch_tx, batch_done, flushing);
}

static bool is_one_part(const struct flushing *flushing)
{
    return flushing->use_count <= USES_AT_ONCE;
}

/* A flush_missing_done_fn: the flushing goes on to its end. */
static void missing_known(void *arg)
{
    one_done(arg);
}

/* Of several parts, the next is queued when this one is done: other writes come between. The rest comes after them; of
 * one part it is queued behind it already. */
static void uses_done(enum status status, void *arg)
{
    struct flushing *flushing = arg;
    struct store *store = flushing->flush->store;
    struct token_table *tokens = flushing->flush->memory->tokens;
    if (status == STATUS_OK) {
        size_t end = uses_end(flushing);
        token_table_stored(tokens, flushing->uses + flushing->stored, end - flushing->stored);
        flushing->stored = end;
    }
    if (status == STATUS_OK && flushing->stored < flushing->use_count) {
        store_write_beside(store, flush_uses_tx, uses_done, flushing);
        return;
    }
    token_table_give_back(tokens, flushing->uses + flushing->stored, flushing->use_count - flushing->stored);
    if (status != STATUS_OK)
        has_failed(flushing, status);
    if (!is_one_part(flushing))
        begin_batch(flushing);
    flush_missing_look(&flushing->flush->missing, flushing->uses, flushing->changed, flushing->stored, missing_known,
                       flushing);
}

static int compare_uses(const void *a, const void *b)
{
    const uint8_t *key_a = ((const struct token_use *)a)->key.bytes, *key_b = ((const struct token_use *)b)->key.bytes;
    int i = 0;
    while (i < TOKEN_KEY_BYTES - 1 && key_a[i] == key_b[i])
        i++;
    return key_a[i] - key_b[i];
}

/* Now and then: what met a bound is not what it should be. */
static void tell_beyond(struct flush *flush)
{
    struct usage_beyond now = usage_beyond(flush->memory->usage), before = flush->told;
    int64_t at = clock_steady(flush->clock);
    bool is_new = now.credential != before.credential || now.process != before.process || now.lost != before.lost;
    if (!is_new || (flush->told_at != 0 && at - flush->told_at < TOLD_EVERY))
        return;
    flush->told = now;
    flush->told_at = at;
    if (now.credential + now.process > before.credential + before.process)
        log_write(LOG_LEVEL_WARN, "api_names_exceeded", "of_one_credential",
                  log_number((int64_t)(now.credential - before.credential)).text, "of_all",
                  log_number((int64_t)(now.process - before.process)).text, "message",
                  "so many uses are counted as of the API \"other\": too many APIs were called within two hours", NULL);
    if (now.lost > before.lost)
        log_write(LOG_LEVEL_ERROR, "usage_lost", "uses", log_number((int64_t)(now.lost - before.lost)).text, "message",
                  "the database has taken no usage for too long; the oldest is not counted", NULL);
}

static void gather_uses(struct flushing *flushing, bool is_all)
{
    const struct flush *flush = flushing->flush;
    struct settings settings = memory_settings(flush->memory);
    const struct token_gathering gathering = {.now = flushing->now,
                                              .idle_timeout = settings.idle_timeout,
                                              .step = settings_use_step(&settings),
                                              .end_margin = settings_use_margin(&settings, flush->interval),
                                              .interval = flush->interval,
                                              .own = directory_idle(flush->memory->directory),
                                              .is_all = is_all};
    flushing->use_count = token_table_gather(flush->memory->tokens, &gathering, &flushing->uses);
    flushing->changed = must(calloc(flushing->use_count + 1, sizeof *flushing->changed));
}

static void gather_all(struct flush *flush, struct flushing *flushing, bool is_all)
{
    struct memory *memory = flush->memory;
    memory_take_news(memory);
    pthread_mutex_lock(&flush->lock);
    is_all = is_all || flush->has_failed;
    flush->has_failed = false;
    flushing->batches = flush->doubtful;
    flush->doubtful = NULL;
    pthread_mutex_unlock(&flush->lock);
    gather_uses(flushing, is_all);
    flush_batch_gather(memory, flushing->now, clock_steady(flush->clock), flush->is_last, &flushing->batches);
    flushing->secret_count = secret_uses_gather(memory->secrets, &flushing->secrets);
    flushing->source_count = source_uses_gather(memory->sources, flushing->now, &flushing->sources);
    tell_beyond(flush);
}

static bool is_empty(const struct flushing *flushing)
{
    for (const struct flush_batch *batch = flushing->batches; batch != NULL; batch = batch->next)
        if (!flush_batch_is_empty(batch))
            return false;
    return flushing->use_count == 0 && flushing->secret_count == 0 && flushing->source_count == 0;
}

/* In one step, as the others see it: what one has taken is not looked for in vain by the next, unless that one is known
 * to come after it. */
static void gather(struct flush *flush, struct flushing *flushing, enum flush_extent extent)
{
    pthread_mutex_lock(&flush->gathering);
    flushing->has_gathered = extent != FLUSH_NEWS || memory_take_news(flush->memory);
    if (flushing->has_gathered)
        gather_all(flush, flushing, extent == FLUSH_ALL || flush->is_last);
    pthread_mutex_lock(&flush->lock);
    if (flush->last == NULL)
        flush->first = flushing;
    else
        flush->last->next = flushing;
    flush->last = flushing;
    pthread_mutex_unlock(&flush->lock);
    pthread_mutex_unlock(&flush->gathering);
}

/* What is dated later than now was dated by a clock that was ahead, this one perhaps, before it came back. But only a
 * clock that has settled may say so: one that is behind for a moment finds everything dated later. */
static void mend_memory(struct flush *flush, enum flush_extent extent)
{
    int64_t now = clock_now(flush->clock), latest = now + CLOCK_TOLERANCE;
    if (!clock_has_settled(flush->clock))
        return;
    token_table_clamp(flush->memory->tokens, latest, now);
    if (extent == FLUSH_ROUND) /* it goes by how many credentials there are */
        directory_clamp(flush->memory->directory, latest, now);
}

/* Done when those before it are. */
static void end_empty(struct flushing *flushing)
{
    while (flushing->batches != NULL) {
        struct flush_batch *batch = flushing->batches;
        flushing->batches = batch->next;
        flush_batch_free(batch);
    }
    flushing->to_do = 1;
    one_done(flushing);
}

void flush_begin(struct flush *flush, enum flush_extent extent, store_done_fn *done, void *arg)
{
    struct flushing *flushing = must(calloc(1, sizeof *flushing));
    mend_memory(flush, extent);
    flushing->flush = flush;
    flushing->now = clock_now(flush->clock);
    flushing->begun = clock_steady(flush->clock);
    flushing->done = done;
    flushing->arg = arg;
    flushing->to_do = 2;
    if (extent == FLUSH_ROUND && flush->group != NULL && group_is_due(flush->group))
        flushing->group = flush->group;
    gather(flush, flushing, extent);
    if (extent != FLUSH_ROUND && is_empty(flushing)) {
        end_empty(flushing);
        return;
    }
    if (flushing->use_count > 0) /* in the order of the store's tree: each of its pages is changed once */
        qsort(flushing->uses, flushing->use_count, sizeof *flushing->uses, compare_uses);
    bool is_rest_next = is_one_part(flushing); /* asked first: the uses may be done before store_write_beside returns */
    store_write_beside(flush->store, flush_uses_tx, uses_done, flushing);
    if (is_rest_next)
        begin_batch(flushing);
}

void flush_begin_last(struct flush *flush)
{
    flush->is_last = true;
    flush_begin(flush, FLUSH_ROUND, NULL, NULL);
}

void flush_wait(struct flush *flush)
{
    pthread_mutex_lock(&flush->lock);
    while (flush->first != NULL)
        pthread_cond_wait(&flush->wake, &flush->lock);
    pthread_mutex_unlock(&flush->lock);
}

struct flush *flush_new(struct memory *memory, struct store *store, struct clock *clock, struct group *group,
                        int64_t interval)
{
    struct flush *flush = must(calloc(1, sizeof *flush));
    flush->memory = memory;
    flush->store = store;
    flush->clock = clock;
    flush->group = group;
    flush->interval = interval;
    flush->missing = (struct flush_missing){.memory = memory, .store = store};
    pthread_mutex_init(&flush->lock, NULL);
    pthread_mutex_init(&flush->gathering, NULL);
    pthread_cond_init(&flush->wake, NULL);
    return flush;
}

void flush_note_missing(struct flush *flush, int64_t count)
{
    flush_missing_note(&flush->missing, count);
}

uint64_t flush_tokens_missing(struct flush *flush)
{
    return atomic_load(&flush->missing.count);
}

void flush_free(struct flush *flush)
{
    if (flush == NULL)
        return;
    for (struct flush_batch *batch = flush->doubtful, *next; batch != NULL; batch = next) {
        next = batch->next;
        flush_batch_free(batch);
    }
    pthread_cond_destroy(&flush->wake);
    pthread_mutex_destroy(&flush->gathering);
    pthread_mutex_destroy(&flush->lock);
    free(flush);
}
