/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any protobuf-c message to and from proto3 JSON (protobuf.dev/programming-guides/json): lowerCamelCase names
 * (snake_case is read too), 64-bit integers as text, enums by name, bytes as base64, Timestamp as RFC 3339, Duration as
 * "3.5s", FieldMask as "name,expireTime", a map of texts as an object. What is not known is refused by its name, never
 * skipped.
 */
#ifndef CONTRACT_JSON_H
#define CONTRACT_JSON_H

#include "base/arena.h"

#include <jansson.h>
#include <stdbool.h>

enum { JSON_WHY_MAX = 160, JSON_DEPTH_MAX = 8 };

/* Default values are left out, as proto3 JSON does. A byte that is not UTF-8 becomes U+FFFD, a time of a
 * year that cannot be written null. NULL: out of memory. The caller frees it by json_decref. */
json_t *json_from_message(const ProtobufCMessage *message);

/* The same with default values, but for messages that are not there: for whoever shows the fields one by one. */
json_t *json_from_message_whole(const ProtobufCMessage *message);

/* In the arena. NULL: `why` says what is wrong and where ("credential.expireTime: …"). */
ProtobufCMessage *json_to_message(struct arena *arena, const ProtobufCMessageDescriptor *descriptor, const json_t *json,
                                  char why[static JSON_WHY_MAX]);

/* Sets one field from text, as from a query or a path: "page_size" or "pageSize", or "credential.client_id". A repeated
 * field takes one element more each time. false: why; also where the field has another value already, for then the
 * path, the query and the body disagree. */
bool json_set_text(struct arena *arena, ProtobufCMessage *message, const char *path, const char *text,
                   char why[static JSON_WHY_MAX]);

/* An empty message. */
ProtobufCMessage *json_new_message(struct arena *arena, const ProtobufCMessageDescriptor *descriptor);

#endif
