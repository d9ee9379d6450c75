/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/follow.h"

#include "base/log.h"
#include "base/must.h"
#include "domain/news.h"
#include "domain/work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKS = 4 }; /* at the log's head, in a lease */

struct waiting {
    store_done_fn *done;
    void *arg;
    struct waiting *next;
};

struct follow {
    struct memory *memory;
    struct store *store;
    struct clock *clock;
    struct group *group;
    struct follow_options options;
    pthread_mutex_t lock; /* news is applied one after the other; for `own` */
    struct position *own; /* obeyed early, and not yet seen in the log */
    size_t own_count, own_size;
    pthread_mutex_t refresh_lock;
    struct waiting *waiting; /* for a look that begins after they came */
    bool is_looking;         /* for others, who came before */
    _Atomic int64_t confirmed;
    _Atomic bool must_look; /* before anything is answered: see follow_begin_own */
    _Atomic uint64_t history_resets, cut_resets;
};

int64_t follow_age(struct follow *follow)
{
    return follow == NULL ? 0 : clock_steady(follow->clock) - atomic_load(&follow->confirmed);
}

/* Clocks of two machines run differently: whoever holds a lease counts 63/64 of it, whoever waits for it all of it. */
bool follow_has_lease(struct follow *follow)
{
    return follow == NULL ||
           (!atomic_load(&follow->must_look) && follow_age(follow) < group_lease(follow->group) / 64 * 63);
}

struct group *follow_group(struct follow *follow)
{
    return follow->group;
}

bool follow_is_current(struct follow *follow)
{
    return follow == NULL || (!follow->options.is_strict && follow_has_lease(follow) && group_is_known(follow->group));
}

struct follow_resets follow_resets(struct follow *follow)
{
    return (struct follow_resets){atomic_load(&follow->history_resets), atomic_load(&follow->cut_resets)};
}

bool follow_begin_own(struct follow *follow, struct position position)
{
    pthread_mutex_lock(&follow->lock);
    int64_t last = directory_position(follow->memory->directory).revision;
    for (size_t i = 0; i < follow->own_count; i++)
        if (follow->own[i].revision > last)
            last = follow->own[i].revision;
    if (follow->own_count == follow->own_size) {
        follow->own_size = follow->own_size == 0 ? 16 : follow->own_size * 2;
        follow->own = must(realloc(follow->own, follow->own_size * sizeof *follow->own));
    }
    follow->own[follow->own_count++] = position;
    if (position.revision <= last)
        atomic_store(&follow->must_look, true);
    return position.revision > last;
}

void follow_end_own(struct follow *follow)
{
    pthread_mutex_unlock(&follow->lock);
}

/* A look at the log. */
struct looking {
    struct follow *follow;
    struct news news;
    int64_t asked;
    struct waiting *waiting;
};

/* Before the state that will be read is fixed: what was obeyed by now must be in it, and what it says holds from now.
 */
static void begin_look(struct looking *looking)
{
    struct follow *follow = looking->follow;
    struct news *news = &looking->news;
    news_done(news);
    looking->asked = clock_steady(follow->clock);
    pthread_mutex_lock(&follow->lock);
    *news = (struct news){.since = directory_position(follow->memory->directory), .own_count = follow->own_count};
    if (news->own_count > 0) {
        news->own = must(malloc(news->own_count * sizeof *news->own));
        memcpy(news->own, follow->own, news->own_count * sizeof *news->own);
    }
    pthread_mutex_unlock(&follow->lock);
}

static enum status look_tx(struct store_tx *tx, void *arg)
{
    struct looking *looking = arg;
    looking->news.now = clock_now(looking->follow->clock);
    return news_read(tx, &looking->news);
}

/* Does what was read fit to what is in memory now? Another look may have moved it on meanwhile, and of a change that
 * was obeyed early since, this one may know better: then the next look tells. */
