/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC's own texts in HTTP/2 headers. */
#ifndef RPC_H2_WIRE_H
#define RPC_H2_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* grpc-timeout, such as "250m", in microseconds; INT64_MAX where it is longer than anybody waits. */
bool h2_wire_timeout(const char *text, size_t len, int64_t *ret_microseconds);

/* "application/grpc", also with "+proto" or parameters. */
bool h2_wire_is_grpc(const char *content_type, size_t len);

/* grpc-message: percent-encoded; at most 3 * len bytes. Both return how many were written. */
size_t h2_wire_percent(const char *text, size_t len, char *encoded);

/* A -bin header: base64 without padding; at most (len + 2) / 3 * 4 bytes. */
size_t h2_wire_base64(const uint8_t *bytes, size_t len, char *encoded);

#endif
