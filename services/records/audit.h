/* SPDX-License-Identifier: Apache-2.0 */
/* The table `audit`: append-only, each row chained to the one before by a hash (rules/audit.h). */
#ifndef RECORDS_AUDIT_H
#define RECORDS_AUDIT_H

#include "rules/audit.h"
#include "store/store.h"

/* Gives it its place in the chain. */
enum status audit_row_append(struct store_tx *tx, struct audit_event *event);
/* The same of some, one behind the other; a database elsewhere is waited for twice, however many they are. */
enum status audit_row_append_all(struct store_tx *tx, struct audit_event *events, size_t count);

struct audit_filter {
    const char *actor, *action, *subject, *peer, *outcome; /* NULL: any */
    const char *detail;                                    /* contained; NULL: any */
    const char *actor_part, *subject_part; /* contained in the id or in the credential's name; NULL: any */
    int64_t after, before;                 /* in time, exclusive; INT64_MIN, INT64_MAX: any */
    int64_t below;                         /* sequences below; INT64_MAX: from the newest */
    int limit;
};

/* Newest first; what an event points to lives until `each` returns. */
typedef enum status audit_each_fn(const struct audit_event *event, void *arg);
enum status audit_row_list(struct store_tx *tx, const struct audit_filter *filter, audit_each_fn *each, void *arg);

/* The oldest ones behind the event `after`, in order. */
enum status audit_row_page(struct store_tx *tx, int64_t after, int limit, audit_each_fn *each, void *arg);

/* Removes the events up to anchor->place for good, all that there are, with an event that says so: fills
 * anchor->event. `where`: what has them now; "": nothing. */
enum status audit_row_trim(struct store_tx *tx, struct audit_anchor *anchor, int64_t now, const char *where);

struct audit_verdict {
    int64_t checked; /* events */
    int64_t broken;  /* the first sequence at which the chain does not fit; 0: it is intact so far */
    int64_t first;   /* the sequence of the oldest event, where the chain begins */
    int64_t last;    /* of the newest */
    bool is_end;     /* it was reached */
};

/* Checks at most `most` events (0: all), and moves the place behind them. One that is not in the log any more is moved
 * to where the log continues, if the event that says so is there. */
enum status audit_row_verify(struct store_tx *tx, int64_t most, struct audit_place *place,
                             struct audit_verdict *ret_verdict);

#endif
