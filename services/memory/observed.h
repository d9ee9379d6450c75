/* SPDX-License-Identifier: Apache-2.0 */
/* What limits that are only observed would have ended or refused, where the store does not know it yet. */
#ifndef MEMORY_OBSERVED_H
#define MEMORY_OBSERVED_H

#include "rules/limits.h"

#include <stddef.h>

/* Its functions take its lock. */
struct observed;

struct observed_count {
    int64_t credential_id;
    enum limit limit;
    int64_t count;
    int64_t first, last; /* of them */
};

/* Empty. */
struct observed *observed_new(void);
void observed_free(struct observed *observed); /* NULL is fine */

/* Adds it. And again, when it was taken out and could not be stored. */
void observed_note(struct observed *observed, const struct observed_count *count);
void observed_give_back(struct observed *observed, const struct observed_count *counts, size_t count);

/* Takes out at most `most` of them; *ret_counts is the caller's to free. The others wait for the next time. */
size_t observed_gather(struct observed *observed, size_t most, struct observed_count **ret_counts);

/* Of all credentials, since the start. */
uint64_t observed_total(struct observed *observed, enum limit limit);

#endif
