/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last changes that this process has obeyed, in the order of their revisions and without a gap: what whoever
 * watches (AuthService.Watch) is told. One ring for all of them; each has a cursor into it, nobody waits for any, and
 * one that is too slow finds that what it has not read is gone.
 *
 * The numbers are those of the rules (client/README.md): W2 one order, W4 the first answer, W5 no gap, W6 another
 * history.
 */
#ifndef MEMORY_RING_H
#define MEMORY_RING_H

#include "rules/change.h"
#include "rules/credential.h"
#include "rules/secret_text.h"

#include <stddef.h>

enum { RING_EVENTS = 65536 };

enum ring_kind {
    RING_TOKEN = 1,
    RING_CREDENTIAL,
    RING_PURGE, /* never in the ring: what ring_kind of the change is told, the directory knows (memory/change.h) */
    RING_ALL,
};

struct ring_event {
    struct position position;
    enum ring_kind kind;
    union {
        struct token_key token;
        char client_id[CLIENT_ID_LEN + 1];
        int64_t credential_id; /* RING_PURGE */
    };
};

struct ring;

/* Empty, at the position of the empty log. */
struct ring *ring_new(void);
void ring_free(struct ring *ring); /* NULL is fine */

/* The next change, when it is obeyed and before it is acknowledged. One that is not the next restarts the ring. */
void ring_add(struct ring *ring, const struct ring_event *event);

/* Empty from here on: what is known is no longer what was, and a few events more. */
enum ring_cause { RING_IS_CUT, RING_IS_OF_ANOTHER_HISTORY };
void ring_restart(struct ring *ring, struct position position, enum ring_cause cause);

/* Of the last change that it has been given. */
struct position ring_position(struct ring *ring);

/* Where is this position? */
enum ring_place {
    RING_HAS_IT,    /* here: the ring's own, or of an event that is still in it, or just before those */
    RING_IS_OTHER,  /* the change of this revision is another one */
    RING_IS_AHEAD,  /* this process has not come so far */
    RING_IS_BEHIND, /* longer ago than the ring knows */
};
enum ring_place ring_find(struct ring *ring, struct position position);

/* What its reader has read up to. */
struct ring_cursor {
    uint64_t generation;
    int64_t revision;
};

/* At `position`, if the ring has it (true); else at the ring's own. Either way *position is where the cursor is. */
bool ring_begin(struct ring *ring, struct position *position, struct ring_cursor *ret_cursor);

/* False: the ring was restarted since. */
bool ring_is_current(struct ring *ring, const struct ring_cursor *cursor);

/* The events after the cursor, at most `max`, which moves on behind them; *position is then the last one's. */
enum ring_reading {
    RING_EVENTS_READ,
    RING_NOTHING_NEW,
    RING_WAS_RESTARTED, /* the cursor is at the ring's position now; another history if *ret_cause says so */
    RING_WAS_LOST,      /* the reader was too slow: likewise */
};
enum ring_reading ring_read(struct ring *ring, struct ring_cursor *cursor, struct position *position,
                            struct ring_event *events, size_t max, size_t *ret_count, enum ring_cause *ret_cause);

/* Waits until something has come since the caller looked last (*seen, 0 at first), until `until` (clock_monotonic), or
 * until ring_wake. */
void ring_wait(struct ring *ring, uint64_t *seen, int64_t until);
void ring_wake(struct ring *ring);

/* For metrics. */
struct ring_state {
    struct position position;
    uint64_t events, restarts; /* ever */
    size_t held;
    int64_t oldest; /* when the oldest that is in it came; clock_monotonic, 0: none */
};
void ring_describe(struct ring *ring, struct ring_state *ret_state);

#endif
