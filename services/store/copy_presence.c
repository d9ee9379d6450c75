/* SPDX-License-Identifier: Apache-2.0 */
#include "store/copy_presence.h"

#include <time.h>

#define MICROSECONDS INT64_C(1000000)

/* Who says in a shared store that it serves from it. */
struct presence {
    int64_t begun; /* 0: it begins now */
    int64_t now;
    int64_t speaking, silent; /* processes: heard of lately, and not; neither has said that it ends */
    int64_t beat;             /* the longest of a silent one's */
};

/* A store_row_fn. */
static enum status count_process(const struct store_row *row, void *arg)
{
    struct presence *presence = arg;
    int64_t seen = store_row_int(row, 0), beat = store_row_int(row, 1);
    bool serves = store_row_int(row, 2) > 0, has_spoken = presence->begun != 0 && seen > presence->begun;
    if (has_spoken || (serves && seen > presence->now - COPY_PROCESS_GONE)) {
        presence->speaking++;
        return STATUS_OK;
    }
    presence->silent += serves;
    if (serves && beat > presence->beat)
        presence->beat = beat;
    return STATUS_OK;
}

static enum status look_tx(struct store_tx *tx, void *arg)
{
    struct presence *presence = arg;
    *presence = (struct presence){.begun = presence->begun};
    TRY(store_now(tx, &presence->now));
    return store_run(tx, "SELECT seen, beat, lease FROM process", count_process, presence);
}

/* … as one who can write: so the others could. */
static enum status look_writing_tx(struct store_tx *tx, void *arg)
{
    TRY(store_run(tx, "UPDATE process SET beat = beat WHERE lease > 0", NULL, NULL));
    return look_tx(tx, arg);
}

enum status presence_look(struct store *store, int64_t *ret_now, bool *is_used)
{
    struct presence presence = {.begun = 0};
    enum status status = store_write_wait(store, look_tx, &presence);
    *ret_now = presence.now;
    *is_used = *is_used || (status == STATUS_OK && presence.speaking > 0);
    return status;
}

enum status presence_listen(struct store *store, const struct copy_options *options, int64_t begun, bool *is_used)
{
    struct presence presence = {.begun = begun};
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
