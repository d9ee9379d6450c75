/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store knows and this process may not yet: read in one transaction, then put into the directory and the token
 * table. All of it, when a process starts; what the change log says since a position, when it follows other replicas.
 *
 * The log is believed only where it continues what is known: the change at the known position, and each change of this
 * process's own that it obeyed early, must stand in it with the same change id. Where one does not, this is another
 * history of the store, and nothing that was known before counts any more.
 */
#ifndef DOMAIN_NEWS_H
#define DOMAIN_NEWS_H

#include "base/arena.h"
#include "memory/ring.h"
#include "records/role.h"
#include "rules/change.h"
#include "rules/credential.h"
#include "rules/secret_text.h"
#include "rules/settings.h"

struct memory;

enum news_kind {
    NEWS_SINCE,   /* what changed since */
    NEWS_START,   /* all: nothing was known */
    NEWS_CUT,     /* all: the log no longer reaches back to what is known, or says so itself */
    NEWS_HISTORY, /* all: another history */
};

struct news {
    bool is_start;         /* nothing is known */
    struct position since; /* else: up to here */
    struct position *own;  /* and these, which were obeyed early; malloc'ed */
    size_t own_count;
    int64_t now; /* which secret keys have ended */

    /* What was read. */
    enum news_kind kind;
    struct position position; /* the last one, in the state that was read */
    struct arena arena;
    struct position *log; /* all that was looked at, in order */
    size_t log_count, log_size;
    struct position base;      /* of NEWS_START: of the change before the first of the events */
    struct ring_event *events; /* what those who watch are to be told; in order */
    size_t event_count, event_size;
    struct token_key *ended;
    size_t ended_count, ended_size;
    int64_t *purged;
    size_t purged_count, purged_size;
    struct credential_facts **facts; /* unless NEWS_SINCE: by id */
    size_t facts_count, facts_size;
    bool has_settings, has_roles;
    struct settings settings;
    struct role *roles;
    size_t role_count, role_size;
};

/* In a read transaction; may be called again after a failure. */
enum status news_read(struct store_tx *tx, struct news *news);

/* After it, if the position of what is in memory is still `since`. Of NEWS_SINCE, what is in memory already and newer
 * stays. Everything else replaces. Nobody else may apply meanwhile. */
void news_apply(struct memory *memory, struct news *news);

/* The change of that revision among those that were looked at; its change id is 0 if it is not there. */
struct position news_find(const struct news *news, int64_t revision);

/* Frees what was read, and `own`. */
void news_done(struct news *news);

#endif
