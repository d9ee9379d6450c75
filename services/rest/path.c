/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include "base/utf8.h"
#include "form.h"

#include <stdio.h>
#include <string.h>

/* How much of the path the place takes; 0: nothing, and so it does not fit. */
static size_t place_len(const char *path, bool is_before_verb)
{
    size_t len = strcspn(path, "/");
    if (!is_before_verb)
        return len;
    const char *colon = memrchr(path, ':', len);
    return colon == NULL ? 0 : (size_t)(colon - path);
}

bool path_fits(struct arena *arena, const char *pattern, const char *path, struct path_captured *captured)
{
    captured->count = 0;
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        size_t name_len = strcspn(pattern, "}");
        const char *after = pattern + name_len + 1;
        size_t len = place_len(path, *after == ':');
        if (len == 0 || captured->count == PATH_PLACES_MAX)
            return false;
        snprintf(captured->fields[captured->count], PATH_FIELD_MAX, "%.*s", (int)name_len - 1, pattern + 1);
        captured->values[captured->count++] = arena_copy(arena, path, len);
        path += len;
        pattern = after;
    }
    return *path == '\0';
}

bool path_decode(char *value)
{
    char *end = form_decode(value, strlen(value), false);
    return end != NULL && utf8_is_text(value, (size_t)(end - value));
}
