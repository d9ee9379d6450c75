/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

void *text_must(void *pointer)
{
    if (pointer == NULL) {
        fputs("gatehouse: out of memory\n", stderr);
        exit(1);
    }
    return pointer;
}

char *text_copy(const char *text)
{
    return text_must(strdup(text));
}

char *text_format(const char *format, ...)
{
    va_list arguments;
    char *text;
    va_start(arguments, format);
    int len = vasprintf(&text, format, arguments);
    va_end(arguments);
    return text_must(len < 0 ? NULL : text);
}

void text_free(char **text)
{
    free(*text);
    *text = NULL;
}

void text_wipe(char **text)
{
    if (*text != NULL)
        explicit_bzero(*text, strlen(*text));
    text_free(text);
}

/* Takes one character of UTF-8, in its shortest form, and no surrogate. Gives its length; 0: it is none. */
static size_t decode(const unsigned char *text, uint32_t *ret_character)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t len = 1; len <= sizeof forms / sizeof forms[0]; len++) {
        if ((text[0] & forms[len - 1].mask) != forms[len - 1].lead)
            continue;
        uint32_t character = (unsigned char)(text[0] & ~forms[len - 1].mask);
        for (size_t i = 1; i < len; i++) {
            if ((text[i] & 0xc0) != 0x80)
                return 0; /* also at the terminating NUL */
            character = character << 6 | (text[i] & 0x3f);
        }
        if (character < forms[len - 1].least || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
            return 0;
        *ret_character = character;
        return len;
    }
    return 0;
}

/* Control characters act on a terminal; the rest here makes a name look like another one. */
static bool is_harmful(uint32_t character)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0x61c, 0x61c},   {0x200b, 0x200b}, {0x200e, 0x200f},
        {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    }
    return false;
}

static void put_escaped(FILE *out, uint32_t character)
{
    if (character <= 0xffff) {
        fprintf(out, "\\u%04x", (unsigned)character);
        return;
    }
    uint32_t rest = character - 0x10000; /* two surrogates, as JSON writes it */
    fprintf(out, "\\u%04x\\u%04x", (unsigned)(0xd800 + (rest >> 10)), (unsigned)(0xdc00 + (rest & 0x3ff)));
}

char *text_printable(const char *text)
{
    char *copy = NULL;
    size_t size;
    FILE *out = text_must(open_memstream(&copy, &size));
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        uint32_t character = 0;
        size_t len = decode(at, &character);
        if (len == 0)
            fputc('?', out);
        else if (is_harmful(character))
            put_escaped(out, character);
        else
            fwrite(at, 1, len, out);
        at += len == 0 ? 1 : len;
    }
    fclose(out);
    return text_must(copy);
}

size_t text_width(const char *text, size_t most, size_t *ret_fitting)
{
    mbstate_t state = {0};
    size_t width = 0, left = strlen(text);
    *ret_fitting = 0;
    for (const char *at = text; left > 0;) {
        wchar_t character;
        size_t len = mbrtowc(&character, at, left, &state);
        if (len == 0 || len > left) { /* no character in this locale: a column a byte */
            len = 1;
            character = L'?';
            state = (mbstate_t){0};
        }
        int own = wcwidth(character);
        width += own < 0 ? 1 : (size_t)own;
        at += len;
        left -= len;
        if (width <= most)
            *ret_fitting = (size_t)(at - text);
    }
    return width;
}
