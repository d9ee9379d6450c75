/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of a credential in one piece that is no larger than it must be: there may be a million. Without what its
 * entry in the directory has anyway: its id, its client ID and when it was used last. */
#ifndef MEMORY_PACKED_FACTS_H
#define MEMORY_PACKED_FACTS_H

#include "rules/credential.h"

struct packed_facts;

/* `facts` stay the caller's. */
struct packed_facts *packed_facts_new(const struct credential_facts *facts);
/* Of one that is purged: no token of it is active from now on, and none of its epochs is still to come. It lives for
 * good, also where it is given to packed_facts_free. */
const struct packed_facts *packed_facts_purged(void);
/* A function for epoch_discard. NULL is fine. */
void packed_facts_free(void *packed);

/* Without unpacking them. */
int64_t packed_facts_version(const struct packed_facts *packed);
bool packed_facts_are_deleted(const struct packed_facts *packed);

/* Sets what `packed` has of them; the texts and networks stay its own. */
void packed_facts_read(const struct packed_facts *packed, struct credential_facts *facts);

#endif
