/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live tokens in memory: a bounded read-through cache of the store's table, in 64 parts with a lock each. At most 96
 * bytes a token, and 48 more of one that was narrowed (tests/bench prints it).
 *
 * It never answers by what was: whoever ends a token removes it here after the commit and before the acknowledgement,
 * and an entry that was read from the store before a removal is not put in after it (see generation).
 *
 * The uses that it notes are not in the store yet: an entry with such a use is kept until token_table_stored says that
 * the store has it. Not each is worth a write, see token_table_gather.
 */
#ifndef MEMORY_TOKEN_TABLE_H
#define MEMORY_TOKEN_TABLE_H

#include "memory/directory.h"
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

/* Notes a use at `used`, of API number `api`. False: the token is not there (any more), and nothing is noted. */
bool token_table_touch(struct token_table *table, const struct token_key *key, int64_t used, uint32_t api);

/* It has ended. */
void token_table_remove(struct token_table *table, const struct token_key *key);

/* Forgets everything, noted uses too (a replica that lost touch: any of it may have ended). */
void token_table_clear(struct token_table *table);

/* When it was used last, as far as is known here, and (unless that is NULL) by which API; INT64_MIN: it is not there.
 * Is no reason to keep it longer. */
int64_t token_table_last_used(struct token_table *table, const struct token_key *key, uint32_t *ret_api);

/* Every last use later than `latest` becomes `now`, in memory and, by the next flush, in the store: the clock that
 * noted it was ahead. Costs next to nothing while there is none. */
void token_table_clamp(struct token_table *table, int64_t latest, int64_t now);

/* Which of the uses that the store does not have are worth a write: those that are later than what it has by `step`,
 * those of tokens whose idle time, as the store has it, ends within `end_margin`, and those of tokens whose place is
 * wanted; or all. `now` by the same clock as uses. */
struct token_gathering {
    int64_t now;
    int64_t idle_timeout;
    int64_t step, end_margin;
    int64_t interval; /* for tokens of credentials with an idle timeout of their own: see settings_use_margin */
    struct directory_idle own; /* theirs */
    bool is_all;
};

/* Takes them out; *ret_uses is the caller's to free. Those that could not be stored are noted again by
 * token_table_give_back; of those that were, token_table_stored is told. The whole table is looked through in a
 * fortieth of the shortest idle timeout, and at once where one has changed. */
size_t token_table_gather(struct token_table *table, const struct token_gathering *gathering,
                          struct token_use **ret_uses);
void token_table_give_back(struct token_table *table, const struct token_use *uses, size_t count);
void token_table_stored(struct token_table *table, const struct token_use *uses, size_t count);

/* For metrics. */
size_t token_table_count(struct token_table *table);
size_t token_table_bytes(struct token_table *table);

#endif
