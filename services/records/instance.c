/* SPDX-License-Identifier: Apache-2.0 */
#include "records/instance.h"

#include <endian.h>
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

/* Its members one after the other, numbers with the most significant byte first. */
struct anchor_bytes {
    uint64_t sequence;
    uint8_t hash[SHA256_BYTES];
    uint64_t event;
};
static_assert(sizeof(struct anchor_bytes) == 2 * sizeof(uint64_t) + SHA256_BYTES);

static enum status read_anchor(const struct store_row *row, void *arg)
{
    struct audit_anchor *anchor = arg;
    struct anchor_bytes bytes;
    size_t len = 0;
    const void *value = store_row_blob(row, 0, &len);
    if (len != sizeof bytes)
        return STATUS_OK; /* somebody's: the chain will not fit */
    memcpy(&bytes, value, sizeof bytes);
    anchor->place.sequence = (int64_t)be64toh(bytes.sequence);
    memcpy(anchor->place.hash, bytes.hash, SHA256_BYTES);
    anchor->event = (int64_t)be64toh(bytes.event);
    return STATUS_OK;
}

enum status instance_load_anchor(struct store_tx *tx, struct audit_anchor *ret_anchor)
{
    *ret_anchor = (struct audit_anchor){.event = 0};
    return store_run(tx, "SELECT value FROM instance WHERE name = $1", read_anchor, ret_anchor,
                     store_text("audit_anchor"));
}

enum status instance_save_anchor(struct store_tx *tx, const struct audit_anchor *anchor)
{
    struct anchor_bytes bytes = {.sequence = htobe64((uint64_t)anchor->place.sequence),
                                 .event = htobe64((uint64_t)anchor->event)};
    memcpy(bytes.hash, anchor->place.hash, SHA256_BYTES);
    return store_run(tx,
                     "INSERT INTO instance (name, value) VALUES ($1, $2)"
                     " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                     NULL, NULL, store_text("audit_anchor"), store_blob(&bytes, sizeof bytes));
}
