/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/replica.h"

#include "domain/domain.h"
#include "domain/group.h"
#include "domain/news.h"
#include "log.h"

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

struct replica {
    struct domain *domain;
    struct group *group;
    struct replica_options options;
    pthread_mutex_t lock; /* news is applied one after the other; for `own` */
    struct position *own; /* obeyed early, and not yet seen in the log */
    size_t own_count, own_size;
    pthread_mutex_t refresh_lock;
    struct waiting *waiting; /* for a look that begins after they came */
    bool is_looking;         /* for others, who came before */
    _Atomic int64_t confirmed;
    _Atomic bool must_look; /* before anything is answered: see replica_begin_own */
    _Atomic uint64_t history_resets, cut_resets;
    _Atomic bool is_stopping;
    bool is_running;
    pthread_t thread;
};

int64_t replica_age(struct replica *replica)
{
    return replica == NULL ? 0 : clock_steady(replica->domain->clock) - atomic_load(&replica->confirmed);
}

/* Clocks of two machines run differently: whoever holds a lease counts 63/64 of it, whoever waits for it all of it. */
bool replica_has_lease(struct replica *replica)
{
    return replica == NULL ||
           (!atomic_load(&replica->must_look) && replica_age(replica) < replica->options.lease / 64 * 63 &&
            group_is_known(replica->group));
}

struct group *replica_group(struct replica *replica)
{
    return replica->group;
}

bool replica_is_current(struct replica *replica)
{
    return replica == NULL || (!replica->options.is_strict && replica_has_lease(replica));
}

struct replica_resets replica_resets(struct replica *replica)
{
    return (struct replica_resets){atomic_load(&replica->history_resets), atomic_load(&replica->cut_resets)};
}

bool replica_begin_own(struct replica *replica, struct position position)
{
    pthread_mutex_lock(&replica->lock);
    int64_t last = directory_position(replica->domain->directory).revision;
    for (size_t i = 0; i < replica->own_count; i++)
        if (replica->own[i].revision > last)
            last = replica->own[i].revision;
    if (replica->own_count == replica->own_size) {
        replica->own_size = replica->own_size == 0 ? 16 : replica->own_size * 2;
        replica->own = realloc(replica->own, replica->own_size * sizeof *replica->own);
        if (replica->own == NULL)
            abort();
    }
    replica->own[replica->own_count++] = position;
    if (position.revision <= last)
        atomic_store(&replica->must_look, true);
    return position.revision > last;
}

void replica_end_own(struct replica *replica)
{
    pthread_mutex_unlock(&replica->lock);
}

/* A look at the log. */
struct looking {
    struct replica *replica;
    struct news news;
    int64_t asked;
    struct waiting *waiting;
};

/* Before the state that will be read is fixed: what was obeyed by now must be in it, and what it says holds from now.
 */
static void begin_look(struct looking *looking)
{
    struct replica *replica = looking->replica;
    struct news *news = &looking->news;
    news_done(news);
    looking->asked = clock_steady(replica->domain->clock);
    pthread_mutex_lock(&replica->lock);
    *news = (struct news){.domain = replica->domain,
                          .since = directory_position(replica->domain->directory),
                          .own_count = replica->own_count};
    if (news->own_count > 0) {
        news->own = malloc(news->own_count * sizeof *news->own);
        if (news->own == NULL)
            abort();
        memcpy(news->own, replica->own, news->own_count * sizeof *news->own);
    }
    pthread_mutex_unlock(&replica->lock);
}

static enum status look_tx(struct store_tx *tx, void *arg)
{
    struct looking *looking = arg;
    looking->news.now = clock_now(looking->replica->domain->clock);
    return news_read(tx, &looking->news);
}

/* Does what was read fit to what is in memory now? Another look may have moved it on meanwhile, and of a change that
 * was obeyed early since, this one may know better: then the next look tells. */
static bool is_still_right(const struct looking *looking)
{
    const struct replica *replica = looking->replica;
    const struct news *news = &looking->news;
    if (!position_equal(directory_position(replica->domain->directory), news->since))
        return false;
    for (size_t i = news->own_count; i < replica->own_count; i++)
        if (replica->own[i].revision <= news->position.revision &&
            !position_equal(news_find(news, replica->own[i].revision), replica->own[i]))
            return false;
    return true;
}

/* Those that this look has seen in the log, or has replaced. What came since stays: by another history it may be gone.
 */
static void forget_own(struct looking *looking)
{
    struct replica *replica = looking->replica;
    const struct news *news = &looking->news;
    size_t kept = 0;
    for (size_t i = 0; i < replica->own_count; i++) {
        bool is_done =
            i < news->own_count || (news->kind == NEWS_SINCE && replica->own[i].revision <= news->position.revision);
        if (!is_done)
            replica->own[kept++] = replica->own[i];
    }
    replica->own_count = kept;
}

