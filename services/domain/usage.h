/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who called which API, how often and when: counted in memory by credential, API and hour, added to the store in
 * batches.
 *
 * Memory is bounded whatever is sent as `api`: a credential has at most 256 APIs of its own, the rest counts as
 * "other".
 */
#ifndef DOMAIN_USAGE_H
#define DOMAIN_USAGE_H

#include "domain/directory.h"

enum { API_MAX = 256, USAGE_APIS_PER_CREDENTIAL = 256 };

#define USAGE_HOUR (3600 * INT64_C(1000000))

struct usage;

struct usage *usage_new(void);
void usage_free(struct usage *usage);

/* Makes "GET /cases/{id}" of "GET /cases/4711?x=y"; "unnamed" of ""; "{token}" of a token or secret key of ours. `api`
 * has at most API_MAX bytes. */
void usage_normalise(const char *api, char normal[static API_MAX + 1]);

/* Counts uses; returns the API's number, for usage_api. */
uint32_t usage_count(struct usage *usage, int64_t credential_id, const char *api, int64_t now, bool is_allowed,
                     int64_t count);

/* The text of an API number; 0 is "". */
const char *usage_api(struct usage *usage, uint32_t number);

/* What is to be added to the store's row of (credential, api, hour). */
struct usage_delta {
    int64_t credential_id;
    uint32_t api;
    int64_t hour;
    int64_t allowed;
    int64_t denied;
    int64_t first_used;
    int64_t last_used;
};

/* Takes out what was counted since; *ret_deltas is the caller's to free. What could not be stored is given back. */
size_t usage_gather(struct usage *usage, int64_t now, struct usage_delta **ret_deltas);
void usage_give_back(struct usage *usage, const struct usage_delta *deltas, size_t count);

enum status usage_store(struct store_tx *tx, const struct usage_delta *delta, const char *api);

/* Removes rows of hours before `before`, at most about `limit`. */
enum status usage_expire(struct store_tx *tx, int64_t before, int limit);

struct usage_query {
    int64_t credential_id; /* 0: all */
    const char *api;       /* "": all */
    int64_t start, end;    /* hours that begin in [start, end) */
    bool by_credential, by_api;
    int64_t period; /* 0: not by time; else an hour or a day */
    bool by_uses;   /* order */
    int64_t offset, limit;
};

struct usage_total {
    int64_t credential_id;
    const char *api;
    int64_t start;
    int64_t allowed, denied, first_used, last_used;
};

typedef enum status usage_each_fn(const struct usage_total *total, void *arg);
enum status usage_query(struct store_tx *tx, const struct usage_query *query, usage_each_fn *each, void *arg);

#endif
