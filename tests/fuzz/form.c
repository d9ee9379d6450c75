/* SPDX-License-Identifier: Apache-2.0 */
/* Forms and queries: whatever is accepted is text, ends with NUL, and lies within what was given. */
#include "rest/form.h"
#include "base/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check(const char *part, const char *text, size_t size)
{
    if (part < text || part > text + size || !utf8_is_text(part, strlen(part)) || part + strlen(part) > text + size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct form form;
    const char *why = NULL;
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    bool is_strict = size % 2 == 0;
    if (is_strict ? form_parse(&form, text, size, &why) : form_parse_any(&form, text, size, &why)) {
        for (size_t i = 0; i < form.count; i++) {
            check(form.fields[i].name, text, size);
            check(form.fields[i].value, text, size);
        }
        (void)form_find_repeated(&form, (const char *const[]){"client_id", "a", NULL});
        (void)form_get(&form, "client_id");
    } else if (why == NULL) {
        abort();
    }
    free(text);
    return 0;
}
