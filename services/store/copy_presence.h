/* SPDX-License-Identifier: Apache-2.0 */
/* Is a shared store in use? Each daemon says in it that it is there, before it serves and every few seconds. One that
 * was killed has not said that it ends, and one that cannot write says nothing. */
#ifndef STORE_COPY_PRESENCE_H
#define STORE_COPY_PRESENCE_H

#include "store/copy.h"

/* *is_used becomes true where one was heard of in the last COPY_PROCESS_GONE. *ret_now: when that was, by the database.
 */
enum status presence_look(struct store *store, int64_t *ret_now, bool *is_used);

/* … or has spoken since `begun`, also where it has ended by now; or speaks yet: where some were silent for longer, and
 * have not said that they end, waits as long as COPY_BEATS_MISSED words take, writing itself, for what nobody could say
 * while nobody could write. Where it cannot write, they may be there: true. STATUS_CANCELLED: options->progress gave it
 * up. */
enum status presence_listen(struct store *store, const struct copy_options *options, int64_t begun, bool *is_used);

#endif
