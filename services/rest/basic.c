/* SPDX-License-Identifier: Apache-2.0 */
#include "basic.h"

#include "base64.h"
#include "form.h"
#include "utf8.h"

#include <string.h>
#include <strings.h>

bool basic_scheme_is(const char *authorization, const char *scheme, const char **ret_rest)
{
    size_t len = strlen(scheme);
    if (authorization == NULL || strncasecmp(authorization, scheme, len) != 0 || authorization[len] != ' ')
        return false;
    *ret_rest = authorization + len + strspn(authorization + len, " ");
    return true;
}

static bool decode_part(char *text, size_t len)
{
    char *end = form_decode(text, len, true);
    return end != NULL && utf8_is_text(text, (size_t)(end - text));
}

bool basic_parse(struct basic *basic, const char *base64)
{
    size_t len;
    if (!base64_decode(base64, strlen(base64), (unsigned char *)basic->text, BASIC_MAX_BYTES, &len))
        return false;
    basic->text[len] = '\0';
    char *colon = memchr(basic->text, ':', len);
    if (colon == NULL)
        return false;
    char *secret = colon + 1;
    if (!decode_part(secret, (size_t)(basic->text + len - secret)) ||
        !decode_part(basic->text, (size_t)(colon - basic->text)))
        return false;
    basic->client_id = basic->text;
    basic->client_secret = secret;
    return true;
}
