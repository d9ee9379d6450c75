/* SPDX-License-Identifier: Apache-2.0 */
/* Suspending what nobody uses (Settings.suspend_unused_after): announced first, then done. */
#ifndef DOMAIN_DISUSE_H
#define DOMAIN_DISUSE_H

#include "domain/work.h"
#include "records/credential.h"

/* When the credential will be suspended unless it is used: 0: it is not announced. */
int64_t disuse_suspends_at(const struct credential *credential, const struct settings *settings);

/* Where a walk through all credentials stands. */
struct disuse {
    int64_t cursor;    /* 0: at the beginning */
    int64_t announced; /* credentials, so far */
};

/*
 * The next credentials of the walk, a thousand at most, as of `now`, which has certainly come; none is later than
 * `latest`, so that an announcement that is was dated by a clock that was wrong. Announces the suspension of what has
 * been unused nearly for long enough, each once; suspends what was announced long enough ago and is unused still; takes
 * back what was used meanwhile. Never the last administrator; none while a program that knows nothing of suspension
 * serves. *disuse is moved on; after the last one the cursor is 0.
 */
enum status disuse_look(struct work *work, struct disuse *disuse, const struct settings *settings, int64_t now,
                        int64_t latest);

#endif
