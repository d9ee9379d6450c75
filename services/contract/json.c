/* SPDX-License-Identifier: Apache-2.0 */
#include "contract/json.h"

#include "base/utf8.h"
#include "contract/json_field.h"
#include "contract/json_special.h"

#include <inttypes.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

struct writer {
    struct arena arena;
    bool is_whole; /* with default values */
};

static json_t *from_message(struct writer *writer, const ProtobufCMessage *message);

static json_t *from_text(struct writer *writer, const char *text)
{
    json_t *json = json_string(text == NULL ? "" : text);
    if (json != NULL)
        return json;
    size_t len = strlen(text);
    char *valid = arena_alloc(&writer->arena, sizeof REPLACEMENT * len + 1), *to = valid;
    for (size_t i = 0, size; i < len; i += size) {
        bool is_good = (size = utf8_character(text + i, len - i)) > 0;
        to = is_good ? mempcpy(to, text + i, size) : stpcpy(to, REPLACEMENT);
        size = is_good ? size : 1;
    }
    return json_string(valid);
}

static json_t *from_enum(const ProtobufCEnumDescriptor *descriptor, int number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, number);
    return value == NULL ? json_integer(number) : json_string(value->name);
}

static json_t *from_int64(struct writer *writer, const char *format, uint64_t number)
{
    return json_string(arena_format(&writer->arena, format, number));
}

/* One value at `value`, which has the field's C type. */
static json_t *from_value(struct writer *writer, const ProtobufCFieldDescriptor *field, const void *value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *)value);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)value);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return from_int64(writer, "%" PRId64, (uint64_t)*(const int64_t *)value);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return from_int64(writer, "%" PRIu64, *(const uint64_t *)value);
    case PROTOBUF_C_TYPE_FLOAT:
        return json_real((double)*(const float *)value);
    case PROTOBUF_C_TYPE_DOUBLE:
        return json_real(*(const double *)value);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)value);
    case PROTOBUF_C_TYPE_ENUM:
        return from_enum(field->descriptor, *(const int *)value);
    case PROTOBUF_C_TYPE_STRING:
        return from_text(writer, *(char *const *)value);
    case PROTOBUF_C_TYPE_MESSAGE:
        return from_message(writer, *(ProtobufCMessage *const *)value);
    case PROTOBUF_C_TYPE_BYTES:
        break; /* no message of ours has bytes */
    }
    return NULL;
}

static json_t *from_repeated(struct writer *writer, const ProtobufCMessage *message,
                             const ProtobufCFieldDescriptor *field)
{
    json_t *array = json_array();
    size_t count = *(size_t *)json_member(message, field->quantifier_offset);
    const char *values = *(char **)json_member(message, field->offset);
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(array, from_value(writer, field, values + i * json_size_of(field->type))) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

/* A map: protobuf-c has a list of messages of key and value. A key is text. */
static json_t *from_map(struct writer *writer, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    json_t *object = json_object();
    size_t count = *(size_t *)json_member(message, field->quantifier_offset);
    ProtobufCMessage **entries = *(ProtobufCMessage ***)json_member(message, field->offset);
    for (size_t i = 0; object != NULL && i < count; i++) {
        const ProtobufCFieldDescriptor *fields = entries[i]->descriptor->fields;
        json_t *key = from_text(writer, *(char **)json_member(entries[i], fields[0].offset));
        json_t *value = from_value(writer, &fields[1], json_member(entries[i], fields[1].offset));
        bool is_set = key != NULL && json_object_set_new(object, json_string_value(key), value) == 0;
        json_decref(key);
        if (!is_set) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static bool add_field(struct writer *writer, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                      json_t *object)
{
    json_t *value = NULL;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        if (*(size_t *)json_member(message, field->quantifier_offset) == 0 && !writer->is_whole)
            return true;
        value = json_is_map(field) ? from_map(writer, message, field) : from_repeated(writer, message, field);
    } else {
        bool is_left_out = !writer->is_whole || field->type == PROTOBUF_C_TYPE_MESSAGE;
        if (json_is_default(field, json_member(message, field->offset)) && is_left_out)
            return true;
        value = from_value(writer, field, json_member(message, field->offset));
    }
    return json_object_set_new(object, json_camel(&writer->arena, field->name), value) == 0;
}

static json_t *from_message(struct writer *writer, const ProtobufCMessage *message)
{
    if (json_is_special(message->descriptor)) {
        char *text = json_special_format(&writer->arena, message);
        return text == NULL ? json_null() : json_string(text);
    }
    json_t *object = json_object();
    for (unsigned i = 0; object != NULL && i < message->descriptor->n_fields; i++)
        if (!add_field(writer, message, &message->descriptor->fields[i], object)) {
            json_decref(object);
            return NULL;
        }
    return object;
}

static json_t *write_message(const ProtobufCMessage *message, bool is_whole)
{
    struct writer writer = {.is_whole = is_whole};
    json_t *json = from_message(&writer, message);
    arena_done(&writer.arena);
    return json;
}

json_t *json_from_message(const ProtobufCMessage *message)
{
    return write_message(message, false);
}

json_t *json_from_message_whole(const ProtobufCMessage *message)
{
    return write_message(message, true);
}
