/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RECORDS_PATTERN_H
#define RECORDS_PATTERN_H

enum { PATTERN_TEXT_MAX = 256 };

/* Makes a pattern for lower(…) LIKE … ESCAPE '\\' that finds what contains `text`, in any letter case of ASCII. NULL
 * and
 * "": everything. At most 256 bytes of the text count, in whole characters. */
void pattern_make(const char *text, char pattern[static 2 * PATTERN_TEXT_MAX + 3]);

#endif
