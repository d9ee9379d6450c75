/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "object.h"
#include "text.h"
#include "time_format.h"
#include "yaml.h"

static char *relative(const json_t *value, int64_t now, const char *otherwise)
{
    int64_t seconds;
    char text[TIME_TEXT_MAX];
    if (!json_is_string(value) || !instant_parse(json_string_value(value), now, TIME_BACK, &seconds))
        return text_copy(otherwise);
    instant_format_relative(seconds, now, text);
    return text_copy(text);
}

char *column_last_use(const json_t *, const json_t *value, int64_t now)
{
    return relative(value, now, "never");
}

char *column_expiry(const json_t *, const json_t *value, int64_t now)
{
    return relative(value, now, "never");
}

char *column_time(const json_t *, const json_t *value, int64_t now)
{
    return relative(value, now, "");
}

char *column_clock(const json_t *, const json_t *value, int64_t now)
{
    int64_t seconds;
    if (!json_is_string(value) || !instant_parse(json_string_value(value), now, TIME_BACK, &seconds))
        return text_copy("");
    struct tm tm;
    char text[TIME_TEXT_MAX] = "";
    time_t time = (time_t)seconds;
    if (localtime_r(&time, &tm) != NULL)
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
    return text_copy(text);
}

char *column_duration(const json_t *, const json_t *value, int64_t)
{
    int64_t seconds;
    char text[TIME_TEXT_MAX];
    if (!json_is_string(value) || !duration_parse(json_string_value(value), &seconds))
        return text_copy("off"); /* a cap that is not set */
    duration_format(seconds, text);
    return text_copy(text);
}

char *column_if_true(const json_t *, const json_t *value, int64_t)
{
    return text_copy(json_is_true(value) ? "yes" : "");
}

char *column_cap(const json_t *object, const json_t *value, int64_t now)
{
    if (json_is_integer(value)) /* of 32 bits */
        return json_integer_value(value) == 0 ? text_copy("off")
                                              : text_format("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return column_duration(object, value, now);
}

/* Strings bare, numbers and booleans as JSON writes them. */
static char *bare(const json_t *value, const char *separator)
{
    if (value == NULL || json_is_null(value))
        return text_copy("");
    if (json_is_string(value))
        return text_printable(json_string_value(value));
    if (!json_is_array(value))
        return object_text(value, false);
    char *out = NULL;
    size_t size, i;
    json_t *item;
    FILE *stream = text_must(open_memstream(&out, &size));
    json_array_foreach(value, i, item)
    {
        TEXT_FREE char *text = bare(item, separator);
        fprintf(stream, "%s%s", i == 0 ? "" : separator, text);
    }
    fclose(stream);
    return text_must(out);
}

char *cell_text(const json_t *object, const struct column *column, int64_t now)
{
    const json_t *value = json_object_get(object, column->key);
    if (column->format != NULL) {
        TEXT_FREE char *text = column->format(object, value, now);
        return text_printable(text);
    }
    if (json_is_boolean(value))
        return text_copy(json_is_true(value) ? "yes" : "no");
    return bare(value, ", ");
}

/* JSON, or the same as YAML. */
static void print_json(const struct context *context, const json_t *value)
{
    TEXT_WIPE char *text = context->is_yaml ? yaml_text(value) : object_text(value, true);
    fputs(text, stdout);
    if (!context->is_yaml)
        putchar('\n');
}

/* As RFC 4180 quotes it. */
static void print_csv(const char *text, bool is_last)
{
    bool is_quoted = strpbrk(text, ",\"\r\n") != NULL;
    if (is_quoted)
        putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    fputs(is_quoted ? "\"" : "", stdout);
    putchar(is_last ? '\n' : ',');
}

void output_csv(const json_t *object, const struct view *view, int64_t now)
{
    for (const struct column *column = view->columns; column->title != NULL; column++) {
        const json_t *value = object == NULL ? NULL : json_object_get(object, column->key);
        bool is_several = json_is_array(value) && json_is_object(json_array_get(value, 0));
        TEXT_WIPE char *text = object == NULL ? text_copy(column->key)
                               : is_several   ? cell_text(object, column, now)
                                              : bare(value, ",");
        print_csv(text, column[1].title == NULL);
    }
}

void output_values(const json_t *object, const char *const *keys, char separator)
{
    for (; *keys != NULL; keys++) {
        TEXT_WIPE char *text = bare(json_object_get(object, *keys), ",");
        fputs(text, stdout);
        putchar(keys[1] == NULL ? '\n' : separator);
    }
}

static void print_record(const struct context *context, const json_t *object, const struct column *columns)
{
    const struct view pair = {.columns = COLUMNS({"", "title", NULL, 0}, {"", "text", NULL, COLUMN_WRAP})};
    json_t *rows = text_must(json_array());
    for (const struct column *column = columns; column->title != NULL; column++) {
        TEXT_WIPE char *text = cell_text(object, column, context->now);
        if (text[0] != '\0')
            json_array_append_new(rows, text_must(json_pack("{s:s, s:s}", "title", column->title, "text", text)));
    }
    TEXT_WIPE char *table = table_text(rows, &pair, context->now);
    fputs(table, stdout);
    json_decref(rows);
}

void output_message(const struct context *context, const void *message, const char *subject, const struct view *view)
{
    json_t *whole = object_from(context, message);
    if (context->format == OUTPUT_JSON) {
        print_json(context, whole);
    } else {
        json_t *object = json_incref(subject == NULL ? whole : json_object_get(whole, subject));
        object = object == NULL ? text_must(json_object()) : object;
        json_t *ended = json_object_get(json_object_get(whole, "impact"), "tokensEnded");
        json_t *secret = json_object_get(whole, "secretKey");
        if (ended != NULL)
            json_object_set(object, "tokensEnded", ended);
        if (secret != NULL)
            json_object_set(object, "secretKey", secret);
        output_record(context, object, view);
        json_decref(object);
    }
    json_decref(whole);
}

void output_record(const struct context *context, const json_t *object, const struct view *view)
{
    switch (context->format) {
    case OUTPUT_TABLE:
        print_record(context, object, view->columns);
        return;
    case OUTPUT_JSON:
        print_json(context, object);
        return;
    case OUTPUT_CSV:
        output_csv(NULL, view, context->now);
        output_csv(object, view, context->now);
        return;
    case OUTPUT_VALUE:
        output_values(object, view->value_keys, '\n');
        return;
    }
}

void output_part(const struct context *context, const char *heading, const json_t *array, const struct view *view)
{
    if (context->format != OUTPUT_TABLE || json_array_size(array) == 0)
        return;
    TEXT_FREE char *table = table_text(array, view, context->now);
    printf("\n%s\n%s", heading, table);
}

bool output_flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    if (errno != EPIPE) /* `gatehouse … | head` is no mistake */
        fprintf(stderr, "gatehouse: cannot write the output: %s\n", strerror(errno));
    return false;
}
