/* SPDX-License-Identifier: Apache-2.0 */
#include "contract/json_reader.h"

#include "base/utf8.h"
#include "contract/json_field.h"
#include "contract/json_special.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEATED_MAX = 1024, NAME_SHOWN = 40 };

struct reader {
    struct arena *arena;
    char *why;
    char path[JSON_WHY_MAX / 2]; /* where we are */
    int depth;
};

static bool fail(struct reader *reader, const char *what)
{
    if (reader->why[0] == '\0')
        snprintf(reader->why, JSON_WHY_MAX, "%s%s%s", reader->path, reader->path[0] == '\0' ? "" : ": ", what);
    utf8_trim(reader->why);
    return false;
}

ProtobufCMessage *json_new_message(struct arena *arena, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = arena_alloc(arena, descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, message);
    return message;
}

static bool read_message(struct reader *reader, const json_t *json, ProtobufCMessage *message);

/* 3.0 and 1e1 are whole numbers too. Beyond 2^53 a double is not exact, and so is not taken for one. */
static bool read_whole(struct reader *reader, double real, int64_t *ret_number)
{
    enum { EXACT_BITS = 53 };
    double most = (double)(INT64_C(1) << EXACT_BITS);
    if (!(real >= -most && real <= most))
        return fail(reader, "is out of range");
    *ret_number = (int64_t)real;
    return (double)*ret_number == real || fail(reader, "is not a whole number");
}

/* A text that is a JSON number. */
static bool read_number_text(struct reader *reader, const char *text, int64_t *ret_number)
{
    const char *digits = text + (*text == '-'), *rest = digits + strspn(digits, "0123456789");
    errno = 0;
    *ret_number = strtoll(text, NULL, 10);
    if (rest == digits)
        return fail(reader, "is not a whole number");
    if (*rest == '\0')
        return errno == 0 || fail(reader, "is out of range");
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &error);
    double real = json_is_real(json) ? json_real_value(json) : 0;
    bool is_real = json_is_real(json);
    json_decref(json);
    return is_real ? read_whole(reader, real, ret_number) : fail(reader, "is not a whole number");
}

/* A JSON number or text that is a whole number from least to most. */
static bool read_integer(struct reader *reader, const json_t *json, int64_t least, int64_t most, int64_t *ret_number)
{
    if (json_is_integer(json))
        *ret_number = json_integer_value(json);
    else if (json_is_real(json) && !read_whole(reader, json_real_value(json), ret_number))
        return false;
    else if (json_is_string(json) && !read_number_text(reader, json_string_value(json), ret_number))
        return false;
    else if (!json_is_real(json) && !json_is_string(json))
        return fail(reader, "must be a whole number");
    return (*ret_number >= least && *ret_number <= most) || fail(reader, "is out of range");
}

static bool read_enum(struct reader *reader, const ProtobufCEnumDescriptor *descriptor, const json_t *json,
                      int *ret_number)
{
    const ProtobufCEnumValue *value = NULL;
    if (json_is_string(json))
        value = protobuf_c_enum_descriptor_get_value_by_name(descriptor, json_string_value(json));
    else if (json_is_integer(json))
        value = json_integer_value(json) < 0 || json_integer_value(json) > INT32_MAX
                    ? NULL
                    : protobuf_c_enum_descriptor_get_value(descriptor, (int)json_integer_value(json));
    if (value == NULL)
        return fail(reader, "is not one of its names");
    *ret_number = value->value;
    return true;
}

static bool read_text(struct reader *reader, const json_t *json, char **ret_text)
{
    if (!json_is_string(json))
        return fail(reader, "must be text");
    *ret_text = arena_copy(reader->arena, json_string_value(json), json_string_length(json));
    return true;
}

static bool read_submessage(struct reader *reader, const ProtobufCMessageDescriptor *descriptor, const json_t *json,
                            ProtobufCMessage **ret_message)
{
    if (*ret_message == NULL)
        *ret_message = json_new_message(reader->arena, descriptor);
    if (!json_is_special(descriptor))
        return read_message(reader, json, *ret_message);
    if (!json_is_string(json) || !json_special_parse(reader->arena, json_string_value(json), *ret_message))
        return fail(reader, "is not of its form (RFC 3339 time, duration such as \"90s\", or list of fields)");
    return true;
}

