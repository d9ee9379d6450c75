/* SPDX-License-Identifier: Apache-2.0 */
/* The table `instance`: what is made once for an installation, and is the same on every replica. */
#ifndef RECORDS_INSTANCE_H
#define RECORDS_INSTANCE_H

#include "base/crypto.h"
#include "store/store.h"

/* The key that signs page tokens. NOT_FOUND: there is none yet. */
enum status instance_load_key(struct store_tx *tx, uint8_t key[static SHA256_BYTES]);
enum status instance_insert_key(struct store_tx *tx, const uint8_t key[static SHA256_BYTES]);

#endif
