/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Security events (a wrong secret, a refused caller) that are not in the audit log yet: at most 1,000, and equal ones
 * of the same interval are counted in one row, so that a flood of them costs no write each.
 */
#ifndef MEMORY_AUDIT_QUEUE_H
#define MEMORY_AUDIT_QUEUE_H

#include "base/arena.h"
#include "rules/audit.h"

/* Its functions take its lock. */
struct audit_queue;
struct audit_queue *audit_queue_new(void);
void audit_queue_free(struct audit_queue *queue);

/* Copies the event. Never blocks on I/O; what does not fit in the queue is counted and told in the next row. */
void audit_queue_add(struct audit_queue *queue, const struct audit_event *event);

/* Takes everything out into the arena; returns how many. */
size_t audit_queue_gather(struct audit_queue *queue, struct arena *arena, struct audit_event **ret_events);

#endif