static bool read_value(struct reader *reader, const ProtobufCFieldDescriptor *field, const json_t *json, void *value)
{
    int64_t number = 0;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        if (!read_integer(reader, json, INT32_MIN, INT32_MAX, &number))
            return false;
        *(int32_t *)value = (int32_t)number;
        return true;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return read_integer(reader, json, INT64_MIN, INT64_MAX, value);
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)value = json_is_true(json);
        return json_is_boolean(json) || fail(reader, "must be true or false");
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(reader, field->descriptor, json, value);
    case PROTOBUF_C_TYPE_STRING:
        return read_text(reader, json, value);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_submessage(reader, field->descriptor, json, value);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_BYTES:
        break; /* no request of ours has these */
    }
    return fail(reader, "has a type that cannot be sent");
}

/* Room for `count` more elements behind those that are there. */
static char *extend(struct reader *reader, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                    size_t count)
{
    size_t *present = json_member(message, field->quantifier_offset);
    char **values = json_member(message, field->offset);
    size_t size = json_size_of(field->type);
    if (*present + count > REPEATED_MAX) {
        fail(reader, "has too many elements");
        return NULL;
    }
    char *larger = arena_alloc(reader->arena, (*present + count) * size);
    if (*present > 0)
        memcpy(larger, *values, *present * size);
    *values = larger;
    return larger + *present * size;
}

static bool read_repeated(struct reader *reader, const ProtobufCFieldDescriptor *field, const json_t *json,
                          ProtobufCMessage *message)
{
    if (!json_is_array(json))
        return fail(reader, "must be a list");
    char *to = extend(reader, message, field, json_array_size(json));
    size_t *count = json_member(message, field->quantifier_offset);
    for (size_t i = 0; to != NULL && i < json_array_size(json); i++, to += json_size_of(field->type)) {
        if (!read_value(reader, field, json_array_get(json, i), to))
            return false;
        ++*count;
    }
    return to != NULL;
}

/* Where we are is ".name" behind the first `path_len` bytes now. */
static void enter(struct reader *reader, const char *name, size_t path_len)
{
    snprintf(reader->path + path_len, sizeof reader->path - path_len, "%s%.*s", path_len == 0 ? "" : ".",
             (int)utf8_fitting(name, NAME_SHOWN), name);
    utf8_trim(reader->path);
}

static bool read_map(struct reader *reader, const ProtobufCFieldDescriptor *field, const json_t *json,
                     ProtobufCMessage *message)
{
    const char *key;
    json_t *value;
    if (!json_is_object(json))
        return fail(reader, "must be an object");
    ProtobufCMessage **to = (ProtobufCMessage **)(void *)extend(reader, message, field, json_object_size(json));
    size_t *count = json_member(message, field->quantifier_offset), path_len = strlen(reader->path);
    if (to == NULL)
        return false;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        enter(reader, key, path_len);
        ProtobufCMessage *entry = json_new_message(reader->arena, field->descriptor);
        const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
        *(char **)json_member(entry, fields[0].offset) = arena_text(reader->arena, key);
        if (!read_value(reader, &fields[1], value, json_member(entry, fields[1].offset)))
            return false;
        *to++ = entry;
        ++*count;
    }
    reader->path[path_len] = '\0';
    return true;
}

static const ProtobufCFieldDescriptor *find_field(struct reader *reader, const ProtobufCMessageDescriptor *descriptor,
                                                  const char *name)
{
    char *snake = strlen(name) > 64 ? NULL : json_snake(reader->arena, name);
    return snake == NULL ? NULL : protobuf_c_message_descriptor_get_field_by_name(descriptor, snake);
}

