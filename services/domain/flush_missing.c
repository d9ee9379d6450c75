/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/flush_missing.h"

#include "base/log.h"
#include "base/must.h"
#include "memory/change.h"
#include "records/token.h"

#include <stdatomic.h>
#include <stdlib.h>

struct looking {
    struct flush_missing *missing;
    struct token_key *keys; /* of those that changed no row */
    bool *is_missing;       /* and of these, have no row */
    size_t count;
    flush_missing_done_fn *done;
    void *arg;
};

/* A store_fn. */
static enum status look_tx(struct store_tx *tx, void *arg)
{
    struct looking *looking = arg;
    return token_row_find_missing(tx, looking->keys, looking->count, looking->is_missing);
}

void flush_missing_note(struct flush_missing *missing, int64_t count)
{
    if (count == 0)
        return;
    atomic_fetch_add(&missing->count, (uint64_t)count);
    log_write(LOG_LEVEL_WARN, "tokens_missing", "count", log_number(count).text, "message",
              "tokens that were in use are not in the database any more; they are inactive from now on", NULL);
}

/* A store_done_fn, after look_tx: frees what it looked with. */
static void looked(enum status status, void *arg)
{
    struct looking *looking = arg;
    int64_t count = 0;
    for (size_t i = 0; status == STATUS_OK && i < looking->count; i++) {
        if (!looking->is_missing[i])
            continue;
        change_forget_token(looking->missing->memory, &looking->keys[i]);
        count++;
    }
    flush_missing_note(looking->missing, count);
    looking->done(looking->arg);
    free(looking->keys);
    free(looking->is_missing);
    free(looking);
}

void flush_missing_look(struct flush_missing *missing, const struct token_use *uses, const int64_t *changed,
                        size_t count, flush_missing_done_fn *done, void *arg)
{
    size_t unsure = 0;
    for (size_t i = 0; i < count; i++)
        unsure += changed[i] == 0;
    if (unsure == 0) {
        done(arg);
        return;
    }
    struct looking *looking = must(calloc(1, sizeof *looking));
    *looking = (struct looking){missing,
                                must(calloc(unsure, sizeof *looking->keys)),
                                must(calloc(unsure, sizeof *looking->is_missing)),
                                0,
                                done,
                                arg};
    for (size_t i = 0; i < count; i++)
        if (changed[i] == 0)
            looking->keys[looking->count++] = uses[i].key;
    store_read(missing->store, look_tx, looked, looking);
}
