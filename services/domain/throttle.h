/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many failed authentications there were lately, by client ID and by address. Only failures are counted and only
 * failures are refused: a valid secret is never locked out, whatever others try with its client ID.
 */
#ifndef DOMAIN_THROTTLE_H
#define DOMAIN_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct throttle;

struct throttle *throttle_new(void);
void throttle_free(struct throttle *throttle);

/* Notes a failure for `key`. False: there were more than 30 in a minute's time; *ret_retry_ms says when to try again.
 * `now` is clock_steady: what a jump of the wall clock left would last. */
bool throttle_allow_failure(struct throttle *throttle, const char *key, int64_t now, int64_t *ret_retry_ms);

#endif