static bool read_field(struct reader *reader, const ProtobufCFieldDescriptor *field, const json_t *json,
                       ProtobufCMessage *message)
{
    if (json_is_null(json))
        return true;
    if (json_is_map(field))
        return read_map(reader, field, json, message);
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return read_repeated(reader, field, json, message);
    return read_value(reader, field, json, json_member(message, field->offset));
}

static bool read_message(struct reader *reader, const json_t *json, ProtobufCMessage *message)
{
    const char *name;
    json_t *value;
    if (!json_is_object(json))
        return fail(reader, "must be an object");
    if (++reader->depth > JSON_DEPTH_MAX)
        return fail(reader, "is nested too deep");
    size_t path_len = strlen(reader->path);
    uint64_t seen = 0; /* expireTime and expire_time are one field */
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        enter(reader, name, path_len);
        const ProtobufCFieldDescriptor *field = find_field(reader, message->descriptor, name);
        if (field == NULL)
            return fail(reader, "there is no such field");
        uint64_t bit = UINT64_C(1) << (field - message->descriptor->fields); /* no message has more than 64 */
        if (seen & bit)
            return fail(reader, "stands twice");
        seen |= bit;
        if (!read_field(reader, field, value, message))
            return false;
    }
    reader->path[path_len] = '\0';
    reader->depth--;
    return true;
}

ProtobufCMessage *json_to_message(struct arena *arena, const ProtobufCMessageDescriptor *descriptor, const json_t *json,
                                  char why[static JSON_WHY_MAX])
{
    struct reader reader = {.arena = arena, .why = why};
    ProtobufCMessage *message = json_new_message(arena, descriptor);
    why[0] = '\0';
    return read_message(&reader, json, message) ? message : NULL;
}

static bool is_same(const ProtobufCFieldDescriptor *field, const void *before, const void *after)
{
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return strcmp(*(char *const *)before, *(char *const *)after) == 0;
    return field->type != PROTOBUF_C_TYPE_MESSAGE && memcmp(before, after, json_size_of(field->type)) == 0;
}

/* Text as the JSON that the field wants: true for a boolean, else text (numbers and enums are read from text too). */
static bool set_field(struct reader *reader, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                      const char *text)
{
    json_t *json = json_string(text);
    if (field->type == PROTOBUF_C_TYPE_BOOL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)) {
        json_decref(json);
        json = json_boolean(text[0] == 't');
    }
    char before[sizeof(ProtobufCBinaryData)];
    void *value = json_member(message, field->offset);
    bool is_set = json != NULL || fail(reader, "is not UTF-8 text");
    if (is_set && field->label == PROTOBUF_C_LABEL_REPEATED) {
        char *to = extend(reader, message, field, 1);
        is_set = to != NULL && read_value(reader, field, json, to);
        if (is_set)
            ++*(size_t *)json_member(message, field->quantifier_offset);
    } else if (is_set) {
        bool was_set = !json_is_default(field, value);
        memcpy(before, value, json_size_of(field->type));
        is_set = read_value(reader, field, json, value) &&
                 (!was_set || is_same(field, before, value) || fail(reader, "has two values, which differ"));
    }
    json_decref(json);
    return is_set;
}

bool json_set_text(struct arena *arena, ProtobufCMessage *message, const char *path, const char *text,
                   char why[static JSON_WHY_MAX])
{
    struct reader reader = {.arena = arena, .why = why};
    why[0] = '\0';
    utf8_copy(reader.path, sizeof reader.path, path);
    size_t len = strcspn(path, ".");
    char *name = arena_copy(arena, path, len);
    const ProtobufCFieldDescriptor *field = name == NULL ? NULL : find_field(&reader, message->descriptor, name);
    if (field == NULL)
        return fail(&reader, "there is no such parameter");
    if (path[len] == '\0' && !json_is_map(field))
        return set_field(&reader, message, field, text);
    if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label == PROTOBUF_C_LABEL_REPEATED)
        return fail(&reader, "there is no such parameter");
    ProtobufCMessage **inner = json_member(message, field->offset);
    if (*inner == NULL)
        *inner = json_new_message(arena, field->descriptor);
    return json_set_text(arena, *inner, path + len + 1, text, why);
}
