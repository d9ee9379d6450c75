/* SPDX-License-Identifier: Apache-2.0 */
/* What the directory keeps of credentials, as the store has it. */
#ifndef RECORDS_CREDENTIAL_FACTS_H
#define RECORDS_CREDENTIAL_FACTS_H

#include "records/credential.h"

/* What the directory keeps of it; malloc'ed. */
struct credential_facts *credential_facts_new(const struct credential *credential);

/* Of all credentials, by id; the array is the caller's to free, and what it holds. */
enum status credential_facts_load_all(struct store_tx *tx, int64_t now, struct credential_facts ***ret_facts,
                                      size_t *ret_count);

#endif
