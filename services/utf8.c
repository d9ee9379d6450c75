/* SPDX-License-Identifier: Apache-2.0 */
#include "utf8.h"

#include <string.h>

size_t utf8_character(const char *text, size_t len)
{
    const unsigned char *c = (const unsigned char *)text;
    if (c[0] < 0x80)
        return 1;
    size_t need = c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
    if (c[0] < 0xc2 || c[0] > 0xf4 || len < need)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) || (c[0] == 0xf0 && c[1] < 0x90) ||
        (c[0] == 0xf4 && c[1] > 0x8f))
        return 0;
    return need;
}

size_t utf8_count(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

const char *utf8_fault(const char *text, size_t len)
{
    const unsigned char *c = (const unsigned char *)text, *end = c + len;
    const char *fault = NULL;
    while (c < end) {
        size_t step = utf8_character((const char *)c, (size_t)(end - c));
        if (step == 0)
            return "is not UTF-8";
        if (*c < ' ' || *c == 0x7f || (step == 2 && c[0] == 0xc2 && c[1] < 0xa0))
            fault = "has a control character";
        c += step;
    }
    return fault;
}

bool utf8_is_text(const char *text, size_t len)
{
    return utf8_fault(text, len) == NULL;
}

size_t utf8_fitting(const char *text, size_t most)
{
    size_t len = strnlen(text, most + 1);
    if (len <= most)
        return len;
    len = most;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80 && most - len < 3)
        len--;
    /* What is no UTF-8 has no characters to be kept whole. */
    return ((unsigned char)text[len] & 0xc0) == 0x80 ? most : len;
}

void utf8_trim(char *text)
{
    size_t len = strlen(text), last = len;
    while (last > 0 && len - last < 3 && ((unsigned char)text[last - 1] & 0xc0) == 0x80)
        last--;
    if (last > 0 && utf8_character(text + last - 1, len - last + 1) != len - last + 1)
        text[last - 1] = '\0';
}

size_t utf8_copy(char *to, size_t size, const char *text)
{
    size_t len = utf8_fitting(text, size - 1);
    memcpy(to, text, len);
    to[len] = '\0';
    return len;
}
