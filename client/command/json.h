/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf messages as JSON, by their descriptors: keys are the .proto's field names, times RFC 3339 (or null where
 * unset), durations "1200s", enums in lower case without their prefix. */
#ifndef JSON_H
#define JSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* A new reference; never NULL. */
json_t *json_from_message(const ProtobufCMessage *message);

/* One field of it, likewise. */
json_t *json_from_field(const ProtobufCMessage *message, const char *field);

/* One line, or indented; harmless on a terminal. malloc'd. */
char *json_text(const json_t *value, bool is_indented);

#endif
