/* SPDX-License-Identifier: Apache-2.0 */
/* What those who print usage, and times of it, share. */
#ifndef USAGE_H
#define USAGE_H

#include "output.h"

/* Calls: those that were allowed and those that were refused, together. */
column_format usage_column_uses;

/* --since or --until, into *ret_seconds where it is given. False: it is no time; reported. */
[[nodiscard]] bool usage_take_time(struct context *context, enum option_id id, int64_t *ret_seconds);

#endif
