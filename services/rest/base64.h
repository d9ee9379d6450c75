/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648), both alphabets on the way in, padded or not; the standard one, padded, on the way out. */
#ifndef REST_BASE64_H
#define REST_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* false: not base64, or more than `room` bytes. A last character with bits to spare that are not zero is not base64. */
bool base64_decode(const char *text, size_t len, unsigned char *out, size_t room, size_t *ret_len);

#define BASE64_LEN(len) (((len) + 2) / 3 * 4)

/* Writes BASE64_LEN(len) characters and a NUL. */
void base64_encode(const unsigned char *data, size_t len, char *out);

#endif
