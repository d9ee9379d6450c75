/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any protobuf-c message to proto3 JSON (protobuf.dev/programming-guides/json): lowerCamelCase names, 64-bit integers
 * as text, enums by name, bytes as base64, Timestamp as RFC 3339, Duration as "3.5s", FieldMask as "name,expireTime", a
 * map of texts as an object. json_reader.h is the way back.
 */
#ifndef CONTRACT_JSON_H
#define CONTRACT_JSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

/* Default values are left out, as proto3 JSON does. A byte that is not UTF-8 becomes U+FFFD, a time of a
 * year that cannot be written null. NULL: out of memory. The caller frees it by json_decref. */
json_t *json_from_message(const ProtobufCMessage *message);

/* The same with default values, but for messages that are not there: for whoever shows the fields one by one. */
json_t *json_from_message_whole(const ProtobufCMessage *message);

#endif
