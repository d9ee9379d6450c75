/* SPDX-License-Identifier: Apache-2.0 */
/* "Is this token live, and what may its bearer do?": the hot path. From memory at once, or through the store. */
#ifndef DOMAIN_INTROSPECT_H
#define DOMAIN_INTROSPECT_H

#include "domain/flush.h"
#include "domain/follow.h"
#include "memory/memory.h"
#include "records/token.h"
#include "rules/usage.h"

/* What it may touch; all borrowed. */
struct introspect {
    struct memory *memory;
    struct store *store;
    struct clock *clock;
    struct flush *flush;
    struct follow *follow;  /* NULL: nobody else writes to the store */
    int64_t flush_interval; /* see settings_store_margin */
};

struct introspection;
typedef void introspect_done_fn(enum status status, struct introspection *introspection);

struct introspection {
    /* The question. */
    bool is_token; /* the text was a token's form; false: it is inactive, without any look-up */
    struct token_key key;
    const char *api;
    bool is_own;   /* the caller's own token, by which it calls us */
    bool is_quiet; /* its use is stored when all are: no read waits for that */
    bool is_use;   /* it slides the idle timeout and is counted */
    int64_t use_count;
    int64_t used_ago; /* microseconds */
    struct role_set required;
    bool requires_unknown; /* a required role does not exist: never allowed */
    struct source source;  /* from where it came */
    store_waits_fn *waits; /* does the asker still wait? See struct store_job */
    const void *waiter;

    /* The answer. If it is not active, nothing else is set, but where the token lives and its source is refused, the
     * verdict, and whose it is. */
    bool is_active;
    enum source_verdict verdict;
    bool is_allowed;
    int64_t credential_id;
    struct role_set roles;
    int64_t issued;
    int64_t expires;
    int64_t idle_timeout;
    struct position position; /* the last change that it certainly takes account of */
    int64_t valid_for;        /* a cache may give the same answer for so long */
    struct network *networks; /* introspection_done frees them; for caches, so not of the caller's own token */
    int network_count;

    /* While the store is asked. */
    bool is_counted;
    bool is_idle_over, is_life_over; /* an observed limit would have ended the token before */
    int catch_ups;
    bool must_store; /* this use, before it is answered: see settings_store_margin */
    int store_tries;
    int64_t stored_rows;
    int64_t now;
    uint32_t api_number;
    const struct introspect *introspect;
    uint64_t generation;
    bool was_in_memory; /* when the row was asked for */
    bool is_found;
    introspect_done_fn *done;
    void *arg; /* the asker's */

    /* Large, and set before they are read: introspection_init leaves them alone, from the first one on. */
    char client_id[CLIENT_ID_LEN + 1]; /* of the answer */
    char name[CREDENTIAL_NAME_MAX + 1];
    char owner[USER_ID_MAX + 1];
    struct token_row row; /* of the store */
    struct token_facts facts;
};

/* One use, now, that requires no role; is_token, api, is_use are still to be set. */
void introspection_init(struct introspection *introspection);
/* Frees what belongs to its answer. */
void introspection_done(struct introspection *introspection);

/* As of `now`. True: it is answered. False: the token is not in memory, and introspect_in_store must be asked. */
bool introspect_in_memory(const struct introspect *introspect, struct introspection *introspection, int64_t now);

/* Calls done later, on a thread of the store, with the answer, STATUS_UNAVAILABLE, or what
 * `waits` said. */
void introspect_in_store(const struct introspect *introspect, struct introspection *introspection,
                         introspect_done_fn *done);

/* The same of some for which one caller waits; done is called for each, and may free `all` and what is in it with the
 * last. On a store that others write to, their tokens are loaded together. */
void introspect_all_in_store(const struct introspect *introspect, struct introspection **all, size_t count,
                             introspect_done_fn *done);

#endif
