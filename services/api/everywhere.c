/* SPDX-License-Identifier: Apache-2.0 */
#include "api/everywhere.h"

#include "api/internal.h"
#include "api/watch.h"
#include "base/must.h"
#include "records/change_log.h"
#include "records/process.h"

#include <stdlib.h>

struct everywhere {
    struct watch_wait wait; /* first: it is what the watch gives back */
    struct api *api;
    struct position position;
    int64_t begun; /* clock_steady */
    everywhere_done_fn *done;
    void *arg;
    /* What the database says. */
    struct process_leases leases;
    struct position there;
};

static void finish(struct everywhere *everywhere, enum status status)
{
    int64_t took = clock_steady(everywhere->api->domain->clock) - everywhere->begun;
    everywhere->done(status, took, everywhere->arg);
    free(everywhere);
}

static enum status look_tx(struct store_tx *tx, void *arg)
{
    struct everywhere *everywhere = arg;
    everywhere->there = everywhere->position;
    TRY(process_row_longest(tx, &everywhere->leases));
    return change_log_find(tx, &everywhere->there);
}

static void look(struct watch_wait *wait);

/* Until then somebody may go by what was true before the change. A row that a failover has lost is of one that serves.
 */
static int64_t due_at(const struct everywhere *everywhere)
{
    struct process_leases heard = group_leases(follow_group(everywhere->api->domain->follow)),
                          there = everywhere->leases;
    return everywhere->begun + (there.own > heard.own ? there.own : heard.own) +
           (there.cache > heard.cache ? there.cache : heard.cache);
}

/* E2: who has begun to serve meanwhile, by a longer lease, is waited for as well; so the last look is behind all of
 * them. */
static void looked(enum status status, void *arg)
{
    struct everywhere *everywhere = arg;
    bool is_lost =
        status == STATUS_NOT_FOUND || (status == STATUS_OK && !position_equal(everywhere->there, everywhere->position));
    int64_t due = due_at(everywhere);
    if (is_lost || status != STATUS_OK) {
        finish(everywhere, is_lost ? STATUS_ABORTED : STATUS_UNAVAILABLE);
    } else if (clock_steady(everywhere->api->domain->clock) < due) {
        everywhere->wait = (struct watch_wait){.deadline = due, .done = look};
        watch_wait(everywhere->api->watch, &everywhere->wait);
    } else {
        finish(everywhere, STATUS_OK);
    }
}

/* A watch_wait's `done`: on the watch's thread; or called at once. */
static void look(struct watch_wait *wait)
{
    struct everywhere *everywhere = (struct everywhere *)wait;
    store_read(everywhere->api->domain->store, look_tx, looked, everywhere);
}

/* A watch_wait's `done`: on the watch's thread. Frees the everywhere. */
static void all_have_reached(struct watch_wait *wait)
{
    finish((struct everywhere *)wait, STATUS_OK);
}

void everywhere_wait(struct api *api, struct position position, everywhere_done_fn *done, void *arg)
{
    struct everywhere *everywhere = must(calloc(1, sizeof *everywhere));
    everywhere->api = api;
    everywhere->position = position;
    everywhere->begun = clock_steady(api->domain->clock); /* E3: after the commit */
    everywhere->done = done;
    everywhere->arg = arg;
    if (api->domain->follow != NULL) {
        look(&everywhere->wait);
    } else {
        everywhere->wait = (struct watch_wait){
            .is_for_all = true, .revision = position.revision, .begun = everywhere->begun, .done = all_have_reached};
        watch_wait(api->watch, &everywhere->wait);
    }
}

enum status everywhere_check(struct call *call, enum status status)
{
    if (status == STATUS_ABORTED)
        return call_fail(call, status, "CHANGE_LOST", "the database has lost the change in a failover");
    if (status != STATUS_OK)
        answer_failure(call, status);
    return status;
}