static bool is_still_right(const struct looking *looking)
{
    const struct follow *follow = looking->follow;
    const struct news *news = &looking->news;
    if (!position_equal(directory_position(follow->memory->directory), news->since))
        return false;
    for (size_t i = news->own_count; i < follow->own_count; i++)
        if (follow->own[i].revision <= news->position.revision &&
            !position_equal(news_find(news, follow->own[i].revision), follow->own[i]))
            return false;
    return true;
}

/* Those that this look has seen in the log, or has replaced. What came since stays: by another history it may be gone.
 */
static void forget_own(struct looking *looking)
{
    struct follow *follow = looking->follow;
    const struct news *news = &looking->news;
    size_t kept = 0;
    for (size_t i = 0; i < follow->own_count; i++) {
        bool is_done =
            i < news->own_count || (news->kind == NEWS_SINCE && follow->own[i].revision <= news->position.revision);
        if (!is_done)
            follow->own[kept++] = follow->own[i];
    }
    follow->own_count = kept;
}

static void tell_reset(struct follow *follow, const struct news *news)
{
    bool is_history = news->kind == NEWS_HISTORY;
    atomic_fetch_add(is_history ? &follow->history_resets : &follow->cut_resets, 1);
    log_write(is_history ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, is_history ? "another_history" : "change_log_cut",
              "known_revision", log_number(news->since.revision).text, "revision",
              log_number(news->position.revision).text, "message",
              is_history
                  ? "the database is not what it was: commits were lost in a failover, or a backup was restored; "
                    "everything in memory was replaced"
                  : "the change log no longer reaches back to what is known; everything was read anew",
              NULL);
}

struct beginning {
    struct work work;
    struct arena arena;
};

static enum status begin_history_tx(struct store_tx *tx, void *arg)
{
    struct beginning *beginning = arg;
    work_begin(&beginning->work, tx);
    return work_change_all(&beginning->work);
}

static void begin_history_done(enum status status, void *arg)
{
    struct beginning *beginning = arg;
    if (status == STATUS_OK)
        work_apply(&beginning->work);
    work_reset(&beginning->work);
    free(beginning);
}

/* The log's last change has no id: an older program wrote it, and no look could ever trust it. */
static void begin_history(struct follow *follow)
{
    struct beginning *beginning = must(calloc(1, sizeof *beginning));
    beginning->work = (struct work){.memory = follow->memory, .clock = follow->clock, .follow = follow};
    store_write(follow->store, begin_history_tx, begin_history_done, beginning);
}

/* One that came since may be what this look has not seen, and what is known cannot be compared with. */
static bool knows_all_own(const struct looking *looking)
{
    const struct follow *follow = looking->follow;
    for (size_t i = 0; i < follow->own_count; i++)
        if (follow->own[i].revision <= looking->news.position.revision)
            return false;
    return true;
}

/* False: it must be looked at again. */
static bool take_in(struct looking *looking)
{
    struct follow *follow = looking->follow;
    struct news *news = &looking->news;
    pthread_mutex_lock(&follow->lock);
    bool is_right = is_still_right(looking);
    if (is_right) {
        news_apply(follow->memory, news);
        forget_own(looking);
        if (looking->asked > atomic_load(&follow->confirmed)) {
            atomic_store(&follow->confirmed, looking->asked);
            group_has_read(follow->group, looking->asked, news->position.revision);
        }
        if (knows_all_own(looking))
            atomic_store(&follow->must_look, false);
    }
    pthread_mutex_unlock(&follow->lock);
    if (is_right && news->kind != NEWS_SINCE)
        tell_reset(follow, news);
    if (is_right && news->kind != NEWS_SINCE && news->position.revision > 0 && news->position.change_id == 0)
        begin_history(follow);
    return is_right;
}

static enum status look_now_tx(struct store_tx *tx, void *arg)
{
    begin_look(arg);
    return look_tx(tx, arg);
}

