/* SPDX-License-Identifier: Apache-2.0 */
#include "records/setting.h"

#include "base/clock.h"

#include <string.h>

#define DAYS(count) ((count) * 24 * 3600 * CLOCK_SECOND)

/* Every setting: its name in the store, its member, its default. */
#define SETTINGS(X) \
    X("idle_timeout", idle_timeout, 20 * 60 * CLOCK_SECOND) \
    X("max_token_life", max_token_life, 0) \
    X("max_tokens", max_tokens, 0) \
    X("deletion_retention", deletion_retention, DAYS(30)) \
    X("usage_retention", usage_retention, DAYS(400)) \
    X("audit_retention", audit_retention, 0) \
    X("idle_floor", idle_floor, INT64_MIN) \
    X("life_floor", life_floor, INT64_MIN) \
    X("idle_floor_set", idle_floor_set, 0) \
    X("life_floor_set", life_floor_set, 0) \
    X("version", version, 1)

static enum status read_setting(const struct store_row *row, void *arg)
{
    struct settings *settings = arg;
    const char *name = store_row_text(row, 0);
#define READ(key, member, default_value) \
    if (strcmp(name, key) == 0) \
        settings->member = store_row_int(row, 1);
    SETTINGS(READ)
#undef READ
    return STATUS_OK;
}

enum status setting_load(struct store_tx *tx, struct settings *ret_settings)
{
#define DEFAULT(key, member, default_value) .member = (default_value),
    *ret_settings = (struct settings){SETTINGS(DEFAULT)};
#undef DEFAULT
    return store_run(tx, "SELECT name, value FROM setting", read_setting, ret_settings);
}

enum status setting_save(struct store_tx *tx, const struct settings *settings)
{
#define SAVE(key, member, default_value) \
    TRY(store_run(tx, \
                  "INSERT INTO setting (name, value) VALUES ($1, $2)" \
                  " ON CONFLICT (name) DO UPDATE SET value = excluded.value", \
                  NULL, NULL, store_text(key), store_int(settings->member)));
    SETTINGS(SAVE)
#undef SAVE
    return STATUS_OK;
}
