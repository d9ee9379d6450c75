/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <ctype.h>
#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "time_format.h"

static json_t *from_string(const char *text)
{
    json_t *value = json_string(text == NULL ? "" : text);
    if (value != NULL)
        return value;
    TEXT_FREE char *printable = text_printable(text); /* it was not UTF-8 */
    return text_must(json_string(printable));
}

static json_t *from_timestamp(const Google__Protobuf__Timestamp *timestamp)
{
    char text[TIME_TEXT_MAX];
    instant_format(timestamp->seconds, timestamp->nanos, text);
    return text[0] == '\0' ? json_null() : from_string(text);
}

static json_t *from_duration(const Google__Protobuf__Duration *duration)
{
    TEXT_FREE char *text = text_format("%" PRId64 "s", duration->seconds);
    return from_string(text);
}

/* CREDENTIAL_STATUS_ACTIVE is "active": the prefix is what the value 0 has before UNSPECIFIED. */
static json_t *from_enum(const ProtobufCEnumDescriptor *descriptor, int number)
{
    const ProtobufCEnumValue *zero = protobuf_c_enum_descriptor_get_value(descriptor, 0);
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, number);
    if (value == NULL)
        return json_integer(number);
    const char *unspecified = zero == NULL ? NULL : strstr(zero->name, "UNSPECIFIED");
    size_t prefix = unspecified == NULL ? 0 : (size_t)(unspecified - zero->name);
    TEXT_FREE char *name = text_copy(value->name + (strncmp(value->name, zero->name, prefix) == 0 ? prefix : 0));
    for (char *c = name; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return from_string(name);
}

static json_t *from_submessage(const ProtobufCMessage *message)
{
    if (message == NULL)
        return json_null();
    if (message->descriptor == &google__protobuf__timestamp__descriptor)
        return from_timestamp((const Google__Protobuf__Timestamp *)(const void *)message);
    if (message->descriptor == &google__protobuf__duration__descriptor)
        return from_duration((const Google__Protobuf__Duration *)(const void *)message);
    return json_from_message(message);
}

static json_t *from_member(const ProtobufCFieldDescriptor *field, const void *member)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return from_string(*(char *const *)member);
    case PROTOBUF_C_TYPE_MESSAGE:
        return from_submessage(*(ProtobufCMessage *const *)member);
    case PROTOBUF_C_TYPE_ENUM:
        return from_enum(field->descriptor, *(const int *)member);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)member);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *)member);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return json_integer(*(const int64_t *)member);
    default: /* no other type is in gatehouse/v1 */
        return json_null();
    }
}

static size_t member_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return sizeof(int64_t);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    default:
        return sizeof(int32_t);
    }
}

static json_t *from_descriptor(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)message;
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return text_must(from_member(field, base + field->offset));
    json_t *array = text_must(json_array());
    size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
    const char *members = *(const char *const *)(const void *)(base + field->offset);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, text_must(from_member(field, members + i * member_size(field->type))));
    return array;
}

json_t *json_from_message(const ProtobufCMessage *message)
{
    json_t *object = text_must(json_object());
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        json_object_set_new(object, field->name, from_descriptor(message, field));
    }
    return object;
}

json_t *json_from_field(const ProtobufCMessage *message, const char *field)
{
    const ProtobufCFieldDescriptor *found = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, field);
    return found == NULL ? json_null() : from_descriptor(message, found);
}

char *json_text(const json_t *value, bool is_indented)
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
