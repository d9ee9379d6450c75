/* SPDX-License-Identifier: Apache-2.0 */
/* What guard.c (requests as a whole) and guard_target.c (what is asked for) share. */
#ifndef REST_GUARD_INTERNAL_H
#define REST_GUARD_INTERNAL_H

#include "guard.h"

enum state {
    BETWEEN, /* RFC 9112's grammar, top to bottom */
    METHOD,
    TARGET_FIRST,
    TARGET_SECOND,
    TARGET_SCHEME, /* of an absolute form (RFC 9112, section 3.2.2), and its authority */
    TARGET_HOST,
    TARGET_BRACKET,
    TARGET_BRACKET_END,
    TARGET_PORT,
    TARGET,
    TARGET_STAR,
    VERSION,
    LINE_LF, /* the LF that ends the request line or a header */
    NAME_FIRST,
    NAME,
    VALUE_FIRST,
    VALUE,
    HEAD_LF,
    BODY,
    CHUNK_SIZE,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_CR,
    CHUNK_LF,
    LAST_CR,
    LAST_LF,
    BLANK_LF, /* of an empty line before a request */
};

/* Ends all; returns the code. */
int guard_refuse(struct guard *guard, int code, const char *why);

/* Keeps what fits; a word that does not fit equals none of those that matter. */
static inline void guard_put(struct guard *guard, unsigned char c)
{
    if (guard->word_len < sizeof guard->word)
        guard->word[guard->word_len] = (char)c;
    guard->word_len++;
}

/* Whatever the letter case. */
bool guard_word_is(const struct guard *guard, const char *text);

/* A byte of the request target. */
int guard_target(struct guard *guard, unsigned char c);

/* In the state TARGET: how many of the bytes belong to the path or the query, which takes them. */
size_t guard_target_run(struct guard *guard, const char *data, size_t len);

#endif
