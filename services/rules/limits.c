/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/limits.h"

bool own_limits_are_none(const struct own_limits *own)
{
    for (int i = 0; i < LIMITS; i++)
        if (own->of[i].value != 0 || own->of[i].floor != 0)
            return false;
    return true;
}

int64_t own_limit_in_force(const struct own_limits *own, enum limit limit)
{
    return own->of[limit].is_observed ? 0 : own->of[limit].value;
}

/* Where its own holds, the floor of the setting is that of another limit. */
struct settings own_settings(const struct own_limits *own, const struct settings *settings)
{
    struct settings held = *settings;
    int64_t idle = own_limit_in_force(own, LIMIT_IDLE_TIMEOUT), life = own_limit_in_force(own, LIMIT_TOKEN_LIFE);
    int64_t tokens = own_limit_in_force(own, LIMIT_TOKENS);
    if (idle != 0) {
        held.idle_timeout = idle;
        held.idle_floor = INT64_MIN;
    }
    if (life != 0) {
        held.max_token_life = life;
        held.life_floor = INT64_MIN;
    }
    if (tokens != 0)
        held.max_tokens = tokens;
    return held;
}

static int64_t after_floor(int64_t after, const struct own_limit *limit, int64_t now)
{
    return limit->floor == 0 ? after : settings_after_floor(after, limit->floor, limit->floor_set, now);
}

struct token_limits own_token_limits(const struct own_limits *own, const struct settings *settings, int64_t now)
{
    struct settings held = own_settings(own, settings);
    struct token_limits limits = settings_limits(&held, now);
    limits.used_after = after_floor(limits.used_after, &own->of[LIMIT_IDLE_TIMEOUT], now);
    limits.issued_after = after_floor(limits.issued_after, &own->of[LIMIT_TOKEN_LIFE], now);
    return limits;
}

static void set_floor(struct own_limit *limit, int64_t after, int64_t now)
{
    limit->floor = after > 0 ? after : 0;
    limit->floor_set = limit->floor == 0 ? 0 : now;
}

void own_limits_raise(const struct own_limits *before, struct own_limits *next, const struct settings *settings,
                      int64_t now)
{
    struct token_limits limits = own_token_limits(before, settings, now);
    const int64_t after[] = {[LIMIT_IDLE_TIMEOUT] = limits.used_after, [LIMIT_TOKEN_LIFE] = limits.issued_after};
    for (enum limit i = LIMIT_IDLE_TIMEOUT; i <= LIMIT_TOKEN_LIFE; i++) {
        next->of[i].floor = before->of[i].floor;
        next->of[i].floor_set = before->of[i].floor_set;
        if (own_limit_in_force(next, i) != own_limit_in_force(before, i))
            set_floor(&next->of[i], after[i], now);
    }
}

bool own_limits_mend(struct own_limits *own, const struct settings *settings, int64_t latest, int64_t now)
{
    const struct settings held = own_settings(own, settings);
    struct settings bare = held;
    bare.idle_floor = bare.life_floor = INT64_MIN;
    struct token_limits limits = settings_limits(&bare, now);
    const int64_t after[] = {[LIMIT_IDLE_TIMEOUT] = limits.used_after, [LIMIT_TOKEN_LIFE] = limits.issued_after};
    bool is_mended = false;
    for (enum limit i = LIMIT_IDLE_TIMEOUT; i <= LIMIT_TOKEN_LIFE; i++)
        if (own->of[i].floor_set > latest) {
            set_floor(&own->of[i], after[i], now);
            is_mended = true;
        }
    return is_mended;
}
