/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/reap.h"

#include "base/must.h"
#include "domain/announce.h"
#include "domain/credential.h"
#include "domain/disuse.h"
#include "domain/work.h"
#include "memory/change.h"
#include "records/change_log.h"
#include "records/credential.h"
#include "records/limit.h"
#include "records/process.h"
#include "records/request.h"
#include "records/secret.h"
#include "records/setting.h"
#include "records/token.h"
#include "records/usage.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    REAP_LIMIT = 1000, /* tokens looked at in one round */
    TIDY_ROUNDS = 30,  /* rounds between two looks at what grows slowly */
    TIDY_LIMIT = 1000, /* rows of each table that it removes then */
    PURGE_LIMIT = 20,
    MEND_LIMIT = 20,
    REAP_MANY = 250, /* removed in a round: where so much is dead, there is more */
};
#define REQUEST_RETENTION (24 * 3600 * CLOCK_SECOND)
#define CHANGE_LOG_RETENTION (3600 * CLOCK_SECOND)

struct reap {
    struct memory *memory;
    struct store *store;
    struct clock *clock;
    struct follow *follow;
    struct token_key cursor;
    int64_t secret_cursor;
    struct disuse disuse;
    atomic_int_least64_t announced;
    int round;
};

/* A round. What it removes it looks for among REAP_LIMIT tokens. */
struct reaping {
    struct reap *reap;
    struct arena arena;
    struct work work;
    bool is_tidy_round, is_tidy_behind, are_limits_behind;
    int64_t secret_cursor;
    struct disuse disuse;
    int64_t deletion_retention, usage_retention;
    int64_t at; /* what was dead by then goes, by these settings */
    struct settings settings;
    int64_t latest; /* a last use that is later was dated by a clock that was wrong */
    struct token_key cursor;
    struct token_key *removed, *ahead; /* of the arena; ahead: whose last use has not come yet */
    int seen, removed_count, ahead_count;
    /* The end, which whoever asked waits for. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_over;
    enum status status;
};

struct reap *reap_new(struct memory *memory, struct store *store, struct clock *clock, struct follow *follow)
{
    struct reap *reap = must(calloc(1, sizeof *reap));
    reap->memory = memory;
    reap->store = store;
    reap->clock = clock;
    reap->follow = follow;
    return reap;
}

void reap_free(struct reap *reap)
{
    free(reap);
}

/* A token_page_fn. The credential is the store's, not memory's: memory may not know yet what others have done, or that
 * it was lost. */
static enum status look_at(const struct token_row *row, const struct token_holder *holder, void *arg)
{
    struct reaping *reaping = arg;
    const struct credential_facts credential = {.epoch = holder->epoch,
                                                .expires = holder->expires,
                                                .deleted = holder->deleted,
                                                .suspended = holder->suspended,
                                                .limits = holder->limits};
    struct token_facts facts = {.key = row->key, .last_used = row->last_used, .epoch = row->epoch};
    int64_t used = token_table_last_used(reaping->reap->memory->tokens, &row->key, NULL);
    if (row->last_used > reaping->latest)
        reaping->ahead[reaping->ahead_count++] = row->key;
    if (used > facts.last_used)
        facts.last_used = used;
    if (holder->is_missing || !token_is_active(&facts, &credential, &reaping->settings, reaping->at))
        reaping->removed[reaping->removed_count++] = row->key;
    reaping->seen++;
    reaping->cursor = row->key;
    return STATUS_OK;
}

/* The next page; the cursor is zero after the last. */
static enum status reap_tokens(struct reaping *reaping)
{
    struct store_tx *tx = reaping->work.tx;
    struct token_key after = reaping->cursor = reaping->reap->cursor;
    reaping->ahead = arena_array(&reaping->arena, struct token_key, REAP_LIMIT);
    reaping->removed = arena_array(&reaping->arena, struct token_key, REAP_LIMIT);
    reaping->seen = reaping->removed_count = reaping->ahead_count = 0;
    TRY(token_row_page(tx, &after, REAP_LIMIT, look_at, reaping));
    for (int i = 0; i < reaping->ahead_count; i++)
        TRY(token_row_lower_use(tx, &reaping->ahead[i], reaping->latest));
    for (int i = 0; i < reaping->removed_count; i++)
        TRY(token_row_remove(tx, &reaping->removed[i]));
    if (reaping->seen < REAP_LIMIT)
        reaping->cursor = (struct token_key){0};
    return STATUS_OK;
}

/* Settings whose floors a clock that was wrong has set. */
static enum status mend_settings(struct reaping *reaping, struct settings *settings)
{
    struct work *work = &reaping->work;
    if (!settings_mend(settings, reaping->latest, work->now))
        return STATUS_OK;
    TRY(setting_row_save(work->tx, settings));
    return work_change_settings(work, settings);
}

/* The same of credentials that have limits of their own. */
static enum status mend_limits(struct reaping *reaping)
{
    int64_t ids[MEND_LIMIT];
    int count = 0;
    TRY(limit_row_floored(reaping->work.tx, reaping->latest, MEND_LIMIT, ids, &count));
    reaping->are_limits_behind = count == MEND_LIMIT;
    for (int i = 0; i < count; i++)
        TRY(credential_mend(&reaping->work, ids[i], reaping->latest));
    return STATUS_OK;
}

/* Removes for good what was deleted until then. One that has much usage goes when that is gone. */
static enum status purge(struct reaping *reaping, int64_t until)
{
    struct work *work = &reaping->work;
    int64_t ids[PURGE_LIMIT], left = TIDY_LIMIT;
    int count = 0;
    TRY(credential_row_deleted(work->tx, until, PURGE_LIMIT, ids, &count));
    for (int i = 0; i < count; i++) {
        int64_t removed = 0;
        TRY(usage_row_remove(work->tx, ids[i], (int)left, &removed));
        left -= removed;
        if (left == 0)
            break;
        TRY(credential_row_remove(work->tx, ids[i]));
        TRY(work_change_purge(work, ids[i]));
    }
    reaping->is_tidy_behind |= left == 0 || count == PURGE_LIMIT;
    return STATUS_OK;
}

static enum status tidy(struct reaping *reaping, const struct settings *settings, int64_t now)
{
    struct store_tx *tx = reaping->work.tx;
    int announced = 0;
    int64_t mended = 0, secrets = 0, requests = 0, changes = 0, uses = 0;
    TRY(credential_row_mend(tx, reaping->latest, reaping->work.now, TIDY_LIMIT, &mended));
    TRY(secret_row_mend(tx, reaping->latest, reaping->work.now, TIDY_LIMIT, &reaping->secret_cursor));
    TRY(secret_row_expire(tx, now, TIDY_LIMIT, &secrets));
    TRY(request_row_expire(tx, now - REQUEST_RETENTION, TIDY_LIMIT, &requests));
    TRY(change_log_trim(tx, now - CHANGE_LOG_RETENTION, TIDY_LIMIT, &changes));
    TRY(usage_row_expire(tx, now - reaping->usage_retention, TIDY_LIMIT, &uses));
    TRY(announce_due(&reaping->work, now, &announced));
    reaping->is_tidy_behind = announced >= ANNOUNCE_LIMIT || mended >= TIDY_LIMIT || secrets == TIDY_LIMIT ||
                              requests == TIDY_LIMIT || changes == TIDY_LIMIT || uses == TIDY_LIMIT;
    TRY(disuse_look(&reaping->work, &reaping->disuse, settings, now, reaping->latest));
    return purge(reaping, now - reaping->deletion_retention);
}

/* What was dead by then, by all uses there are: by no clock that may be wrong, and not while another process knows of
 * uses that it could not store. */
static enum status reap_until(struct reaping *reaping, int64_t now)
{
    int64_t stored = INT64_MAX;
    if (reaping->reap->follow != NULL)
        TRY(process_row_stored(reaping->work.tx, &stored));
    reaping->at = (stored < now ? stored : now) - REAP_DEAD_FOR;
    return STATUS_OK;
}

/* What is removed is gone for everybody: not by one clock that may be wrong. */
static enum status reap_tx(struct store_tx *tx, void *arg)
{
    struct reaping *reaping = arg;
    struct work *work = &reaping->work;
    struct clock *clock = work->clock;
    int64_t database = 0, now = clock_settled(clock), latest = clock_now(clock);
    struct settings settings;
    arena_done(&reaping->arena);
    work_begin(work, tx);
    reaping->is_tidy_behind = false;
    reaping->secret_cursor = reaping->reap->secret_cursor;
    reaping->disuse = reaping->reap->disuse;
    TRY(setting_row_load(tx, &settings));
    TRY(store_now(tx, &database));
    if (database < now)
        now = database;
    if (database != INT64_MAX && database > latest)
        latest = database;
    bool has_settled = latest - now < CLOCK_TOLERANCE;
    reaping->deletion_retention = settings.deletion_retention;
    reaping->usage_retention = settings.usage_retention;
    TRY(reap_until(reaping, now));
    reaping->settings = settings;
    reaping->latest = has_settled ? latest + CLOCK_TOLERANCE : INT64_MAX;
    TRY(mend_settings(reaping, &settings));
    TRY(mend_limits(reaping));
    TRY(reap_tokens(reaping));
    return reaping->is_tidy_round ? tidy(reaping, &settings, now) : STATUS_OK;
}

/* On the thread on which everybody's work is applied: one after the other, in the order of the commits. */
static void reap_done(enum status status, void *arg)
{
    struct reaping *reaping = arg;
    if (status == STATUS_OK) {
        for (int i = 0; i < reaping->removed_count; i++)
            change_forget_token(reaping->reap->memory, &reaping->removed[i]);
        work_apply(&reaping->work);
        reaping->reap->cursor = reaping->cursor;
        reaping->reap->secret_cursor = reaping->secret_cursor;
        reaping->reap->disuse = reaping->disuse;
        if (reaping->is_tidy_round && reaping->disuse.cursor == 0)
            atomic_store(&reaping->reap->announced, reaping->disuse.announced);
        reaping->reap->round += !reaping->is_tidy_behind; /* otherwise the next round is such a one, too */
    }
    pthread_mutex_lock(&reaping->lock);
    reaping->is_over = true;
    reaping->status = status;
    pthread_cond_signal(&reaping->wake);
    pthread_mutex_unlock(&reaping->lock);
}

int64_t reap_announced(const struct reap *reap)
{
    return atomic_load(&reap->announced);
}

enum status reap_round(struct reap *reap, struct reaped *ret_reaped)
{
    struct reaping reaping = {
        .reap = reap,
        .work = {.memory = reap->memory, .clock = reap->clock, .follow = reap->follow, .actor = "gatehoused"},
        .is_tidy_round = reap->round % TIDY_ROUNDS == 0,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .wake = PTHREAD_COND_INITIALIZER,
    };
    reaping.work.arena = &reaping.arena;
    store_write(reap->store, reap_tx, reap_done, &reaping);
    pthread_mutex_lock(&reaping.lock);
    while (!reaping.is_over)
        pthread_cond_wait(&reaping.wake, &reaping.lock);
    pthread_mutex_unlock(&reaping.lock);
    *ret_reaped = (struct reaped){.seen = reaping.seen, .removed = reaping.removed_count};
    ret_reaped->is_behind = reaping.removed_count > REAP_MANY || reaping.is_tidy_behind || reaping.are_limits_behind;
    work_reset(&reaping.work);
    arena_done(&reaping.arena);
    return reaping.status;
}
