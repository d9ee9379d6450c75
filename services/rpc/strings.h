/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPC_STRINGS_H
#define RPC_STRINGS_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* Is every string of an encoded message UTF-8, as proto3 demands, and without NUL? protobuf-c checks neither, and what
 * comes behind a NUL would be lost on a C string. False also for an encoding that cannot be read. */
bool strings_are_valid(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len);

#endif
