/* SPDX-License-Identifier: Apache-2.0 */
/* What the server answers, as JSON objects: what -o json prints is what /v1 answers (contract/json.h). */
#ifndef OBJECT_H
#define OBJECT_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "command.h"

/* A message: as /v1 answers it where JSON is printed; with its default values where fields are shown one by one. A new
 * reference, never NULL. */
json_t *object_from(const struct context *context, const void *message);

/* An integer, which JSON has as a number or, of 64 bits, as text. 0: there is none. */
int64_t object_integer(const json_t *object, const char *key);

/* CREDENTIAL_STATUS_ACTIVE is "active" to a person: an enum's name without the prefix that all its names have, in lower
 * case. malloc'd; "" for what is no text. */
char *object_word(const ProtobufCEnumDescriptor *descriptor, const json_t *value);

/* One line, or indented; harmless on a terminal. malloc'd. */
char *object_text(const json_t *value, bool is_indented);

#endif
