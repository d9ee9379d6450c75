/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/settings.h"

#include "clock.h"

#include <string.h>

#define DAYS(count) ((count)*24 * 3600 * CLOCK_SECOND)

/* Every setting: its name in the store, its member, its default. */
#define SETTINGS(X)                                         \
    X("idle_timeout", idle_timeout, 20 * 60 * CLOCK_SECOND) \
    X("max_token_life", max_token_life, 0)                  \
    X("max_tokens", max_tokens, 0)                          \
    X("deletion_retention", deletion_retention, DAYS(30))   \
    X("usage_retention", usage_retention, DAYS(400))        \
    X("idle_floor", idle_floor, INT64_MIN)                  \
    X("life_floor", life_floor, INT64_MIN)                  \
    X("idle_floor_set", idle_floor_set, 0)                  \
    X("life_floor_set", life_floor_set, 0)                  \
    X("version", version, 1)

static enum status read_setting(const struct store_row *row, void *arg)
{
    struct settings *settings = arg;
    const char *name = store_row_text(row, 0);
#define READ(key, member, default_value) \
    if (strcmp(name, key) == 0)          \
        settings->member = store_row_int(row, 1);
    SETTINGS(READ)
#undef READ
    return STATUS_OK;
}

enum status settings_load(struct store_tx *tx, struct settings *ret_settings)
{
#define DEFAULT(key, member, default_value) .member = (default_value),
    *ret_settings = (struct settings){SETTINGS(DEFAULT)};
#undef DEFAULT
    return store_run(tx, "SELECT name, value FROM setting", read_setting, ret_settings);
}

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static enum status store(struct store_tx *tx, const struct settings *settings)
{
#define SAVE(key, member, default_value)                                      \
    TRY(store_run(tx,                                                         \
                  "INSERT INTO setting (name, value) VALUES ($1, $2)"         \
                  " ON CONFLICT (name) DO UPDATE SET value = excluded.value", \
                  NULL, NULL, store_text(key), store_int(settings->member)));
    SETTINGS(SAVE)
#undef SAVE
    return STATUS_OK;
}

enum status settings_save(struct store_tx *tx, const struct settings *before, struct settings *next, int64_t now)
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
    return store(tx, next);
}

enum status settings_mend(struct store_tx *tx, struct settings *settings, int64_t latest, int64_t now, bool *ret_mended)
{
    bool is_idle = settings->idle_floor_set > latest, is_life = settings->life_floor_set > latest;
    *ret_mended = is_idle || is_life;
    if (!*ret_mended)
        return STATUS_OK;
    if (is_idle) {
        settings->idle_floor = now - settings->idle_timeout;
        settings->idle_floor_set = now;
    }
    if (is_life) {
        settings->life_floor = settings->max_token_life == 0 ? INT64_MIN : now - settings->max_token_life;
        settings->life_floor_set = now;
    }
    settings->version++;
    return store(tx, settings);
}

static int64_t after_floor(int64_t after, int64_t floor, int64_t set, int64_t now)
{
    return set > now + CLOCK_TOLERANCE ? after : max(after, floor);
}

struct token_limits settings_limits(const struct settings *settings, int64_t now)
{
    int64_t issued_after = settings->max_token_life == 0 ? INT64_MIN : now - settings->max_token_life;
    return (struct token_limits){
        .used_after = after_floor(now - settings->idle_timeout, settings->idle_floor, settings->idle_floor_set, now),
        .issued_after = after_floor(issued_after, settings->life_floor, settings->life_floor_set, now),
    };
}
