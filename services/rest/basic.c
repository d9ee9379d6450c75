/* SPDX-License-Identifier: Apache-2.0 */
#include "basic.h"

#include "base/utf8.h"
#include "base64.h"
#include "form.h"

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

static const char *decode_part(char *text, size_t len)
{
    char *end = form_decode(text, len, true);
    return end == NULL ? "is not percent-encoded" : utf8_fault(text, (size_t)(end - text));
}

/* "client_secret" and "has a control character" to a constant. */
static const char *name_fault(bool is_secret, const char *fault)
{
    static const char *const faults[][3] = {
        {"has a control character", "client_id has a control character", "client_secret has a control character"},
        {"is not UTF-8", "client_id is not UTF-8", "client_secret is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (strcmp(fault, faults[i][0]) == 0)
            return faults[i][is_secret ? 2 : 1];
    return is_secret ? "client_secret is not percent-encoded" : "client_id is not percent-encoded";
}

bool basic_parse(struct basic *basic, const char *base64, const char **ret_why)
{
    size_t len;
    *ret_why = "the Basic credentials cannot be read";
    if (!base64_decode(base64, strlen(base64), (unsigned char *)basic->text, BASIC_MAX_BYTES, &len))
        return false;
    basic->text[len] = '\0';
    char *colon = memchr(basic->text, ':', len);
    if (colon == NULL)
        return false;
    char *secret = colon + 1;
    const char *fault = decode_part(secret, (size_t)(basic->text + len - secret));
    bool is_secret = fault != NULL;
    if (fault == NULL)
        fault = decode_part(basic->text, (size_t)(colon - basic->text));
    if (fault != NULL) {
        *ret_why = name_fault(is_secret, fault);
        return false;
    }
    basic->client_id = basic->text;
    basic->client_secret = secret;
    return true;
}
