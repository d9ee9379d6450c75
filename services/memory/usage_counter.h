/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who called which API, how often and when: counted in memory by credential, API and hour, added to the store in
 * batches.
 *
 * Memory is bounded whatever is sent as `api`: a credential has at most 256 APIs of its own, the rest counts as
 * "other".
 */
#ifndef MEMORY_USAGE_COUNTER_H
#define MEMORY_USAGE_COUNTER_H

#include "rules/usage.h"

#include <stdbool.h>
#include <stddef.h>

/* Its functions take their own locks. */
struct usage;

struct usage *usage_new(void);
void usage_free(struct usage *usage);

/* Counts uses; returns the API's number, for usage_api. */
uint32_t usage_count(struct usage *usage, int64_t credential_id, const char *api, int64_t now, bool is_allowed,
                     int64_t count);

/* The text of an API number; 0 is "". */
const char *usage_api(struct usage *usage, uint32_t number);

/* Takes out what was counted since; *ret_deltas is the caller's to free. What could not be stored is given back. */
size_t usage_gather(struct usage *usage, int64_t now, struct usage_delta **ret_deltas);
void usage_give_back(struct usage *usage, const struct usage_delta *deltas, size_t count);

#endif
