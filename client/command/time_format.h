/* SPDX-License-Identifier: Apache-2.0 */
/* Instants and durations, as a person writes and reads them. Seconds since 1970; now is handed in. */
#ifndef TIME_FORMAT_H
#define TIME_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

enum { TIME_TEXT_MAX = 40 };

enum direction {
    TIME_AHEAD, /* a duration counts from now on; a date is the end of that day */
    TIME_BACK   /* a duration counts back from now; a date is the start of that day */
};

/* "90d", "1h30m", "20m", "45s", "2w": each unit once, the larger first; at most 100 years; "0" is none. */
bool duration_parse(const char *text, int64_t *ret_seconds);

/* As duration_parse reads it, without weeks: "20m", "1h30m", "30d", "0s". */
void duration_format(int64_t seconds, char text[static TIME_TEXT_MAX]);

/* RFC 3339 ("2027-01-31T12:00:00Z", a blank for the T, an offset; a fraction is dropped), a date in local time, or a
 * duration. */
bool instant_parse(const char *text, int64_t now, enum direction direction, int64_t *ret_seconds);

/* RFC 3339 in UTC with 0, 3, 6 or 9 digits of a fraction. Out of the years 1 to 9999: "". */
void instant_format(int64_t seconds, int32_t nanos, char text[static TIME_TEXT_MAX]);

/* "just now", "3 min ago", "in 29 days"; beyond 90 days the date. */
void instant_format_relative(int64_t seconds, int64_t now, char text[static TIME_TEXT_MAX]);

#endif
