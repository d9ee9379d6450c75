/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator sets for the tokens of one credential, in place of what is set for all. Times in
 * microseconds. */
#ifndef RULES_LIMITS_H
#define RULES_LIMITS_H

#include "rules/settings.h"

/* The contract's enum Limit, less one. */
enum limit { LIMIT_IDLE_TIMEOUT, LIMIT_TOKEN_LIFE, LIMIT_TOKENS, LIMIT_TOKENS_PER_HOUR, LIMITS };

struct own_limit {
    int64_t value;    /* 0: there is none, the setting holds */
    bool is_observed; /* it ends and refuses nothing, the setting holds */
    /* Of the first two, as those of settings.h: what had ended when the limit was changed, or taken away, stays so.
     * 0: none. */
    int64_t floor, floor_set;
};

struct own_limits {
    struct own_limit of[LIMITS];
};

/* Is there none, and no floor of an earlier one? */
bool own_limits_are_none(const struct own_limits *own);

/* 0: none that holds. */
int64_t own_limit_in_force(const struct own_limits *own, enum limit limit);

/* The settings as they hold for the credential: its limits in their place. */
struct settings own_settings(const struct own_limits *own, const struct settings *settings);

/* As settings_limits: what both make of a token's times at `now`. */
struct token_limits own_token_limits(const struct own_limits *own, const struct settings *settings, int64_t now);

/* The floors of `next`, which follows `before` under these settings. */
void own_limits_raise(const struct own_limits *before, struct own_limits *next, const struct settings *settings,
                      int64_t now);

/* As settings_mend does: floors that were set later than `latest` become what holds now anyway. True: there were
 * some. */
bool own_limits_mend(struct own_limits *own, const struct settings *settings, int64_t latest, int64_t now);

#endif
