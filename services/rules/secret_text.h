/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two secrets that Gatehouse makes, as text:
 *
 *     gate_at_ TTTTTT R×43 CCCCCC    a bearer token: second of issue, 256 random bits, CRC-32
 *     gate_sk_        R×43 CCCCCC    a secret key
 *
 * All in base62, so that a form, a header, a shell or a double click cannot spoil one, and a scanner can recognise one.
 *
 * A token's time is no secret; it is there because the store keeps tokens by a key that begins with it: keys that
 * arrive in order are inserted two to three times as fast as random ones (measured: client/standards.md). The key's
 * other 28 bytes are of the SHA-256 of the whole text; the text itself is stored nowhere.
 */
#ifndef RULES_SECRET_TEXT_H
#define RULES_SECRET_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    TOKEN_TEXT_LEN = 8 + 6 + 43 + 6,
    SECRET_TEXT_LEN = 8 + 43 + 6,
    TOKEN_KEY_BYTES = 32,
    TOKEN_ACCESSOR_LEN = 2 * TOKEN_KEY_BYTES,
    SECRET_HINT_LEN = 4,
};

struct token_key {
    uint8_t bytes[TOKEN_KEY_BYTES];
};

/* Fills `bytes` with what nobody can guess: crypto_random, which only who makes a secret needs. */
typedef void secret_random_fn(void *bytes, size_t len);

/* False: a key has no room for such a time. It has from 1970 to February 2106. */
[[nodiscard]] bool token_text_new(int64_t now, secret_random_fn *fill, char text[static TOKEN_TEXT_LEN + 1]);

/* False: the text is not of the form, or its checksum is wrong; then it is no token of ours, and no table need be
 * asked. */
bool token_text_parse(const char *text, struct token_key *ret_key);

/* In constant time, as crypto_equal, but word by word and without a call. */
static inline bool token_key_equal(const struct token_key *a, const struct token_key *b)
{
    uint64_t difference = 0;
    for (size_t i = 0; i < TOKEN_KEY_BYTES; i += sizeof(uint64_t)) {
        uint64_t word_a, word_b;
        memcpy(&word_a, a->bytes + i, sizeof word_a);
        memcpy(&word_b, b->bytes + i, sizeof word_b);
        difference |= word_a ^ word_b;
    }
    return difference == 0;
}

/* The second of issue, in microseconds since 1970. */
int64_t token_key_issued(const struct token_key *key);

/* The least key of all that are issued at `time` or later. */
struct token_key token_key_at(int64_t time);

/* The accessor, in hexadecimal digits; the parse is false where it is none. */
void token_key_format(const struct token_key *key, char accessor[static TOKEN_ACCESSOR_LEN + 1]);
bool token_key_parse(const char *accessor, struct token_key *ret_key);

/* A new secret key. */
void secret_text_new(secret_random_fn *fill, char text[static SECRET_TEXT_LEN + 1]);

#endif
