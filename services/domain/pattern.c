/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/pattern.h"

#include <stddef.h>

void pattern_make(const char *text, char pattern[static 2 * PATTERN_TEXT_MAX + 3])
{
    char *to = pattern;
    *to++ = '%';
    for (size_t i = 0; text != NULL && i < PATTERN_TEXT_MAX && text[i] != '\0'; i++) {
        char c = text[i];
        if (c == '%' || c == '_' || c == '\\')
            *to++ = '\\';
        *to++ = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    *to++ = '%';
    *to = '\0';
}
