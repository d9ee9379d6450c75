/* SPDX-License-Identifier: Apache-2.0 */
#include "records/instance.h"

#include <string.h>

struct loading {
    uint8_t *key;
    bool is_found;
};

static enum status read_key(const struct store_row *row, void *arg)
{
    struct loading *loading = arg;
    size_t len = 0;
    const void *key = store_row_blob(row, 0, &len);
    if (len != SHA256_BYTES)
        return STATUS_INTERNAL;
    memcpy(loading->key, key, SHA256_BYTES);
    loading->is_found = true;
    return STATUS_OK;
}

enum status instance_load_key(struct store_tx *tx, uint8_t key[static SHA256_BYTES])
{
    struct loading loading = {key, false};
    TRY(store_run(tx, "SELECT value FROM instance WHERE name = 'page_key'", read_key, &loading));
    return loading.is_found ? STATUS_OK : STATUS_NOT_FOUND;
}

enum status instance_insert_key(struct store_tx *tx, const uint8_t key[static SHA256_BYTES])
{
    return store_run(tx, "INSERT INTO instance (name, value) VALUES ('page_key', $1)", NULL, NULL,
                     store_blob(key, SHA256_BYTES));
}
