/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Everywhere": a change is acknowledged only when no server and no cache obeys what was before it any more. The
 * numbers at the lines are those of the rules (client/README.md).
 */
#ifndef API_EVERYWHERE_H
#define API_EVERYWHERE_H

#include "base/status.h"
#include "rules/change.h"

struct api;
struct call;

/* STATUS_OK after `took` microseconds; STATUS_ABORTED: the database has lost the change; STATUS_UNAVAILABLE: it cannot
 * be told. */
typedef void everywhere_done_fn(enum status status, int64_t took, void *arg);

/* A change of this process's own, committed and obeyed; or, of one that had nothing to change, what was known then.
 * Calls done later, from a thread that must not be held up. */
void everywhere_wait(struct api *api, struct position position, everywhere_done_fn *done, void *arg);

/* Of the status that it gave: OK, or the call has failed by it. */
enum status everywhere_check(struct call *call, enum status status);

#endif
