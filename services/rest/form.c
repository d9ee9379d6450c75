/* SPDX-License-Identifier: Apache-2.0 */
#include "form.h"

#include "base/utf8.h"

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

/* Its end, or NULL: not well encoded. *ret_fault: it is no text. */
static char *parse_part(char *text, size_t len, const char **ret_fault)
{
    char *end = form_decode(text, len, true);
    *ret_fault = end == NULL ? "percent-encoding is broken" : utf8_fault(text, (size_t)(end - text));
    return end;
}

static const char *parse_pair(struct form *form, char *pair, size_t len)
{
    char *equals = memchr(pair, '=', len);
    size_t name_len = equals == NULL ? len : (size_t)(equals - pair);
    char *value = equals == NULL ? pair + len : equals + 1;
    size_t value_len = (size_t)(pair + len - value);
    const char *value_fault = NULL, *name_fault = NULL;
    if (form->count == FORM_MAX_FIELDS)
        return "too many parameters";
    /* The value first: decoding the name puts its NUL at most where the = was, or where a pair without one ended. */
    char *value_end = parse_part(value, value_len, &value_fault);
    if (value_end == NULL)
        return value_fault;
    if (parse_part(pair, name_len, &name_fault) == NULL)
        return name_fault;
    if (name_fault != NULL)
        return "a parameter's name is not UTF-8 text";
    form->fields[form->count++] =
        (struct form_field){.name = pair, .value = value_fault == NULL ? value : value_end, .fault = value_fault};
    return NULL;
}

bool form_parse_any(struct form *form, char *text, size_t len, const char **ret_why)
{
    form->count = 0;
    char *end = text + len;
    for (char *pair = text; pair <= end;) {
        char *ampersand = memchr(pair, '&', (size_t)(end - pair));
        char *pair_end = ampersand == NULL ? end : ampersand;
        const char *why = pair_end > pair ? parse_pair(form, pair, (size_t)(pair_end - pair)) : NULL;
        if (why != NULL) {
            *ret_why = why;
            return false;
        }
        pair = pair_end + 1;
    }
    return true;
}

bool form_parse(struct form *form, char *text, size_t len, const char **ret_why)
{
    if (!form_parse_any(form, text, len, ret_why))
        return false;
    for (size_t i = 0; i < form->count; i++)
        if (form->fields[i].fault != NULL) {
            *ret_why = "parameter is not UTF-8 text";
            return false;
        }
    return true;
}

const struct form_field *form_find(const struct form *form, const char *name)
{
    for (size_t i = 0; i < form->count; i++)
        if (strcmp(form->fields[i].name, name) == 0)
            return &form->fields[i];
    return NULL;
}

const char *form_get(const struct form *form, const char *name)
{
    const struct form_field *field = form_find(form, name);
    return field == NULL || field->value[0] == '\0' ? NULL : field->value;
}

const char *form_find_repeated(const struct form *form, const char *const *names)
{
    for (; *names != NULL; names++) {
        const struct form_field *first = form_find(form, *names);
        for (size_t i = first == NULL ? form->count : (size_t)(first - form->fields) + 1; i < form->count; i++)
            if (strcmp(form->fields[i].name, *names) == 0)
                return *names;
    }
    return NULL;
}
