/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness, digests, comparison: the only file of services/ beside rest/ that knows OpenSSL. A failure of the library
 * ends the process: nothing can be done safely without it. */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32 };

/* OpenSSL's. One that fails would have to be answered with a weaker one: it ends the process. */
void crypto_random(void *bytes, size_t len);
void crypto_sha256(const void *data, size_t len, uint8_t digest[static SHA256_BYTES]);
void crypto_hmac_sha256(const uint8_t key[static SHA256_BYTES], const void *data, size_t len,
                        uint8_t mac[static SHA256_BYTES]);

/* Takes the same time wherever they differ. */
bool crypto_equal(const void *a, const void *b, size_t len);
void crypto_wipe(void *data, size_t len);

/* OpenSSL frees nothing of its own when the process ends: a library's thread may still be in the middle of a handshake.
 * Before anything else of OpenSSL is used. */
void crypto_outlive_exit(void);

#endif
