/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: append-only, each row chained to the one before by a hash. Administrative acts are written in the
 * transaction that does them. Security events (a wrong secret, a refused caller) are queued, at most 1,000, and equal
 * ones of the same interval are counted in one row, so that a flood of them costs no write each.
 */
#ifndef DOMAIN_AUDIT_H
#define DOMAIN_AUDIT_H

#include "arena.h"
#include "domain/crypto.h"
#include "store/store.h"

struct audit_event {
    int64_t sequence; /* given by audit_append */
    int64_t at;
    const char *actor;
    const char *action;
    const char *subject;
    const char *peer;
    const char *request_id;
    const char *outcome;
    const char *detail;
    uint8_t hash[SHA256_BYTES]; /* given by audit_append */
};

enum status audit_append(struct store_tx *tx, struct audit_event *event);

struct audit_filter {
    const char *actor, *action, *subject, *peer, *outcome; /* NULL: any */
    const char *detail;                                    /* contained; NULL: any */
    int64_t after, before;                                 /* in time, exclusive; INT64_MIN, INT64_MAX: any */
    int64_t below;                                         /* sequences below; INT64_MAX: from the newest */
    int limit;
};

typedef enum status audit_each_fn(const struct audit_event *event, void *arg);
enum status audit_list(struct store_tx *tx, const struct audit_filter *filter, audit_each_fn *each, void *arg);

/* *ret_broken: the first sequence at which the chain does not fit; 0: it is intact. */
enum status audit_verify(struct store_tx *tx, int64_t *ret_checked, int64_t *ret_broken);

struct audit_queue;
struct audit_queue *audit_queue_new(void);
void audit_queue_free(struct audit_queue *queue);

/* Copies the event. Never blocks on I/O; what does not fit in the queue is counted and told in the next row. */
void audit_queue_add(struct audit_queue *queue, const struct audit_event *event);

/* Takes everything out into the arena; returns how many. */
size_t audit_queue_gather(struct audit_queue *queue, struct arena *arena, struct audit_event **ret_events);

#endif
