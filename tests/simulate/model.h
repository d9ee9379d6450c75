/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was acknowledged, and what therefore may and may not be answered. It knows less than it could on purpose: where
 * it is in doubt it says nothing. What is certain:
 *
 * An end      of a token was acknowledged by a process. No question that begins later is told active there; none at
 *             another process that begins a lease later, nor at one that started since. The commits that a failover
 *             lost are nobody's word any more.
 * Idle        no use can have been noted lately enough, by the clock of who is asked.
 * Caches      none says active a lease of its own later than any process may, nor after an acknowledgement that was
 *             asked for everywhere.
 * Alive       issued, nothing that might end it was ever asked for, and a use is certain (stored, or noted by who is
 *             asked) that is late enough by the clock of who is asked.
 *             While a clock is wrong, and some minutes longer, it may be taken for dead, if only its row is not
 * removed. Revision    an active answer whose revision is that of an end, or later, is wrong.
 *
 * Own         a token is not active past the limits of its credential's own, nor from outside its networks, when
 * nothing that changes them was under way for as long as an end may take; and what they have ended stays dead.
 *
 * What it takes from the database itself are plain facts that nobody disputes: dates of expiry, the settings, roles.
 */
#ifndef SIMULATE_MODEL_H
#define SIMULATE_MODEL_H

#include "cluster.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SIM_PROCESSES = 4, /* three, and the one that is started for comparison */
    SIM_CREDENTIALS = 6,
    SIM_TOKENS = 48,
    SIM_ROLES = 3,
};

struct world;
struct sim_call;

/* An end that was acknowledged; the first of each process. */
struct end {
    bool is_set;
    uint64_t begun, acknowledged; /* in the order of all that happens */
    int64_t time;
    int64_t revision; /* its own or a later one */
    int failovers;
    bool is_idle; /* because it was idle, or past its life, when the settings or its limits changed */
};
struct ends {
    struct end by[SIM_PROCESSES];
};

struct sim_token {
    char text[96];
    char accessor[65];
    int credential;
    uint64_t issue_begun, issue_acknowledged;
    int64_t issued; /* the earliest date that it can have */
    int64_t issued_latest;
    int64_t latest; /* date of the last use that can have been noted anywhere */
    int64_t stored; /* … that is stored for certain; 0: none */
    int64_t stored_then[COPY_COUNT];
    int64_t known[SIM_PROCESSES]; /* … that this process has noted */
    uint64_t first_end;           /* that was asked for, acknowledged or not; 0: none */
    bool is_doubtful;             /* it may be dead for another reason */
    bool is_lost; /* a failover may have lost its issue or a use; a memory may know it until it is used there */
    struct ends ends;
    uint64_t ended_everywhere; /* and acknowledged so; 0: not */
};

/* What is known only while nothing is under way. */
struct quiet {
    int under_way;
    int begun;
    int64_t since;
};

struct sim_credential {
    bool is_made;
    char client_id[40];
    char secret[64];
    char old_secret[64];
    bool is_owned;
    struct quiet quiet;
    struct ends deleted, suspended;
    int64_t deleted_at; /* last; 0: never */
    struct ends old_secret_ended;
    bool is_doubtful; /* a clock that was ahead has set a floor of its own: until that is mended, its tokens may be dead
                       */
};

struct model {
    struct sim_token tokens[SIM_TOKENS];
    int token_count;
    struct sim_credential credentials[SIM_CREDENTIALS];
    int credential_count;
    struct quiet settings;
    uint64_t kept[COPY_COUNT]; /* when the copy was taken; 0: there is none */
    int failovers;
    int64_t failed_over; /* when last */
};

/* A call begins; a call ends. status UNAVAILABLE: whether it took effect is not known. */
void model_begin(struct world *world, struct sim_call *call);
void model_end(struct world *world, struct sim_call *call);

/* A cache whose lease is this answers by itself that a token is active. */
void model_hit(struct world *world, int cache, int64_t lease, int token, const char *peer);

/* Uses noted before `call` began, a flush, are stored. */
void model_flush_begins(struct world *world, int process, int64_t step, int64_t dates[SIM_TOKENS]);
void model_flushed(struct world *world, const int64_t dates[SIM_TOKENS], int failovers);

/* What the call may end, may be dead from now on. */
void model_suspect(struct world *world, const struct sim_call *call);

void model_crash(struct world *world, int process);
void model_reap(struct world *world, int process);
void model_keep(struct world *world, enum cluster_copy copy);
void model_go_back(struct world *world, enum cluster_copy copy);

#endif
