/* SPDX-License-Identifier: Apache-2.0 */
#include "records/pattern.h"

#include "base/utf8.h"

#include <stddef.h>

void pattern_make(const char *text, char pattern[static 2 * PATTERN_TEXT_MAX + 3])
{
    char *to = pattern;
    size_t len = text == NULL ? 0 : utf8_fitting(text, PATTERN_TEXT_MAX);
    *to++ = '%';
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%' || c == '_' || c == '\\')
            *to++ = '\\';
        *to++ = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    *to++ = '%';
    *to = '\0';
}
