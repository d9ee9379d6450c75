/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CredentialAdmin with a memory beside it: whoever changes something by this connection finds it obeyed by the cache
 * when the change is answered, though the stream may tell of it later.
 */
#ifndef CHANGES_H
#define CHANGES_H

#include "internal.h"
#include "memory.h"

struct changes {
    struct service service; /* first */
    struct gatehouse *gatehouse;
    struct memory *memory;
};

/* Both are borrowed. */
void gatehouse_changes_init(struct changes *changes, struct gatehouse *gatehouse, struct memory *memory);

#endif
