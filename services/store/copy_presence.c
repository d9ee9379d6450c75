/* SPDX-License-Identifier: Apache-2.0 */
#include "store/copy_presence.h"

#include <time.h>

#define MICROSECONDS INT64_C(1000000)

/* Who says in a shared store that it serves from it. */
struct presence {
    int64_t now;
    int64_t speaking, silent; /* processes: heard of lately, and not; neither has said that it ends */
    int64_t beat;             /* the longest of a silent one's */
};

/* A store_row_fn. */
static enum status count_process(const struct store_row *row, void *arg)
{
    struct presence *presence = arg;
    int64_t seen = store_row_int(row, 0), beat = store_row_int(row, 1);
    if (seen > presence->now - COPY_PROCESS_GONE) {
        presence->speaking++;
        return STATUS_OK;
    }
    presence->silent++;
    if (beat > presence->beat)
        presence->beat = beat;
    return STATUS_OK;
}

static enum status look_tx(struct store_tx *tx, void *arg)
{
    struct presence *presence = arg;
    *presence = (struct presence){0};
    TRY(store_now(tx, &presence->now));
    return store_run(tx, "SELECT seen, beat FROM process WHERE lease > 0", count_process, presence);
}

/* … as one who can write: so the others could. */
static enum status look_writing_tx(struct store_tx *tx, void *arg)
{
    TRY(store_run(tx, "UPDATE process SET beat = beat WHERE lease > 0", NULL, NULL));
    return look_tx(tx, arg);
}

enum status presence_look(struct store *store, bool *is_used)
{
    struct presence presence;
    enum status status = store_write_wait(store, look_tx, &presence);
    *is_used = *is_used || (status == STATUS_OK && presence.speaking > 0);
    return status;
}

enum status presence_listen(struct store *store, const struct copy_options *options, bool *is_used)
{
    struct presence presence;
    TRY(store_write_wait(store, look_tx, &presence));
    *is_used = *is_used || presence.speaking > 0;
    int64_t seconds = presence.silent == 0 ? 0 : COPY_BEATS_MISSED * presence.beat / MICROSECONDS + 1;
    for (int64_t i = 0; i < seconds && !*is_used; i++) {
        if (options->progress != NULL && !options->progress(options->arg, "listening for", "daemons", i, seconds))
            return STATUS_CANCELLED;
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        *is_used = store_write_wait(store, look_writing_tx, &presence) != STATUS_OK || presence.speaking > 0;
    }
    return STATUS_OK;
}
