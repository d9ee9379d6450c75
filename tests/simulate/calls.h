/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the real api, as a transport makes them, and what they were answered. */
#ifndef SIMULATE_CALLS_H
#define SIMULATE_CALLS_H

#include "base/arena.h"
#include "world.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <gatehouse/v1/credential_admin.pb-c.h>

enum call_kind {
    CALL_ISSUE,
    CALL_ISSUE_OLD, /* with a secret key that a new one has replaced */
    CALL_USE,
    CALL_LOOK,
    CALL_REVOKE,
    CALL_END_TOKEN,
    CALL_END_TOKENS,
    CALL_GRANT,
    CALL_REVOKE_ROLES,
    CALL_SET_USER,
    CALL_DELETE_USER,
    CALL_DELETE,
    CALL_UNDELETE,
    CALL_SUSPEND,
    CALL_RESUME,
    CALL_EXPIRY,
    CALL_REGENERATE,
    CALL_SETTINGS,
    CALL_CREATE,
    CALL_LIMITS,
    CALL_NETWORKS,
    CALL_KINDS
};

/* Networks of a credential, each with one address that uses come from. */
enum sim_networks { SIM_ANYWHERE, SIM_IN_A, SIM_IN_B };
#define SIM_NETWORK_A "10.0.0.0/8"
#define SIM_NETWORK_B "192.0.2.0/24"
#define SIM_PEER_A "10.1.2.3"
#define SIM_PEER_B "192.0.2.1"

struct sim_call {
    struct call call; /* first: it is what the closure is given */
    struct world *world;
    struct process *process;
    int incarnation;
    enum call_kind kind;
    int token, credential; /* -1: none */
    int role;              /* for GRANT and REVOKE_ROLES; a bit set for SET_USER */
    int64_t value;         /* EXPIRY: the date; SETTINGS, LIMITS: the idle timeout */
    int64_t life;          /* LIMITS */
    int networks;          /* NETWORKS: enum sim_networks */
    bool is_observed;      /* LIMITS, NETWORKS */
    const char *peer;      /* USE, LOOK; NULL: none is told */
    struct arena arena;
    bool is_dropped;                     /* its process has died */
    int patience;                        /* its caller leaves when it was asked so often whether it waits; 0: never */
    void (*then)(struct sim_call *call); /* told of the answer, too; NULL: nobody */
    void *data;
    void (*with)(struct sim_call *call, const ProtobufCMessage *message); /* given the answer; NULL: nobody */
    bool is_everywhere;

    /* When it began, as the model wants to know it. */
    uint64_t begun;
    int64_t begun_at; /* the true time */
    int64_t clock;    /* its process's */
    int clock_steps;
    bool was_right; /* all clocks, for some minutes */
    int failovers;
    int quiet_credential, quiet_settings; /* counts of calls; -1: not quiet */
    int64_t certain;                      /* last certain use of the token, for whoever asks here */
    int64_t idle, expires, life_before;
    int effective; /* a set of credentials whose roles it will change */
    bool is_alone; /* nothing else that concerns the same credentials was under way */
    int begun_counts[SIM_CREDENTIALS];
    unsigned counted; /* whom it concerned when it began, a bit each */

    /* The answer. */
    enum status status;
    bool is_active;
    int roles; /* a bit for each of sim_role_names */
    int64_t revision, expire_time;
    char text[96], accessor[65], client_id[40];
    struct sim_call *next;
};

/* What happens when it is answered is the model's. NULL: the process is down. */
struct sim_call *call_make(struct world *world, int process, enum call_kind kind, int token, int credential);
/* `everywhere`, where it can be asked for. */
void call_asks_for_all(struct sim_call *call);
/* Its caller leaves, sooner or later. */
void call_loses_patience(struct sim_call *call);

void call_begin(struct sim_call *call);

/* Was the clock of its process left alone since it began? Else nothing is known of dates. */
bool call_has_one_clock(const struct sim_call *call);

/* By the clock of its process: the earliest date, not later than the true one, and the latest that it can have given.
 */
int64_t call_earliest(const struct sim_call *call);
int64_t call_latest(const struct sim_call *call);

extern const char *const sim_role_names[SIM_ROLES];

const char *call_name(enum call_kind kind);

#endif
