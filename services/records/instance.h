/* SPDX-License-Identifier: Apache-2.0 */
/* The table `instance`: what is one for the whole installation. */
#ifndef RECORDS_INSTANCE_H
#define RECORDS_INSTANCE_H

#include "rules/audit.h"
#include "store/store.h"

/* The key that signs page tokens. NOT_FOUND: there is none yet. */
enum status instance_load_key(struct store_tx *tx, uint8_t key[static SHA256_BYTES]);
enum status instance_insert_key(struct store_tx *tx, const uint8_t key[static SHA256_BYTES]);

/* From where the audit log continues; zeros: from its beginning. */
enum status instance_load_anchor(struct store_tx *tx, struct audit_anchor *ret_anchor);
enum status instance_save_anchor(struct store_tx *tx, const struct audit_anchor *anchor);

#endif
