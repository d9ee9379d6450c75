/* SPDX-License-Identifier: Apache-2.0 */
/* The Authorization header, and base64 there and back. */
#include "rest/basic.h"
#include "base/utf8.h"
#include "rest/base64.h"
#include "rest/form.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check_base64(const uint8_t *data, size_t size)
{
    char *text = malloc(BASE64_LEN(size) + 1);
    unsigned char *back = malloc(size + 1);
    size_t len = 0;
    if (text != NULL && back != NULL) {
        base64_encode(data, size, text);
        if (!base64_decode(text, strlen(text), back, size, &len) || len != size || memcmp(back, data, size) != 0)
            abort();
    }
    free(text);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct basic basic;
    const char *rest = NULL, *why = NULL;
    char *header = malloc(size + 1);
    if (header == NULL)
        return 0;
    memcpy(header, data, size);
    header[size] = '\0';
    if (basic_scheme_is(header, "Basic", &rest) && basic_parse(&basic, rest, &why) &&
        (!utf8_is_text(basic.client_id, strlen(basic.client_id)) ||
         !utf8_is_text(basic.client_secret, strlen(basic.client_secret))))
        abort();
    check_base64(data, size);
    free(header);
    return 0;
}