static void tell_reset(struct replica *replica, const struct news *news)
{
    bool is_history = news->kind == NEWS_HISTORY;
    atomic_fetch_add(is_history ? &replica->history_resets : &replica->cut_resets, 1);
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
static void begin_history(struct replica *replica)
{
    struct beginning *beginning = calloc(1, sizeof *beginning);
    if (beginning == NULL)
        abort();
    beginning->work = (struct work){.domain = replica->domain};
    store_write(replica->domain->store, begin_history_tx, begin_history_done, beginning);
}

/* One that came since may be what this look has not seen, and what is known cannot be compared with. */
static bool knows_all_own(const struct looking *looking)
{
    const struct replica *replica = looking->replica;
    for (size_t i = 0; i < replica->own_count; i++)
        if (replica->own[i].revision <= looking->news.position.revision)
            return false;
    return true;
}

/* False: it must be looked at again. */
static bool take_in(struct looking *looking)
{
    struct replica *replica = looking->replica;
    struct news *news = &looking->news;
    pthread_mutex_lock(&replica->lock);
    bool is_right = is_still_right(looking);
    if (is_right) {
        news_apply(news);
        forget_own(looking);
        if (looking->asked > atomic_load(&replica->confirmed))
            atomic_store(&replica->confirmed, looking->asked);
        if (knows_all_own(looking))
            atomic_store(&replica->must_look, false);
    }
    pthread_mutex_unlock(&replica->lock);
    if (is_right && news->kind != NEWS_SINCE)
        tell_reset(replica, news);
    if (is_right && news->kind != NEWS_SINCE && news->position.revision > 0 && news->position.change_id == 0)
        begin_history(replica);
    return is_right;
}

static enum status look_now(struct store_tx *tx, void *arg)
{
    begin_look(arg);
    return look_tx(tx, arg);
}

void replica_follow(struct replica *replica)
{
    int64_t pause_ms = replica->options.lease / LOOKS / 1000;
    struct looking looking = {.replica = replica};
    bool is_done = false;
    for (int i = 0; i < LOOKS && !is_done; i++, pause_ms = 0)
        is_done = store_follow(replica->domain->store, pause_ms, look_now, &looking) != STATUS_OK || take_in(&looking);
    news_done(&looking.news);
}

static void *follow(void *arg)
{
    struct replica *replica = arg;
    while (!atomic_load(&replica->is_stopping))
        replica_follow(replica);
    return NULL;
}

/* One look serves all who came before it was queued; those who come later wait for the next. */
static void look_done(enum status status, void *arg);

static void look_for_all(struct replica *replica)
{
    pthread_mutex_lock(&replica->refresh_lock);
    struct waiting *waiting = replica->waiting;
    replica->waiting = NULL;
    replica->is_looking = waiting != NULL;
    pthread_mutex_unlock(&replica->refresh_lock);
    if (waiting == NULL)
        return;
    struct looking *looking = calloc(1, sizeof *looking);
    if (looking == NULL)
        abort();
    *looking = (struct looking){.replica = replica, .waiting = waiting};
    begin_look(looking);
    store_read(replica->domain->store, look_tx, look_done, looking);
}

static void look_done(enum status status, void *arg)
{
    struct looking *looking = arg;
    if (status == STATUS_OK && !take_in(looking)) {
        begin_look(looking);
        store_read(looking->replica->domain->store, look_tx, look_done, looking);
        return;
    }
    look_for_all(looking->replica); /* when the last one is told, the replica may be freed */
    for (struct waiting *waiting = looking->waiting, *next; waiting != NULL; waiting = next) {
        next = waiting->next;
        waiting->done(status, waiting->arg);
        free(waiting);
    }
    news_done(&looking->news);
    free(looking);
}

void replica_refresh(struct replica *replica, store_done_fn *done, void *arg)
{
    struct waiting *waiting = malloc(sizeof *waiting);
    if (waiting == NULL)
        abort();
    pthread_mutex_lock(&replica->refresh_lock);
    *waiting = (struct waiting){done, arg, replica->waiting};
    replica->waiting = waiting;
    bool is_looking = replica->is_looking;
    replica->is_looking = true;
    pthread_mutex_unlock(&replica->refresh_lock);
    if (!is_looking)
        look_for_all(replica);
}

struct entering {
    struct group *group;
    struct group_word word;
};

struct replica *replica_new(struct domain *domain, const struct replica_options *options, int64_t confirmed)
{
    struct replica *replica = calloc(1, sizeof *replica);
    if (replica == NULL)
        abort();
    replica->domain = domain;
    replica->options = *options;
    replica->confirmed = confirmed;
    replica->group = group_new(domain->clock, options->lease);
    pthread_mutex_init(&replica->lock, NULL);
    pthread_mutex_init(&replica->refresh_lock, NULL);
    return replica;
}

static enum status enter_tx(struct store_tx *tx, void *arg)
{
    struct entering *entering = arg;
    return group_say(entering->group, tx, &entering->word);
}

enum status replica_start(struct replica *replica)
{
    struct entering entering = {.group = replica->group};
    TRY(store_write_wait(replica->domain->store, enter_tx, &entering));
    group_said(replica->group, &entering.word);
    replica->is_running = replica->options.has_thread;
    if (replica->is_running && pthread_create(&replica->thread, NULL, follow, replica) != 0)
        abort();
    return STATUS_OK;
}

void replica_free(struct replica *replica)
{
    if (replica == NULL)
        return;
    atomic_store(&replica->is_stopping, true);
    if (replica->is_running)
        pthread_join(replica->thread, NULL);
    pthread_mutex_destroy(&replica->refresh_lock);
    pthread_mutex_destroy(&replica->lock);
    group_free(replica->group);
    free(replica->own);
    free(replica);
}
