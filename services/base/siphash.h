/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Siphash-2-4 with 128 bits (Aumasson, Bernstein): a keyed hash for short texts, some tens of nanoseconds for a token.
 * Whoever does not know the key can choose no two texts with one hash, and 128 bits of it may stand for the text
 * itself. Not by HMAC-SHA-256, which is ten times as slow and whose strength nobody needs here: the key never leaves
 * the process. Not OpenSSL's either: libgatehouse does not link it itself, and its EVP_MAC needs an object a call.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k0, k1;
};

struct siphash {
    uint64_t a, b;
};

/* Of any bytes. */
struct siphash siphash_of(const struct siphash_key *key, const void *bytes, size_t len);

#endif
