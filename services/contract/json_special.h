/* SPDX-License-Identifier: Apache-2.0 */
/* The well-known types that proto3 JSON writes as text: google.protobuf.Timestamp, Duration, FieldMask; and names, of
 * which it has another spelling. */
#ifndef CONTRACT_JSON_SPECIAL_H
#define CONTRACT_JSON_SPECIAL_H

#include "base/arena.h"

#include <stdbool.h>

/* Has the message a form of its own in JSON (Timestamp, Duration, FieldMask)? */
bool json_is_special(const ProtobufCMessageDescriptor *descriptor);

/* Its text; NULL: it is a time of a year that cannot be written. */
char *json_special_format(struct arena *arena, const ProtobufCMessage *message);

/* Fills the message in; false: the text is none. */
bool json_special_parse(struct arena *arena, const char *text, ProtobufCMessage *message);

/* expire_time to expireTime, and back. */
char *json_camel(struct arena *arena, const char *snake);
char *json_snake(struct arena *arena, const char *camel);

#endif
