/* SPDX-License-Identifier: Apache-2.0 */
/* The domain as a whole: the store, what is in memory of it, and the thread that carries uses from one to the other. */
#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H

#include "clock.h"
#include "domain/audit.h"
#include "domain/directory.h"
#include "domain/replica.h"
#include "domain/token_table.h"
#include "domain/usage.h"
#include "domain/work.h"

struct domain {
    struct store *store;
    struct clock *clock;
    struct directory *directory;
    struct token_table *tokens;
    struct usage *usage;
    struct audit_queue *audit;
    struct flusher *flusher;
    bool owns_clock;
    struct replica *replica;            /* where others write to the store, too */
    int64_t flush_interval;             /* microseconds; 0: no thread flushes */
    uint8_t instance_key[SHA256_BYTES]; /* signs page tokens; the same on every replica */
};

struct domain_options {
    struct store *store;         /* open; borrowed */
    struct clock *clock;         /* NULL: the real one, which domain_close frees */
    size_t max_tokens_in_memory; /* 0: 2,000,000 */
    int64_t flush_interval_ms;   /* 0: 2,000; -1: no threads, only domain_flush, replica_follow (tests) */
    int64_t lease_ms;            /* see replica.h; 0: 1,000 */
    bool is_strict;
    bool begins_history; /* the store is a copy that is taken into use: nothing that knew the source may follow it */
};

/* Loads roles, settings and credentials, and starts the flusher. */
enum status domain_open(const struct domain_options *options, struct domain **ret_domain);

/* Stores what is not stored yet, and frees. The store must be open still. NULL is fine. */
void domain_close(struct domain *domain);

/* How long a use may stay in memory only. Where others read the same store, a token never comes nearer to the end of
 * its idle time, as the store knows it, than domain_store_margin: a use in that time is stored before it is answered.
 * So whoever finds a token idle in the store is right. Microseconds. */
int64_t domain_flush_pause(const struct domain *domain, const struct settings *settings);
int64_t domain_store_margin(const struct domain *domain, const struct settings *settings);

/* Stores the uses and the security events that are in memory only; then calls done (may be NULL). Reads and writes that
 * are queued from done on see them, unless its status says that not all could be stored. */
void domain_flush(struct domain *domain, store_done_fn *done, void *arg);

#endif
