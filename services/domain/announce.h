/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing ends unannounced: an event of the audit log 30 days, 7 days and a day before a credential expires or a secret
 * key ends. */
#ifndef DOMAIN_ANNOUNCE_H
#define DOMAIN_ANNOUNCE_H

#include "domain/work.h"

/* Tells of what is due at `now`, at most ANNOUNCE_LIMIT of each kind; each once, whoever else does the same. `now` is a
 * time that has certainly passed: a clock that jumps ahead announces nothing before its time. What was due while nobody
 * was there is told as it is now, the rest left out. *ret_count: how many were due. */
enum { ANNOUNCE_LIMIT = 100 };
enum status announce_due(struct work *work, int64_t now, int *ret_count);

#endif
