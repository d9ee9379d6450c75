/* SPDX-License-Identifier: Apache-2.0 */
#include "form.h"

#include "utf8.h"

#include <string.h>

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

char *form_decode(char *text, size_t len, bool with_plus)
{
    char *out = text;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%') {
            if (len - i < 3)
                return NULL;
            int high = hex_value((unsigned char)text[i + 1]), low = hex_value((unsigned char)text[i + 2]);
            if (high < 0 || low < 0)
                return NULL;
            *out++ = (char)(high * 16 + low);
            i += 2;
        } else {
            *out++ = with_plus && text[i] == '+' ? ' ' : text[i];
        }
    }
    *out = '\0';
    return out;
}

static bool parse_part(char *text, size_t len, const char **ret_why)
{
    char *end = form_decode(text, len, true);
    if (end == NULL) {
        *ret_why = "percent-encoding is broken";
        return false;
    }
    if (!utf8_is_text(text, (size_t)(end - text))) {
        *ret_why = "parameter is not UTF-8 text";
        return false;
    }
    return true;
}

static bool parse_pair(struct form *form, char *pair, size_t len, const char **ret_why)
{
    char *equals = memchr(pair, '=', len);
    size_t name_len = equals == NULL ? len : (size_t)(equals - pair);
    char *value = equals == NULL ? pair + len : equals + 1;
    size_t value_len = (size_t)(pair + len - value);
    if (form->count == FORM_MAX_FIELDS) {
        *ret_why = "too many parameters";
        return false;
    }
    /* The value first: decoding the name puts its NUL at most where the = was, or where a pair without one ended. */
    if (!parse_part(value, value_len, ret_why) || !parse_part(pair, name_len, ret_why))
        return false;
    form->fields[form->count++] = (struct form_field){.name = pair, .value = value};
    return true;
}

bool form_parse(struct form *form, char *text, size_t len, const char **ret_why)
{
    form->count = 0;
    char *end = text + len;
    for (char *pair = text; pair <= end;) {
        char *ampersand = memchr(pair, '&', (size_t)(end - pair));
        char *pair_end = ampersand == NULL ? end : ampersand;
        if (pair_end > pair && !parse_pair(form, pair, (size_t)(pair_end - pair), ret_why))
            return false;
        pair = pair_end + 1;
    }
    return true;
}

const char *form_get(const struct form *form, const char *name)
{
    for (size_t i = 0; i < form->count; i++)
        if (strcmp(form->fields[i].name, name) == 0)
            return form->fields[i].value[0] == '\0' ? NULL : form->fields[i].value;
    return NULL;
}

const char *form_find_repeated(const struct form *form)
{
    for (size_t i = 0; i < form->count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(form->fields[i].name, form->fields[j].name) == 0)
                return form->fields[i].name;
    return NULL;
}
