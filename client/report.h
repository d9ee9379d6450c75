/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the server of the uses that were answered from memory (C9): a BatchIntrospect, whose answers are learnt. */
#ifndef REPORT_H
#define REPORT_H

#include "internal.h"
#include "memory.h"
#include "uses.h"

#include <stdatomic.h>

/* What a report needs; outlives all of them. */
struct reporting {
    struct gatehouse *gatehouse;
    struct memory *memory;
    struct uses *uses;
    atomic_bool is_closing; /* what fails is tried again sooner: there is not much time left */
};

/* At most USES_REPORT_MAX of them, which gatehouse_uses_take has given. What the server does not take now is given back
 * to `uses`, what it refuses is lost. */
void gatehouse_report_send(struct reporting *reporting, struct use *uses);

#endif
