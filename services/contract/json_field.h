/* SPDX-License-Identifier: Apache-2.0 */
/* Where protobuf-c has a field's value, and how large it is. */
#ifndef CONTRACT_JSON_FIELD_H
#define CONTRACT_JSON_FIELD_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

/* A message's member at `offset`, as a pointer to it. */
void *json_member(const ProtobufCMessage *message, unsigned offset);

/* Bytes of one value of this type. */
size_t json_size_of(ProtobufCType type);

/* Has the value at `value`, which is no list, what a message has that says nothing of it? */
bool json_is_default(const ProtobufCFieldDescriptor *field, const void *value);

/* Is the field a map? To protobuf-c it is a list of messages of `key` and `value`, named as protoc names those of maps.
 */
bool json_is_map(const ProtobufCFieldDescriptor *field);

#endif
