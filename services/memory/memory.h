/* SPDX-License-Identifier: Apache-2.0 */
/* All that this process knows without asking the store. Each part has its own locks. */
#ifndef MEMORY_MEMORY_H
#define MEMORY_MEMORY_H

#include "memory/audit_queue.h"
#include "memory/directory.h"
#include "memory/observed.h"
#include "memory/ring.h"
#include "memory/secret_uses.h"
#include "memory/source_uses.h"
#include "memory/throttle.h"
#include "memory/token_table.h"
#include "memory/usage_counter.h"

#include <stdatomic.h>

struct memory {
    struct directory *directory;
    struct ring *ring; /* the changes that the others have in them */
    struct token_table *tokens;
    struct usage *usage;
    struct audit_queue *audit;
    struct secret_uses *secrets;
    struct source_uses *sources;
    struct throttle *throttle;
    struct observed *observed;
    atomic_bool has_news; /* see memory_note_news */
};

/* Empty; at most so many tokens, and those whose use is not stored yet. */
struct memory *memory_new(size_t max_tokens);
void memory_free(struct memory *memory); /* NULL is fine */

/* Something was noted that an administrator who asks is to see: more than that one who asks has called us. Ask for it,
 * before it is gathered, with memory_take_news. */
static inline void memory_note_news(struct memory *memory)
{
    if (!atomic_load_explicit(&memory->has_news, memory_order_acquire)) /* so that the line is everybody's to read */
        atomic_store_explicit(&memory->has_news, true, memory_order_release);
}
static inline bool memory_take_news(struct memory *memory)
{
    return atomic_exchange_explicit(&memory->has_news, false, memory_order_acq_rel);
}

/*
 * The two doors of an introspection: what is known of a token, and that it was used.
 *
 *     do {
 *         memory_look(memory, &key, &view);
 *         …decide, and copy what is wanted…
 *     } while (!memory_look_done(memory, &view));
 *
 * All that a view points to stays until memory_look_done; false says that it was not all of one moment.
 */
struct memory_view {
    bool is_known;            /* the token, its credential with it; else only what follows is set */
    struct position position; /* W3: of all changes up to this one, what is here knows: it was read first */
    uint64_t generation;      /* for token_table_put */
    const struct settings *settings;
    struct token_facts token;
    const struct credential_facts *credential;
    uint64_t turn;
    struct credential_facts facts; /* is what `credential` points to */
};
/* What memory knows of the token, its credential and the settings, as of one moment: if memory_look_done, which must
 * follow soon, says true. Otherwise something was written meanwhile: look again. What ret_view points to lives until
 * then. */
void memory_look(const struct memory *memory, const struct token_key *key, struct memory_view *ret_view);
[[nodiscard]] bool memory_look_done(const struct memory *memory, const struct memory_view *view);

/* The same for a token that the store told of. A use that memory knows and the store does not is put in. */
void memory_look_row(const struct memory *memory, const struct token_facts *token, int64_t credential_id,
                     struct memory_view *ret_view);

struct memory_use {
    const struct token_facts *token; /* last_used: with this use */
    int64_t credential_id;
    const char *api;
    int64_t used;
    bool is_allowed;
    int64_t count;
    const struct source *source;
};
/* Notes it everywhere. False: the token table has dropped the token since it was looked at, and does not know of it. */
bool memory_note_use(const struct memory *memory, const struct memory_use *use, uint32_t *ret_api);
/* For a token that is only to be put in: everywhere but in the token table. The API's number. */
uint32_t memory_count_use(const struct memory *memory, const struct memory_use *use);

/* A limit of the credential's own that is only observed would have ended or refused `count` of what was just done. */
void memory_note_observed(struct memory *memory, int64_t credential_id, enum limit limit, int64_t at, int64_t count);

/* Of a use that was refused, though the token lives: it counts as denied, and as no use of the token or the credential.
 */
void memory_count_refused(const struct memory *memory, int64_t credential_id, const char *api, int64_t used,
                          int64_t count);

/* Of calls that were answered: what is only observed, limits of the credential's own or its networks, would have
 * refused so many. Each once, whatever would have. */
void memory_count_observed(const struct memory *memory, int64_t credential_id, const char *api, int64_t at,
                           int64_t count);

/* A copy of the settings that hold now. */
struct settings memory_settings(const struct memory *memory);
/* The same, with the shortest idle timeout that holds for any credential: for what must be done often enough for all.
 */
struct settings memory_settings_shortest(const struct memory *memory);
/* Is there a limit to the live tokens of the credential, or is one observed? */
bool memory_counts_tokens(const struct memory *memory, int64_t credential_id);

/* Is the token active, as far as is known here? Of its facts, the credential is looked for by `credential_id`. */
bool memory_is_live(const struct memory *memory, const struct token_facts *token, int64_t credential_id,
                    const struct settings *settings, int64_t now);

#endif
