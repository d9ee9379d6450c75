/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store knows and this process may not yet: read in one transaction, then put into the directory and the token
 * table. All of it, when a process starts; what the change log says since a revision, when it follows other replicas.
 */
#ifndef DOMAIN_NEWS_H
#define DOMAIN_NEWS_H

#include "domain/credential.h"

struct news {
    struct domain *domain;
    int64_t since; /* the revision that is known; -1: nothing is */
    int64_t now;   /* which secret keys have ended */

    /* What was read. */
    int64_t revision; /* the last one, in the state that was read */
    bool is_all;      /* what is not here, is not at all */
    struct arena arena;
    struct token_key *ended;
    size_t ended_count, ended_size;
    int64_t *purged;
    size_t purged_count, purged_size;
    struct credential_facts **facts; /* if is_all: by id */
    size_t facts_count, facts_size;
    bool has_settings, has_roles;
    struct settings settings;
    struct role *roles;
    size_t role_count, role_size;
};

/* In a read transaction; may be called again after a failure. Where the log no longer reaches back to `since`, it reads
 * all. */
enum status news_read(struct store_tx *tx, struct news *news);

/* After it. Old news does no harm: what is in memory already and newer stays. */
void news_apply(struct news *news);

void news_done(struct news *news);

#endif
