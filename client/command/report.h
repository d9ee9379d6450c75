/* SPDX-License-Identifier: Apache-2.0 */
/* What is said when a call failed, and what it means for the exit status. */
#ifndef REPORT_H
#define REPORT_H

#include "command.h"
#include "gatehouse.h"

/* Says on standard error what the server said, why, and what to do next. Keeps and gives the exit code. */
enum exit_code report_call(struct context *context, const struct gatehouse_call *call);

/* What to do about it; NULL: nobody knows. */
const char *report_hint(const struct gatehouse_call *call);

/* "gatehouse credential create: …" for a mistake of the command line or what it names. */
[[gnu::format(printf, 2, 3)]] enum exit_code report_usage(struct context *context, const char *format, ...);

#endif
