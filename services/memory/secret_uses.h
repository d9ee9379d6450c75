/* SPDX-License-Identifier: Apache-2.0 */
/* When each secret key was used last, where the store does not know it yet. */
#ifndef MEMORY_SECRET_USES_H
#define MEMORY_SECRET_USES_H

#include <stddef.h>
#include <stdint.h>

/* Its functions take its lock. */
struct secret_uses;

struct secret_use {
    int64_t secret_id;
    int64_t used;
};

/* Empty. */
struct secret_uses *secret_uses_new(void);
void secret_uses_free(struct secret_uses *uses); /* NULL is fine */

/* A secret key was used; so it is, too, when a use that was gathered could not be stored. */
void secret_uses_note(struct secret_uses *uses, int64_t secret_id, int64_t used);

/* Takes out all that was noted, in the order in which they came; *ret_uses is the caller's to free. */
size_t secret_uses_gather(struct secret_uses *uses, struct secret_use **ret_uses);

#endif
