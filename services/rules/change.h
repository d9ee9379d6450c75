/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes: what every process of one store must hear of, and where each stands in the history of the store.
 *
 * Every change takes the next revision and carries a random change id: the pair names the whole history up to it.
 * Revisions alone are never compared across histories: a failover that lost commits, a restored backup or a copy goes
 * on from an older revision with other changes.
 */
#ifndef RULES_CHANGE_H
#define RULES_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

enum change_kind {
    CHANGE_CREDENTIAL = 1, /* subject: client ID */
    CHANGE_TOKEN = 2,      /* subject: the key of a token that ended */
    CHANGE_SETTINGS = 3,
    CHANGE_ROLE = 4,
    CHANGE_PURGE = 5, /* subject: the credential's id, 8 bytes */
    CHANGE_ALL =
        6, /* whoever follows forgets everything and reads it anew; so it does of a kind that it does not know */
};

struct position {
    int64_t revision;  /* 0: the empty log */
    int64_t change_id; /* 0: none; of a change that an older program wrote, too, and then it is never trusted */
};

/* The same change, and so the same history up to it? */
static inline bool position_equal(struct position a, struct position b)
{
    return a.revision == b.revision && a.change_id == b.change_id;
}

#endif
