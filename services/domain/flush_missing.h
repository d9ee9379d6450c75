/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that are in use here and gone from the store: found where a use of theirs changed no row. */
#ifndef DOMAIN_FLUSH_MISSING_H
#define DOMAIN_FLUSH_MISSING_H

#include "memory/memory.h"
#include "memory/token_table.h"
#include "store/store.h"

/* Begins with a count of 0. */
struct flush_missing {
    struct memory *memory;
    struct store *store;
    _Atomic uint64_t count; /* since the start */
};

/* Asks the store for those of `uses`, in the order of their keys, of which `changed` says that no row was: another
 * replica may have stored a later use, or the token is gone. What is gone is forgotten, and told. Calls done in the
 * end, at once where there are none, or on a thread of the store's; the store's failure finds nothing. */
typedef void flush_missing_done_fn(void *arg);
void flush_missing_look(struct flush_missing *missing, const struct token_use *uses, const int64_t *changed,
                        size_t count, flush_missing_done_fn *done, void *arg);

/* Counts some that were found gone, and says it in the log. */
void flush_missing_note(struct flush_missing *missing, int64_t count);

#endif
