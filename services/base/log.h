/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line an event on standard error, in logfmt or JSON: time, level, event, then the pairs.
 *
 *     log_write(LOG_INFO, "token_issued", "request_id", call->request_id, "client_id", id, NULL);
 *
 * It never waits for whoever reads standard error: a line for which there is no room is dropped and counted, and the
 * count is told as soon as there is room. A line has at most 4 KiB: a value that is longer is cut, and what follows it
 * is left out. Values are escaped, so that nobody's input makes a second line. Whoever logs never hands a secret in.
 * Security events (a wrong secret, a refused caller) carry level "warn" and event names that begin with "auth_": what
 * fail2ban and its like read.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Before the first line, and before other threads. Default: INFO, logfmt. */
void log_configure(enum log_level least, bool as_json);

/* Are lines of this level written? For those who would make values for nothing. */
bool log_is_written(enum log_level level);

/* How many lines were dropped. */
uint64_t log_dropped(void);

/* key, value, key, value, …, NULL; a NULL value leaves its pair out. */
void log_write(enum log_level level, const char *event, ...) __attribute__((sentinel));

/* Enough for a number as a value, where one is needed. */
struct log_number {
    char text[24];
};
/* A number as a value of a log line: much quicker than snprintf. */
struct log_number log_number(long long number);

#endif
