/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <locale.h>
#include <pthread.h>
#include <string.h>
#include <wctype.h>

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
        if (*c >= ' ' && *c < 0x7f) { /* as nearly all are */
            c++;
            continue;
        }
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

/* The code point at *text, which is moved behind it. */
static wint_t next(const char **text)
{
    const unsigned char *c = (const unsigned char *)*text;
    size_t len = c[0] < 0x80 ? 1 : c[0] >= 0xf0 ? 4 : c[0] >= 0xe0 ? 3 : 2;
    wint_t point = len == 1 ? c[0] : c[0] & (0x7fu >> len);
    for (size_t i = 1; i < len && (c[i] & 0xc0) == 0x80; i++)
        point = point << 6 | (c[i] & 0x3f);
    *text += strnlen(*text, len);
    return point;
}

static locale_t unicode;

/* By pthread_once. */
static void find_unicode(void)
{
    unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL); /* glibc has it built in */
}

static wint_t fold(wint_t point)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (point < 0x80)
        return point >= 'A' && point <= 'Z' ? point - 'A' + 'a' : point;
    pthread_once(&once, find_unicode);
    /* By way of the capital: a small letter may have two forms. */
    return unicode == NULL ? point : towlower_l(towupper_l(point, unicode), unicode);
}

static bool begins_with(const char *text, const char *part)
{
    while (*part != '\0') {
        if (*text == '\0' || fold(next(&text)) != fold(next(&part)))
            return false;
    }
    return true;
}

bool utf8_contains(const char *text, const char *part)
{
    for (; !begins_with(text, part); (void)next(&text))
        if (*text == '\0')
            return false;
    return true;
}

static bool is_within(wint_t point, const wint_t (*ranges)[2], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (point >= ranges[i][0] && point <= ranges[i][1])
            return true;
    return false;
}

bool utf8_is_blank(const char *text)
{
    /* Spaces of all widths, none among them, and letters that are shown as nothing. */
    static const wint_t blanks[][2] = {{0x20, 0x20},     {0xa0, 0xa0},     {0xad, 0xad},      {0x034f, 0x034f},
                                       {0x061c, 0x061c}, {0x115f, 0x1160}, {0x1680, 0x1680},  {0x17b4, 0x17b5},
                                       {0x180b, 0x180f}, {0x2000, 0x200f}, {0x2028, 0x202f},  {0x205f, 0x206f},
                                       {0x2800, 0x2800}, {0x3000, 0x3000}, {0x3164, 0x3164},  {0xfe00, 0xfe0f},
                                       {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xe0000, 0xe0fff}};
    while (*text != '\0')
        if (!is_within(next(&text), blanks, sizeof blanks / sizeof blanks[0]))
            return false;
    return true;
}

bool utf8_has_bidi(const char *text)
{
    static const wint_t controls[][2] = {{0x061c, 0x061c}, {0x200e, 0x200f}, {0x202a, 0x202e}, {0x2066, 0x2069}};
    while (*text != '\0')
        if (is_within(next(&text), controls, sizeof controls / sizeof controls[0]))
            return true;
    return false;
}
