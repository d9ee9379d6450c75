/* SPDX-License-Identifier: Apache-2.0 */
/* Removing from the store what is dead: tokens, ended secret keys, old usage, deleted credentials past their retention.
 * A few at a time, so that nobody waits for it. */
#ifndef DOMAIN_REAP_H
#define DOMAIN_REAP_H

#include "base/clock.h"
#include "base/status.h"

#include <stdbool.h>

#define REAP_DEAD_FOR (60 * CLOCK_SECOND) /* a token is removed when it has been dead this long */

/* What one round did. */
struct reaped {
    int seen, removed; /* tokens */
    bool is_behind;    /* there is more to do: go on soon */
};

struct follow;
struct memory;
struct reap;
struct store;

/* All is borrowed. follow NULL: nobody else writes to the store. */
struct reap *reap_new(struct memory *memory, struct store *store, struct clock *clock, struct follow *follow);
void reap_free(struct reap *reap); /* NULL is fine */

/* Credentials whose suspension for disuse was announced, when all of them were looked at last; of the process that
 * reaps. From any thread. */
int64_t reap_announced(const struct reap *reap);

/* One round, waiting for its end; all that was noted must be flushed. Looks at the next tokens and removes those that
 * were dead REAP_DEAD_FOR before the last time by which every process had stored its uses, as the store has their
 * credentials and the settings, except those of which memory knows a later use. Now and then it also removes what else
 * has had its time, and announces what ends soon (announce.h). No more than a few thousand rows change in one
 * transaction; between two rounds others write. */
enum status reap_round(struct reap *reap, struct reaped *ret_reaped);

#endif
