/* SPDX-License-Identifier: Apache-2.0 */
/* A new token for a client that has shown its secret key: inserted into the store, then known here. */
#ifndef DOMAIN_ISSUE_H
#define DOMAIN_ISSUE_H

#include "domain/authenticate.h"
#include "domain/flush.h"
#include "domain/follow.h"
#include "records/token.h"
#include "rules/audit.h"

/* What it may touch; all borrowed. */
struct issue {
    struct memory *memory;
    struct store *store;
    struct clock *clock;
    struct flush *flush;
    struct follow *follow; /* NULL: nobody else writes to the store */
};

struct issuing;
typedef void issue_done_fn(enum status status, struct issuing *issuing);

struct issuing {
    /* For whom; of the row, whether it is narrowed and to which roles. */
    struct client client;
    struct token_row row;
    const char *method;        /* by which it is asked for: what it counts as where it is observed */
    struct audit_event *event; /* stored with it, if it is to be told; NULL */
    issue_done_fn *done;
    store_waits_fn *waits; /* does the asker still wait? See struct store_job */
    const void *waiter;

    /* The answer: the rest of the row, and these. The text is the asker's to wipe. */
    char text[TOKEN_TEXT_LEN + 1];
    int64_t expires_in;
    /* RESOURCE_EXHAUSTED: by which limit, and after how long it may be tried again. */
    enum limit refused_by;
    int64_t retry_ms;

    /* While the store is asked. */
    const struct issue *issue;
    uint64_t generation;
    int64_t inserted;                    /* rows */
    int64_t max_tokens, observed_tokens; /* 0: no limit; what would be one, and is only observed */
    int64_t tokens_per_hour;             /* 0: no limit */
    bool is_hour_observed;
    int64_t limits_version;
    struct token_limits limits;
    bool is_flushed; /* what was noted of uses: so that they count */
    bool must_count; /* and for that it must be */
    bool is_full;
    bool is_over, is_too_fast; /* an observed limit would have refused it */
};

/* Calls done, at once or later on a thread of the store. OK: the token is stored. FAILED_PRECONDITION: the clock is out
 * of the range that a token can tell. RESOURCE_EXHAUSTED: the credential has as many live tokens as it may have, or
 * has had as many in an hour.
 * ABORTED: the credential is not what it was when the secret key was checked; what has changed is known now, and the
 * client is to be authenticated again. What `waits` said: nobody waits any more, and no token was made. */
void issue_begin(const struct issue *issue, struct issuing *issuing);

#endif
