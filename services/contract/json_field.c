/* SPDX-License-Identifier: Apache-2.0 */
#include "contract/json_field.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void *json_member(const ProtobufCMessage *message, unsigned offset)
{
    return (char *)(uintptr_t)message + offset;
}

size_t json_size_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    }
    abort();
}

bool json_is_default(const ProtobufCFieldDescriptor *field, const void *value)
{
    static const char zeros[sizeof(ProtobufCBinaryData)];
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return *(char *const *)value == NULL || **(char *const *)value == '\0';
    return memcmp(value, zeros, json_size_of(field->type)) == 0;
}

/* The entries of `labels` in Credential are Credential.LabelsEntry; protoc lets nothing else have that name. */
bool json_is_map(const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *entry = field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
    if (entry == NULL || field->label != PROTOBUF_C_LABEL_REPEATED || entry->n_fields != 2)
        return false;
    const char *name = entry->short_name;
    bool starts_word = true;
    for (const char *at = field->name; *at != '\0'; at++) {
        if (*at != '_' && *name++ != (starts_word ? toupper((unsigned char)*at) : *at))
            return false;
        starts_word = *at == '_';
    }
    return strcmp(name, "Entry") == 0 && strcmp(entry->fields[0].name, "key") == 0 &&
           strcmp(entry->fields[1].name, "value") == 0;
}
