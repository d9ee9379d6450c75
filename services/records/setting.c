/* SPDX-License-Identifier: Apache-2.0 */
#include "records/setting.h"

#include <string.h>

static enum status read_setting(const struct store_row *row, void *arg)
{
    struct settings *settings = arg;
    const char *name = store_row_text(row, 0);
#define READ(member, key, field, otherwise) \
    if (strcmp(name, key) == 0) \
        settings->member = store_row_int(row, 1);
    SETTINGS(READ)
#undef READ
    return STATUS_OK;
}

enum status setting_row_load(struct store_tx *tx, struct settings *ret_settings)
{
#define DEFAULT(member, key, field, otherwise) .member = (otherwise),
    *ret_settings = (struct settings){SETTINGS(DEFAULT)};
#undef DEFAULT
    return store_run(tx, "SELECT name, value FROM setting", read_setting, ret_settings);
}

enum status setting_row_save(struct store_tx *tx, const struct settings *settings)
{
#define SAVE(member, key, field, otherwise) \
    TRY(store_run(tx, \
                  "INSERT INTO setting (name, value) VALUES ($1, $2)" \
                  " ON CONFLICT (name) DO UPDATE SET value = excluded.value", \
                  NULL, NULL, store_text(key), store_int(settings->member)));
    SETTINGS(SAVE)
#undef SAVE
    return STATUS_OK;
}
