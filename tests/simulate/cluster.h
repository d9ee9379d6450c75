/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated database and the stores of the processes on it: store/store.h without a thread. What a process queues
 * waits until the scheduler lets one thing happen (store_step): some writes share a commit, a `done` is called, a
 * read's state is fixed, a read runs. A read runs on the state that was fixed for it, also when others have written
 * since. The statements are run by the real driver and the real transactions (store/sqlite.c, transaction.c,
 * records/schema.c).
 */
#ifndef SIMULATE_CLUSTER_H
#define SIMULATE_CLUSTER_H

#include "store/copy.h"
#include "store/driver.h"

struct cluster;

enum cluster_copy { COPY_STANDBY, COPY_BACKUP, COPY_COUNT };

struct cluster_faults {
    bool writes_fail; /* UNAVAILABLE, as of a full disk or a held lock */
    bool writes_hang; /* nothing comes of them, until somebody can do nothing but wait for one */
    bool reads_fail;
    int unknown_percent; /* commits whose answer is lost */
};

/* yield: is called where a thread waits, or might be held up; it may let other things happen. */
struct cluster *cluster_new(void (*yield)(void));
void cluster_free(struct cluster *cluster);

/* A new database, no faults. No store is connected. */
void cluster_reset(struct cluster *cluster, bool is_shared);
/* What the database's own clock shows; a shared one has one. */
void cluster_set_clock(struct cluster *cluster, const int64_t *clock);
struct cluster_faults *cluster_faults(struct cluster *cluster);

/* What a standby has received, or a backup holds; and the database becoming that. Reads under way fail then. */
void cluster_keep(struct cluster *cluster, enum cluster_copy copy);
void cluster_go_back(struct cluster *cluster, enum cluster_copy copy);

/* `gatehouse admin copy` from the database to another one; what goes on at its processes meanwhile, goes on. */
enum status cluster_copy(struct cluster *from, struct cluster *to, struct copy_result *ret_result,
                         char why[static STORE_WHY_MAX]);
/* Each becomes what the other was, with its faults. No store is connected to either. */
void cluster_swap(struct cluster *cluster, struct cluster *other);

/* How it is: the first column of the first row; `otherwise` where there is none. `sql` is a literal. */
int64_t cluster_ask(struct cluster *cluster, const char *sql, const struct store_value *values, size_t count,
                    int64_t otherwise);

/* Is a function of a transaction running just now? */
bool cluster_is_busy(const struct cluster *cluster);

struct store *cluster_connect(struct cluster *cluster);

/* Lets one thing happen. False: nothing waits. */
bool store_step(struct store *store);
bool store_is_idle(const struct store *store);

/* The process has died: nothing that waits takes effect any more. Each `done` is called with UNAVAILABLE, so that the
 * memory comes back; so is what they queue then. */
void store_crash(struct store *store);

#endif
