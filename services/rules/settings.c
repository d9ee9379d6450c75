/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/settings.h"

#include "base/clock.h"

enum { FLUSHES_PER_IDLE_TIME = 8, STEPS_PER_IDLE_TIME = 20 };

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t settings_after_floor(int64_t after, int64_t floor, int64_t set, int64_t now)
{
    return set > now + CLOCK_TOLERANCE ? after : max(after, floor);
}

struct token_limits settings_limits(const struct settings *settings, int64_t now)
{
    int64_t issued_after = settings->max_token_life == 0 ? INT64_MIN : now - settings->max_token_life;
    return (struct token_limits){
        .used_after =
            settings_after_floor(now - settings->idle_timeout, settings->idle_floor, settings->idle_floor_set, now),
        .issued_after = settings_after_floor(issued_after, settings->life_floor, settings->life_floor_set, now),
    };
}

void settings_raise(const struct settings *before, struct settings *next, int64_t now)
{
    struct token_limits limits = settings_limits(before, now);
    if (next->idle_timeout != before->idle_timeout) {
        next->idle_floor = limits.used_after;
        next->idle_floor_set = now;
    }
    if (next->max_token_life != before->max_token_life) {
        next->life_floor = limits.issued_after;
        next->life_floor_set = now;
    }
    next->version = before->version + 1;
}

bool settings_mend(struct settings *settings, int64_t latest, int64_t now)
{
    bool is_idle = settings->idle_floor_set > latest, is_life = settings->life_floor_set > latest;
    if (is_idle) {
        settings->idle_floor = now - settings->idle_timeout;
        settings->idle_floor_set = now;
    }
    if (is_life) {
        settings->life_floor = settings->max_token_life == 0 ? INT64_MIN : now - settings->max_token_life;
        settings->life_floor_set = now;
    }
    settings->version += is_idle || is_life;
    return is_idle || is_life;
}

int64_t settings_disuse_notice(const struct settings *settings)
{
    const int64_t most = 7 * 24 * 3600 * CLOCK_SECOND, half = settings->suspend_unused_after / 2;
    return half < most ? half : most;
}

int64_t settings_flush_pause(const struct settings *settings, int64_t interval)
{
    if (interval == 0)
        return settings->idle_timeout / 4;
    int64_t most = settings->idle_timeout / FLUSHES_PER_IDLE_TIME;
    return interval < most ? interval : most;
}

int64_t settings_store_margin(const struct settings *settings, int64_t interval)
{
    return 2 * settings_flush_pause(settings, interval) + 2 * CLOCK_SECOND;
}

int64_t settings_use_step(const struct settings *settings)
{
    return settings->idle_timeout / STEPS_PER_IDLE_TIME;
}

int64_t settings_use_margin(const struct settings *settings, int64_t interval)
{
    return settings_store_margin(settings, interval) + 2 * settings_use_step(settings);
}
