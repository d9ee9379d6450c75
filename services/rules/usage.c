/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/usage.h"

#include "base/utf8.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Is a path segment the name of one thing among many: a number, a UUID, or eight or more hexadecimal digits with a
 * digit among them? */
static bool is_identifier(const char *segment, size_t len)
{
    size_t digits = 0, dashes = 0;
    for (size_t i = 0; i < len; i++) {
        if (segment[i] == '-')
            dashes++;
        else if (isdigit((unsigned char)segment[i]))
            digits++;
        else if (!isxdigit((unsigned char)segment[i]))
            return false; /* most words end here, after a letter or two */
    }
    return digits > 0 && (digits == len || len - dashes >= 8);
}

static void append(char normal[static API_MAX + 1], size_t *len, const char *text, size_t text_len)
{
    if (text_len > API_MAX - *len)
        text_len = API_MAX - *len;
    memcpy(normal + *len, text, text_len);
    *len += text_len;
}

/* How many bytes of a token or secret key of ours begin at `text`, whole or cut off; 0: none does. Its checksum is not
 * asked for: with a letter lost it is as much of a secret. */
static size_t secret_len(const char *text, size_t len)
{
    enum { PREFIX = 8, ENOUGH = 16 };
    if (len < PREFIX + ENOUGH || (strncmp(text, "gate_at_", PREFIX) != 0 && strncmp(text, "gate_sk_", PREFIX) != 0))
        return 0;
    size_t end = PREFIX;
    while (end < len && isalnum((unsigned char)text[end]))
        end++;
    return end >= PREFIX + ENOUGH ? end : 0;
}

/* A segment without secrets: somebody puts a token into a path now and then. */
static void append_censored(char normal[static API_MAX + 1], size_t *len, const char *text, size_t text_len)
{
    const char *found;
    while ((found = memmem(text, text_len, "gate_", 5)) != NULL) {
        size_t before = (size_t)(found - text), secret = secret_len(found, text_len - before);
        append(normal, len, text, secret == 0 ? before + 1 : before);
        if (secret > 0)
            append(normal, len, "{token}", 7);
        text += before + (secret == 0 ? 1 : secret);
        text_len -= before + (secret == 0 ? 1 : secret);
    }
    append(normal, len, text, text_len);
}

/* Without the part of a character that the last bytes may be: {id} is longer than what it stands for. */
static size_t whole_characters(const char *text, size_t len)
{
    size_t last = len;
    while (last > 0 && ((unsigned char)text[last - 1] & 0xc0) == 0x80)
        last--;
    return last > 0 && utf8_character(text + last - 1, len - last + 1) == len - last + 1 ? len : last - (last > 0);
}

void usage_normalise(const char *api, char normal[static API_MAX + 1])
{
    size_t out = 0;
    bool may_have_secret = strstr(api, "gate_") != NULL; /* of all segments at once: hardly any has */
    for (;;) {
        size_t segment = strcspn(api, "/?#");
        if (out > 0 && normal[out - 1] == '/' && is_identifier(api, segment))
            append(normal, &out, "{id}", 4);
        else if (may_have_secret)
            append_censored(normal, &out, api, segment);
        else
            append(normal, &out, api, segment);
        api += segment;
        if (*api != '/')
            break;
        append(normal, &out, api++, 1);
    }
    if (out == API_MAX)
        out = whole_characters(normal, out);
    while (out > 0 && normal[out - 1] == ' ')
        out--;
    normal[out] = '\0';
    if (out == 0)
        memcpy(normal, "unnamed", sizeof "unnamed");
}
