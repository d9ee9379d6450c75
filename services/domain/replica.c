/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/replica.h"

#include "domain/domain.h"
#include "domain/news.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { LOOKS = 4 }; /* at the log's head, in a lease */

struct waiting {
    store_done_fn *done;
    void *arg;
    struct waiting *next;
};

struct replica {
    struct domain *domain;
    struct replica_options options;
    pthread_mutex_t lock; /* news is applied one after the other */
    pthread_mutex_t refresh_lock;
    struct waiting *waiting; /* for a look that begins after they came */
    bool is_looking;         /* for others, who came before */
    _Atomic int64_t confirmed;
    _Atomic bool is_stopping;
    pthread_t thread;
};

int64_t replica_age(struct replica *replica)
{
    return replica == NULL ? 0 : clock_steady(replica->domain->clock) - atomic_load(&replica->confirmed);
}

bool replica_is_current(struct replica *replica)
{
    return replica == NULL || (!replica->options.is_strict && replica_age(replica) < replica->options.lease);
}

struct looking {
    struct replica *replica;
    struct news news;
    int64_t asked; /* before the state that is read was fixed */
    struct waiting *waiting;
};

static enum status look_tx(struct store_tx *tx, void *arg)
{
    struct looking *looking = arg;
    struct domain *domain = looking->replica->domain;
    looking->news.domain = domain;
    looking->news.since = directory_revision(domain->directory);
    looking->news.now = clock_now(domain->clock);
    return news_read(tx, &looking->news);
}

static void take_in(struct looking *looking)
{
    struct replica *replica = looking->replica;
    pthread_mutex_lock(&replica->lock);
    news_apply(&looking->news);
    if (looking->asked > atomic_load(&replica->confirmed))
        atomic_store(&replica->confirmed, looking->asked);
    pthread_mutex_unlock(&replica->lock);
}

static enum status look_now(struct store_tx *tx, void *arg)
{
    struct looking *looking = arg;
    looking->asked = clock_steady(looking->replica->domain->clock);
    return look_tx(tx, arg);
}

void replica_follow(struct replica *replica)
{
    int64_t pause_ms = replica->options.lease / LOOKS / 1000;
    struct looking looking = {.replica = replica};
    if (store_follow(replica->domain->store, pause_ms > 0 ? pause_ms : 1, look_now, &looking) == STATUS_OK)
        take_in(&looking);
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
    *looking = (struct looking){.replica = replica, .asked = clock_steady(replica->domain->clock), .waiting = waiting};
    store_read(replica->domain->store, look_tx, look_done, looking);
}

static void look_done(enum status status, void *arg)
{
    struct looking *looking = arg;
    if (status == STATUS_OK)
        take_in(looking);
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

struct replica *replica_new(struct domain *domain, const struct replica_options *options, int64_t confirmed)
{
    struct replica *replica = calloc(1, sizeof *replica);
    if (replica == NULL)
        abort();
    replica->domain = domain;
    replica->options = *options;
    replica->confirmed = confirmed;
    pthread_mutex_init(&replica->lock, NULL);
    pthread_mutex_init(&replica->refresh_lock, NULL);
    if (options->has_thread && pthread_create(&replica->thread, NULL, follow, replica) != 0)
        abort();
    return replica;
}

void replica_free(struct replica *replica)
{
    if (replica == NULL)
        return;
    atomic_store(&replica->is_stopping, true);
    if (replica->options.has_thread)
        pthread_join(replica->thread, NULL);
    pthread_mutex_destroy(&replica->refresh_lock);
    pthread_mutex_destroy(&replica->lock);
    free(replica);
}
