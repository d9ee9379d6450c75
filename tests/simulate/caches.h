/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Caches in the simulated world: what libgatehouse's knows (client/memory.c), told by the api's own Watch over a
 * network that holds back, loses and cuts what it carries. What client/watch.c does with a thread and gRPC is done here
 * step by step, by the same rules (client/README.md).
 *
 * A hit is judged by the model (model_hit). A miss is a call, whose answer comes when it comes.
 */
#ifndef SIMULATE_CACHES_H
#define SIMULATE_CACHES_H

#include "world.h"

struct caches *caches_new(struct world *world);
void caches_free(struct caches *caches); /* when no process runs any more; NULL is fine */

/* Something happens at one of them, or between it and its process. */
void caches_step(struct caches *caches);

/* One is cut off, and its process hears of it at once. */
void caches_cut(struct caches *caches);

/* One is asked for a token, and asks that process where it cannot tell. */
void caches_ask(struct caches *caches, int token, int process);

/* A turn of the process's watch. */
void caches_serve(struct process *process);

/* The process ends: its streams are no more; so much time passes for it yet. */
void caches_lose(struct world *world, struct process *process, int64_t passes);

#endif