void follow_once(struct follow *follow)
{
    int64_t pause_ms = group_lease(follow->group) / LOOKS / 1000;
    struct looking looking = {.follow = follow};
    bool is_done = false;
    for (int i = 0; i < LOOKS && !is_done; i++, pause_ms = 0)
        is_done = store_follow(follow->store, pause_ms, look_now_tx, &looking) != STATUS_OK || take_in(&looking);
    news_done(&looking.news);
}

/* One look serves all who came before it was queued; those who come later wait for the next. */
static void look_done(enum status status, void *arg);

static void look_for_all(struct follow *follow)
{
    pthread_mutex_lock(&follow->refresh_lock);
    struct waiting *waiting = follow->waiting;
    follow->waiting = NULL;
    follow->is_looking = waiting != NULL;
    pthread_mutex_unlock(&follow->refresh_lock);
    if (waiting == NULL)
        return;
    struct looking *looking = must(calloc(1, sizeof *looking));
    *looking = (struct looking){.follow = follow, .waiting = waiting};
    begin_look(looking);
    store_read(follow->store, look_tx, look_done, looking);
}

static void look_done(enum status status, void *arg)
{
    struct looking *looking = arg;
    if (status == STATUS_OK && !take_in(looking)) {
        begin_look(looking);
        store_read(looking->follow->store, look_tx, look_done, looking);
        return;
    }
    look_for_all(looking->follow); /* when the last one is told, the replica may be freed */
    for (struct waiting *waiting = looking->waiting, *next; waiting != NULL; waiting = next) {
        next = waiting->next;
        waiting->done(status, waiting->arg);
        free(waiting);
    }
    news_done(&looking->news);
    free(looking);
}

void follow_refresh(struct follow *follow, store_done_fn *done, void *arg)
{
    struct waiting *waiting = must(malloc(sizeof *waiting));
    pthread_mutex_lock(&follow->refresh_lock);
    *waiting = (struct waiting){done, arg, follow->waiting};
    follow->waiting = waiting;
    bool is_looking = follow->is_looking;
    follow->is_looking = true;
    pthread_mutex_unlock(&follow->refresh_lock);
    if (!is_looking)
        look_for_all(follow);
}

struct entering {
    struct group *group;
    struct group_word word;
};

struct follow *follow_new(struct memory *memory, struct store *store, struct clock *clock,
                          const struct follow_options *options)
{
    struct follow *follow = must(calloc(1, sizeof *follow));
    follow->memory = memory;
    follow->store = store;
    follow->clock = clock;
    follow->options = *options;
    follow->confirmed = options->confirmed;
    follow->group = group_new(clock, &options->self);
    group_has_read(follow->group, options->confirmed, directory_position(memory->directory).revision);
    pthread_mutex_init(&follow->lock, NULL);
    pthread_mutex_init(&follow->refresh_lock, NULL);
    return follow;
}

static enum status enter_tx(struct store_tx *tx, void *arg)
{
    struct entering *entering = arg;
    return group_say(entering->group, tx, &entering->word);
}

enum status follow_start(struct follow *follow)
{
    struct entering entering = {.group = follow->group};
    TRY(store_write_wait(follow->store, enter_tx, &entering));
    group_said(follow->group, &entering.word);
    return STATUS_OK;
}

void follow_free(struct follow *follow)
{
    if (follow == NULL)
        return;
    pthread_mutex_destroy(&follow->refresh_lock);
    pthread_mutex_destroy(&follow->lock);
    group_free(follow->group);
    free(follow->own);
    free(follow);
}

/* If it cannot be told, the others wait for it a little longer than they need. */
static enum status leave_tx(struct store_tx *tx, void *arg)
{
    return group_leave(arg, tx);
}

void follow_leave(struct follow *follow)
{
    if (follow != NULL)
        (void)!store_write_wait(follow->store, leave_tx, follow->group);
}
