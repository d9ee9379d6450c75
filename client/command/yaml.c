/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml.h"

#include <stdio.h>

#include "object.h"
#include "text.h"

static bool is_block(const json_t *value)
{
    return (json_is_object(value) && json_object_size(value) > 0) ||
           (json_is_array(value) && json_array_size(value) > 0);
}

static void print_block(FILE *out, const json_t *value, int depth, bool is_started);

/* Behind "key:" or "-". */
static void print_value(FILE *out, const json_t *value, int depth, bool is_item)
{
    if (is_block(value)) {
        bool is_inline = is_item && json_is_object(value); /* "- name: …" */
        fputs(is_inline ? " " : "\n", out);
        print_block(out, value, depth, is_inline);
        return;
    }
    TEXT_WIPE char *text = object_text(value, false);
    fprintf(out, " %s\n", text);
}

/* is_started: the first line is indented already. */
static void print_block(FILE *out, const json_t *value, int depth, bool is_started)
{
    const char *key;
    json_t *member;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        fprintf(out, "%*s%s:", is_started ? 0 : 2 * depth, "", key);
        is_started = false;
        print_value(out, member, depth + 1, false);
    }
    json_array_foreach(value, i, member)
    {
        fprintf(out, "%*s-", 2 * depth, "");
        print_value(out, member, depth + 1, true);
    }
}

char *yaml_text(const json_t *value)
{
    char *text = NULL;
    size_t size;
    FILE *out = text_must(open_memstream(&text, &size));
    if (is_block(value)) {
        print_block(out, value, 0, false);
    } else {
        TEXT_FREE char *bare = object_text(value, false);
        fprintf(out, "%s\n", bare);
    }
    fclose(out);
    return text_must(text);
}
