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

/* Does `text` contain `part`, in any letter case of any script? Both of valid UTF-8. */
bool utf8_contains(const char *text, const char *part);

/* Is there a character to be seen in it? */
bool utf8_is_blank(const char *text);

/* Is there a control of bidirectional text in it, which makes a reader see another text than a program does? */
bool utf8_has_bidi(const char *text);

/* UTF-8 without controls (tab and line breaks are such)? */
bool utf8_is_text(const char *text, size_t len);

/* What is wrong with it then: "is not UTF-8", "has a control character". NULL: nothing. */
const char *utf8_fault(const char *text, size_t len);

/* How many bytes of `text` may be kept where there is room for `most`: no character is cut in two. */
size_t utf8_fitting(const char *text, size_t most);

/* After a printf that may have cut its text off: takes away what is left of a character at the end. */
void utf8_trim(char *text);

/* Copies as much of `text` as fits into `to` of `size` bytes (at least 1), with its NUL, and cuts between characters.
 * Returns the length. */
size_t utf8_copy(char *to, size_t size, const char *text);

#endif
