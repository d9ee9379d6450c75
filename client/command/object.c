/* SPDX-License-Identifier: Apache-2.0 */
#include "object.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract/json.h"
#include "text.h"

json_t *object_from(const struct context *context, const void *message)
{
    return text_must(context->format == OUTPUT_JSON ? json_from_message(message) : json_from_message_whole(message));
}

int64_t object_integer(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : json_integer_value(value);
}

char *object_word(const ProtobufCEnumDescriptor *descriptor, const json_t *value)
{
    if (!json_is_string(value))
        return json_is_integer(value) ? object_text(value, false) : text_copy(""); /* a value of a newer server */
    const char *name = json_string_value(value), *zero = protobuf_c_enum_descriptor_get_value(descriptor, 0)->name;
    const char *unspecified = strstr(zero, "UNSPECIFIED");
    size_t prefix = unspecified == NULL ? 0 : (size_t)(unspecified - zero);
    char *word = text_copy(name + (strncmp(name, zero, prefix) == 0 ? prefix : 0));
    for (char *c = word; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return word;
}

char *object_text(const json_t *value, bool is_indented)
{
    char *text = text_must(json_dumps(value, JSON_ENCODE_ANY | (is_indented ? JSON_INDENT(2) : 0)));
    char *lines = text;
    if (!is_indented) {
        char *printable = text_printable(text);
        free(text);
        return printable;
    }
    /* Line feeds between the values are JSON's own; inside a string they are escaped already. */
    char *out = NULL;
    size_t size;
    FILE *stream = text_must(open_memstream(&out, &size));
    for (char *line; (line = strsep(&lines, "\n")) != NULL;) {
        TEXT_FREE char *printable = text_printable(line);
        fprintf(stream, "%s%s", printable, lines == NULL ? "" : "\n");
    }
    fclose(stream);
    free(text);
    return text_must(out);
}
