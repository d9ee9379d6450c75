/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* How many bytes the UTF-8 character at `text` has (RFC 3629); 0: it is none (too long a form, a surrogate, beyond
 * U+10FFFF, cut off by `len`). len > 0. */
size_t utf8_character(const char *text, size_t len);

/* How many characters a text of valid UTF-8 has. */
size_t utf8_count(const char *text);

/* UTF-8 without controls (tab and line breaks are such)? */
bool utf8_is_text(const char *text, size_t len);

#endif
