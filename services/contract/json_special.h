/* SPDX-License-Identifier: Apache-2.0 */
/* The well-known types that proto3 JSON writes as text: google.protobuf.Timestamp, Duration, FieldMask; and maps, which
 * it writes as an object. */
#ifndef CONTRACT_JSON_SPECIAL_H
#define CONTRACT_JSON_SPECIAL_H

#include "base/arena.h"

#include <stdbool.h>

/* Has the message a form of its own in JSON (Timestamp, Duration, FieldMask)? */
bool json_is_special(const ProtobufCMessageDescriptor *descriptor);

/* Is the field a map? To protobuf-c it is a list of messages of `key` and `value`, named as protoc names those of maps.
 */
bool json_is_map(const ProtobufCFieldDescriptor *field);

/* Its text; NULL: it is a time of a year that cannot be written. */
char *json_special_format(struct arena *arena, const ProtobufCMessage *message);

/* Fills the message in; false: the text is none. */
bool json_special_parse(struct arena *arena, const char *text, ProtobufCMessage *message);

/* expire_time to expireTime, and back. */
char *json_camel(struct arena *arena, const char *snake);
char *json_snake(struct arena *arena, const char *camel);

#endif
