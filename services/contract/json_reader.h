/* SPDX-License-Identifier: Apache-2.0 */
/* Any protobuf-c message from proto3 JSON, and from the texts of a query and a path; what is not known is refused by
 * its name. */
#ifndef CONTRACT_JSON_READER_H
#define CONTRACT_JSON_READER_H

#include "base/arena.h"

#include <jansson.h>
#include <stdbool.h>

enum { JSON_WHY_MAX = 160, JSON_DEPTH_MAX = 8 };

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
