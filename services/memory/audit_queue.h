/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that are not in the audit log yet, in two kinds.
 *
 * Acts of administrators that failed: each is an event, and none is ever dropped.
 * Refusals, which any stranger can bring about as often as he likes: one event a minute for each address (a /64 counts
 * as one), actor, action and outcome, which tells how many there were of what. The first is an event at once.
 */
#ifndef MEMORY_AUDIT_QUEUE_H
#define MEMORY_AUDIT_QUEUE_H

#include "base/arena.h"
#include "rules/audit.h"

/* Its functions take its lock, and never block on I/O. */
struct audit_queue;
struct audit_queue *audit_queue_new(void);
void audit_queue_free(struct audit_queue *queue);

/* An act. Copies the event; equal ones in a row are one event, with their number. */
void audit_queue_add(struct audit_queue *queue, const struct audit_event *event);

/* So many refusals: their `detail` says of what. */
void audit_queue_count(struct audit_queue *queue, const struct audit_event *event, int64_t count);

/* Takes out into the arena what may be an event by now, in the order in which it happened; returns how many. `now`: by
 * a clock that only goes forward. is_last: a minute that is not over will not be waited for. */
enum { AUDIT_GATHER_MAX = 2000 };
size_t audit_queue_gather(struct audit_queue *queue, struct arena *arena, int64_t now, bool is_last,
                          struct audit_event **ret_events);

/* They could not be stored: they come first the next time. */
void audit_queue_give_back(struct audit_queue *queue, const struct audit_event *events, size_t count);

#endif
