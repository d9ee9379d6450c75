/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who called which API, how often and when: counted in memory by credential, API and hour, added to the store in
 * batches.
 *
 * Memory is bounded whatever is sent as `api`: of a credential at most 256 APIs are known at a time, of all at most
 * 262,144 pairs, and an API that was not called for two hours is forgotten; what is beyond counts as "other". Rows that
 * the store does not take are kept, at most 262,144 (some 40 MB); past that the oldest are lost.
 */
#ifndef MEMORY_USAGE_COUNTER_H
#define MEMORY_USAGE_COUNTER_H

#include "rules/usage.h"

#include <stdbool.h>
#include <stddef.h>

/* Its functions take their own locks. */
struct usage;

/* Empty. NULL is fine for usage_free. */
struct usage *usage_new(void);
void usage_free(struct usage *usage);

/* Counts uses; returns the API's number, for usage_api. */
uint32_t usage_count(struct usage *usage, int64_t credential_id, const char *api, int64_t now, bool is_allowed,
                     int64_t count);

/* The same of uses that were refused, and are none of the credential: denied. */
void usage_count_refused(struct usage *usage, int64_t credential_id, const char *api, int64_t now, int64_t count);

/* Of calls, which are counted or are none of the two: what is only observed would have refused so many. */
void usage_count_observed(struct usage *usage, int64_t credential_id, const char *api, int64_t now, int64_t count);

/* The text of an API number; 0 is "". False: it was forgotten, and `text` stays as it is. */
bool usage_api(struct usage *usage, uint32_t number, char text[static API_MAX + 1]);

/* Takes out what was counted since, those of the store's rows first that were given back; *ret_deltas is the caller's
 * to free. Each is then either stored, or given back and added to what is counted meanwhile; until then the name of
 * its API is known. */
size_t usage_gather(struct usage *usage, int64_t now, struct usage_delta **ret_deltas);
void usage_give_back(struct usage *usage, const struct usage_delta *deltas, size_t count);
void usage_stored(struct usage *usage, const struct usage_delta *deltas, size_t count);

/* Uses since the start that met a bound. */
struct usage_beyond {
    uint64_t credential, process; /* counted as "other": the credential had too many APIs; all together had */
    uint64_t lost;                /* not counted at all: the store took no rows for too long */
};
/* What could not be counted by its name, or was lost; for metrics. */
struct usage_beyond usage_beyond(struct usage *usage);

#endif
