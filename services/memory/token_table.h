/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live tokens in memory: a bounded read-through cache of the store's table, in 64 parts with a lock each. About 110
 * bytes a token (tests/bench prints it).
 *
 * It never answers by what was: whoever ends a token removes it here after the commit and before the acknowledgement,
 * and an entry that was read from the store before a removal is not put in after it (see generation).
 *
 * The uses that it notes are not in the store yet: an entry with such a use is kept until token_table_stored says that
 * the store has it.
 */
#ifndef MEMORY_TOKEN_TABLE_H
#define MEMORY_TOKEN_TABLE_H

#include "rules/token.h"

#include <stddef.h>

/* Its functions take its locks. */
struct token_table;

/* At most max_entries, and beside them those whose use is not stored yet. */
struct token_table *token_table_new(size_t max_entries);
void token_table_free(struct token_table *table);

/* Hit or miss, gives the generation, which is to be read before the store is asked and handed to token_table_put. */
bool token_table_get(struct token_table *table, const struct token_key *key, struct token_facts *ret_facts,
                     uint64_t *ret_generation);

/* Puts in what the store said. False: a token of this part was removed since `generation` was read; the caller must ask
 * the store again. If the token is there already, the later last use of both is kept. A use by API number `api` that is
 * later than facts->stored is noted. */
bool token_table_put(struct token_table *table, const struct token_facts *facts, uint64_t generation, uint32_t api);

/* Notes a use at `used`, of API number `api`. Does nothing for a token that is not there. */
void token_table_touch(struct token_table *table, const struct token_key *key, int64_t used, uint32_t api);

/* It has ended. */
void token_table_remove(struct token_table *table, const struct token_key *key);

/* Forgets everything, noted uses too (a replica that lost touch: any of it may have ended). */
void token_table_clear(struct token_table *table);

/* When it was used last, as far as is known here; INT64_MIN: it is not there. Is no reason to keep it longer. */
int64_t token_table_last_used(struct token_table *table, const struct token_key *key);

/* Every last use later than `latest` becomes `now`, in memory and, by the next flush, in the store: the clock that
 * noted it was ahead. Costs next to nothing while there is none. */
void token_table_clamp(struct token_table *table, int64_t latest, int64_t now);

/* Takes out the uses noted since the last time; *ret_uses is the caller's to free. Those that could not be stored are
 * noted again by token_table_give_back; of those that were, token_table_stored is told. */
size_t token_table_gather(struct token_table *table, struct token_use **ret_uses);
void token_table_give_back(struct token_table *table, const struct token_use *uses, size_t count);
void token_table_stored(struct token_table *table, const struct token_use *uses, size_t count);

/* For metrics. */
size_t token_table_count(struct token_table *table);
size_t token_table_bytes(struct token_table *table);

#endif
