/* SPDX-License-Identifier: Apache-2.0 */
/* What a change of the store does to memory, from whichever side it comes: this process's own, after its commit, or
 * another's, which the log told. Nothing else writes the directory, or removes from the token table what has ended. */
#ifndef MEMORY_CHANGE_H
#define MEMORY_CHANGE_H

#include "memory/memory.h"
#include "rules/change.h"

/* One change, and what the store says after it. */
struct change {
    enum change_kind kind;
    union {
        struct credential_facts *facts; /* CHANGE_CREDENTIAL: memory's from then on */
        const struct token_key *token;
        const struct settings *settings;
        const struct role *role;
        int64_t credential_id; /* CHANGE_PURGE */
    };
};

/* What those who watch are told of it. To be made before the change is obeyed: of a purged credential nobody knows the
 * client ID any more. */
struct ring_event change_event(struct memory *memory, struct position position, const struct change *change);

/* What is in memory already and newer stays. Of CHANGE_ALL nothing: whoever writes it has read everything. */
void change_apply(struct memory *memory, const struct change *change);

/* After they are obeyed: the last of them is the last that is in memory, and those who watch are told of each. In the
 * order of their revisions, and by one thread at a time. */
void change_pass(struct memory *memory, const struct ring_event *events, size_t count);

/* Everything that is known is replaced: the log no longer says how the store came to be what it is, up to `position`.
 */
void change_apply_all(struct memory *memory, const struct directory_content *content, struct position position,
                      enum ring_cause cause);

/* The store does not have this token, though it is known here: it was ended by another replica a moment ago, or lost,
 * by a failover or by somebody's hand. */
void change_forget_token(struct memory *memory, const struct token_key *key);

#endif
