/* SPDX-License-Identifier: Apache-2.0 */
/* All that this process knows without asking the store. Each part has its own locks. */
#ifndef MEMORY_MEMORY_H
#define MEMORY_MEMORY_H

#include "memory/audit_queue.h"
#include "memory/directory.h"
#include "memory/secret_uses.h"
#include "memory/throttle.h"
#include "memory/token_table.h"
#include "memory/usage_counter.h"

struct memory {
    struct directory *directory;
    struct token_table *tokens;
    struct usage *usage;
    struct audit_queue *audit;
    struct secret_uses *secrets;
    struct throttle *throttle;
};

/* Empty; at most so many tokens, and those whose use is not stored yet. */
struct memory *memory_new(size_t max_tokens);
void memory_free(struct memory *memory); /* NULL is fine */

/* A copy of the settings that hold now. Takes the directory's lock. */
struct settings memory_settings(const struct memory *memory);

/* Is the token active, as far as is known here? Of its facts, the credential is looked for by `credential_id`. Takes
 * the directory's lock. */
bool memory_is_live(const struct memory *memory, const struct token_facts *token, int64_t credential_id,
                    const struct token_limits *limits, int64_t now);

#endif
