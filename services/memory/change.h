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

/* What is in memory already and newer stays. Of CHANGE_ALL nothing: whoever writes it has read everything. */
void change_apply(struct memory *memory, const struct change *change);

/* Everything that is known is replaced: the log no longer says how the store came to be what it is. */
void change_apply_all(struct memory *memory, const struct directory_content *content);

/* The store does not have this token, though it is known here: it was ended by another replica a moment ago, or lost,
 * by a failover or by somebody's hand. */
void change_forget_token(struct memory *memory, const struct token_key *key);

#endif
