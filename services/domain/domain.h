/* SPDX-License-Identifier: Apache-2.0 */
/* The domain as a whole: the store, what is in memory of it, what is done with both, and the threads. */
#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H

#include "domain/background.h"
#include "domain/introspect.h"
#include "domain/issue.h"
#include "domain/work.h"

struct domain {
    int64_t cache_lease; /* microseconds */
    int64_t started;     /* clock_now */
    const char *host;    /* the name of this machine; "": not told */
    struct store *store;
    struct clock *clock;
    struct memory *memory;
    struct follow *follow; /* where others write to the store, too */
    struct flush *flush;
    struct reap *reap;
    struct archive *archive;
    struct background *background;
    struct introspect introspect;
    struct issue issue;
    bool owns_clock;
    uint8_t instance_key[SHA256_BYTES]; /* signs page tokens; the same on every replica */
};

struct domain_options {
    struct store *store;         /* open; borrowed */
    struct clock *clock;         /* NULL: the real one, which domain_close frees */
    size_t max_tokens_in_memory; /* 0: 2,000,000 */
    int64_t flush_interval_ms;   /* 0: 2,000; -1: no threads, see background.h (tests) */
    int64_t lease_ms;            /* see follow.h; 0: 1,000 */
    int64_t cache_lease_ms;      /* for how long caches that watch may answer from memory; 0: 1,000 */
    const char *audit_archive;   /* see archive.h; NULL: none; borrowed */
    const char *host;            /* the name of this machine, for those beside it; NULL: not told; borrowed */
    bool is_strict;
    bool begins_history; /* the store is a copy that is taken into use: nothing that knew the source may follow it */
};

/* Loads roles, settings and credentials, and starts the threads. */
enum status domain_open(const struct domain_options *options, struct domain **ret_domain);

/* Stores what is not stored yet, and frees. The store must be open still. NULL is fine. */
void domain_close(struct domain *domain);

/* Administrative work that has yet to begin. */
struct work domain_work(const struct domain *domain, struct arena *arena, const char *actor);

#endif
