/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated world: processes (the real domain and api) on one cluster, virtual time, and the calls under way. All
 * that happens has a place in one order, by which the model (model.h) tells before from after.
 */
#ifndef SIMULATE_WORLD_H
#define SIMULATE_WORLD_H

#include "cluster.h"
#include "model.h"

#include "api/api.h"
#include "base/clock.h"
#include "call/call.h"

enum { PROCESSES_MAX = SIM_PROCESSES, SIM_NARROW = 2000, SIM_WIDE = 4000, SIM_DENSE = 5000 };

struct process {
    int index;
    int64_t lease;     /* its own setting */
    int64_t leases[2]; /* … now, and after the next restart */
    bool is_slow;      /* its clocks, by a hundredth (W9) */
    bool is_up;
    bool is_stopping; /* and takes no more calls */
    int incarnation;
    uint64_t started; /* in the order of all that happens */
    int64_t offset;   /* by which its wall clock is wrong */
    int64_t wrong_since;
    int64_t believed_at; /* after it was wrong for more than a moment */
    int clock_steps;     /* how often it was set */
    int64_t said;        /* its last word that it is there, stored; 0: none */
    struct store *store;
    struct clock *clock;
    struct domain *domain;
    struct api *api;
    bool is_busy; /* its flusher or follower is at work: there is one of each */
};

struct caches;

struct world {
    /* Set for the run. */
    uint64_t seed;
    bool is_verbose;
    const char *without; /* names of steps that are not taken; NULL: none */
    int process_count;
    bool is_shared, is_strict;
    bool is_wide;        /* with all that came later: the seeds up to SIM_NARROW keep the world that they had */
    bool is_dense;       /* beyond SIM_WIDE: mostly ends that nobody hears of (unheard.h) */
    bool is_own;         /* beyond SIM_DENSE: as wide, and with limits and networks of credentials' own (own.h) */
    bool is_settling;    /* nobody leaves any more */
    int64_t lease;       /* the longest of any */
    int64_t cache_lease; /* the longest that is granted */
    size_t max_tokens;
    void (*intrude)(struct world *world); /* begins a call while another is held up */

    struct cluster *cluster, *other;                  /* other: to which it may be copied */
    enum { COPY_NONE, COPY_FIRST, COPY_LAST } copied; /* last: or so it may be; then nobody has served since */
    struct process processes[PROCESSES_MAX];
    struct sim_call *calls; /* under way */
    struct caches *caches;  /* NULL: the run has none */
    int64_t time;           /* the true one */
    int64_t database_time;  /* what the database's own clock shows, */
    int64_t database_offset, database_wrong_since;
    int64_t right_since;                /* so long no clock was wrong, and no process is younger; 0: none ever was */
    int64_t outage_since, outage_until; /* the last one, in which nothing could be written; until 0: it is not over */
    uint64_t order;
    int depth; /* of yields */
    struct model model;

    uint64_t digest; /* of everything that was answered */
    bool has_failed;
    char failure[400];
};

void world_open(struct world *world, struct cluster *cluster, struct cluster *other);
void world_close(struct world *world);

/* STATUS_OK: it runs now. */
enum status process_start(struct world *world, struct process *process);
void process_crash(struct world *world, struct process *process);
/* As an operator stops it. False: somebody waits for it still, and it goes on. */
bool process_stop(struct world *world, struct process *process);

/* The domain's own threads, one turn of each. */
void process_follow(struct world *world, struct process *process);
void process_round(struct world *world, struct process *process);
/* A flush begins; others come between its parts. */
void process_flush(struct world *world, struct process *process);

/* Were all clocks right for some minutes? */
bool world_is_right(const struct world *world);

void world_advance(struct world *world, int64_t microseconds);
/* … and a clock that would have been wrong for too long then, was put right before. */
void world_pass(struct world *world, int64_t microseconds);
void world_set_database_offset(struct world *world, int64_t offset);
void world_set_offset(struct world *world, struct process *process, int64_t offset);

/* One thing happens in some process. False: nothing waits anywhere. */
bool world_step(struct world *world);
void world_drain(struct world *world); /* until nothing does */
void world_yield_current(void);        /* of the world that was opened last */

/* The database takes no writes: they fail, or hang until it is well again. */
void world_stop_writes(struct world *world, bool hangs);
void world_heal(struct world *world);

/* The standby or the backup becomes the database. */
void world_keep(struct world *world, enum cluster_copy copy);
void world_go_back(struct world *world, enum cluster_copy copy);

__attribute__((format(printf, 2, 3))) void world_say(struct world *world, const char *format, ...);
__attribute__((format(printf, 2, 3))) void world_fail(struct world *world, const char *format, ...);
void world_note(struct world *world, uint64_t value); /* into the digest */

#endif
