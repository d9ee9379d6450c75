/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A place in the history of the store. Every change takes the next revision and carries a random change id: the pair
 * names the whole history up to it. Revisions alone are never compared across histories: a failover that lost commits,
 * a restored backup or a copy goes on from an older revision with other changes.
 */
#ifndef DOMAIN_POSITION_H
#define DOMAIN_POSITION_H

#include <stdbool.h>
#include <stdint.h>

struct position {
    int64_t revision;  /* 0: the empty log */
    int64_t change_id; /* 0: none; of a change that an older program wrote, too, and then it is never trusted */
};

static inline bool position_equal(struct position a, struct position b)
{
    return a.revision == b.revision && a.change_id == b.change_id;
}

#endif
