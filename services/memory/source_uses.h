/* SPDX-License-Identifier: Apache-2.0 */
/* From where credentials were used, as far as the store does not know it yet; and who tried from outside its networks.
 */
#ifndef MEMORY_SOURCE_USES_H
#define MEMORY_SOURCE_USES_H

#include "base/clock.h"
#include "rules/source.h"

#include <stddef.h>
#include <stdint.h>

enum { SOURCE_USES_AT_ONCE = 1000 };
/* Caches report uses some seconds later: for so long after a use an earlier one is known to be that. */
#define SOURCE_USES_KNOWN_FOR (60 * CLOCK_SECOND)

/* Its functions take its locks. */
struct source_uses;

struct source_use {
    int64_t credential_id;
    int64_t used;
    struct address address;
};

/* Empty. */
struct source_uses *source_uses_new(void);
void source_uses_free(struct source_uses *uses); /* NULL is fine */

/* It was used from there; so it is, too, when what was gathered could not be stored. The latest counts. */
void source_uses_note(struct source_uses *uses, const struct source_use *use);

/* What was noted and not gathered yet, at most SOURCE_USES_AT_ONCE, the rest the next time; *ret_uses is the caller's
 * to free. */
size_t source_uses_gather(struct source_uses *uses, int64_t now, struct source_use **ret_uses);

/* `count` uses from outside its networks, refused or only observed: counted. Gives how many are to be told, those since
 * the last time among them, and 0 where some were told within the last hour. `steady`: by a clock that only goes
 * forward. */
int64_t source_uses_outside(struct source_uses *uses, int64_t credential_id, enum source_verdict verdict, int64_t count,
                            int64_t steady);
/* How many there were since the start, for metrics. */
int64_t source_uses_count(const struct source_uses *uses, enum source_verdict verdict);

#endif
