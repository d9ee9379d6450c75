/* SPDX-License-Identifier: Apache-2.0 */
/* The token's text and the accessor: whatever comes in, a key comes out only of what was made here. */
#include "rules/secret_text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    struct token_key key;
    if (token_text_parse(text, &key) && strlen(text) != TOKEN_TEXT_LEN)
        abort();
    if (token_key_parse(text, &key)) {
        char again[TOKEN_ACCESSOR_LEN + 1];
        token_key_format(&key, again);
        if (strcmp(again, text) != 0)
            abort();
    }
    free(text);
    return 0;
}
