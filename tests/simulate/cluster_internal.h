/* SPDX-License-Identifier: Apache-2.0 */
/* What cluster.c and store.c share. */
#ifndef SIMULATE_CLUSTER_INTERNAL_H
#define SIMULATE_CLUSTER_INTERNAL_H

#include "cluster.h"

#include "store/transaction.h"

enum { SPARES_MAX = 8 };

struct sqlite3;

struct handle {
    struct connection *connection;
    struct sqlite3 *db;
};

/* A state of the database that somebody will read: the newest one, or a copy. */
struct state {
    struct handle own; /* NULL: it is the newest */
    int users;
    bool is_apart; /* a copy from the beginning, on a connection that nobody else gets */
};

struct cluster {
    void (*yield)(void);
    struct driver driver;
    struct store_options options;
    struct database *database;
    struct handle now, empty, copies[COPY_COUNT];
    struct handle spares[SPARES_MAX];
    size_t spare_count;
    struct state *newest;
    struct cluster_faults faults;
    int history; /* how often it went back */
    bool is_shared;
    bool is_busy;
};

/* The addresses by which store_open finds these two from now on. */
#define CLUSTER_FROM "simulated:from"
#define CLUSTER_TO "simulated:to"
void cluster_open_for_copy(struct cluster *from, struct cluster *to);

struct state *cluster_fix(struct cluster *cluster);
struct state *cluster_fix_apart(struct cluster *cluster); /* what goes on while it is read, goes on */
void cluster_release(struct cluster *cluster, struct state *state);
void cluster_write(struct cluster *cluster, struct job_list *jobs);
void cluster_read(struct cluster *cluster, struct state *state, struct job *job);

#endif
