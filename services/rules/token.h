/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: when one is active, until when, and what it carries. */
#ifndef RULES_TOKEN_H
#define RULES_TOKEN_H

#include "rules/credential.h"
#include "rules/secret_text.h"
#include "rules/settings.h"

struct credential_entry;

struct token_facts {
    struct token_key key;
    struct credential_entry *credential; /* where the directory has it */
    int64_t last_used;
    int64_t stored; /* the last use that the store has, as far as is known here; what others read there */
    int64_t epoch;
    bool is_narrowed;      /* it carries only `roles` of what its credential has; else all */
    struct role_set roles; /* if is_narrowed */
};

/* A use that is to be stored. */
struct token_use {
    struct token_key key;
    int64_t used;
    uint32_t api;
    bool is_clamped; /* the store may have a later one, which was never true */
};

/* The one function that decides, for every surface. */
bool token_is_active(const struct token_facts *token, const struct credential_facts *credential,
                     const struct settings *settings, int64_t now);

/* Would it not be, if this limit of its credential's own held, which is only observed? */
bool token_is_over(const struct token_facts *token, const struct credential_facts *credential,
                   const struct settings *settings, enum limit limit, int64_t now);

/* When it expires if it is not used again. */
int64_t token_expires(const struct token_facts *token, const struct credential_facts *credential,
                      const struct settings *settings);

/* What it carries. */
struct role_set token_roles(const struct token_facts *token, const struct credential_facts *credential);

#endif
