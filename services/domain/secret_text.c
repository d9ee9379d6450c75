/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/secret_text.h"

#include "clock.h"
#include "domain/crypto.h"

#include <string.h>

enum { PREFIX_LEN = 8, TIME_LEN = 6, RANDOM_LEN = 43, CHECKSUM_LEN = 6 };

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* CRC-32 of IEEE 802.3, four bits at a time. */
static uint32_t crc32_of(const char *text, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)text[i];
        crc = table[(crc ^ byte) & 15] ^ (crc >> 4);
        crc = table[(crc ^ (uint8_t)(byte >> 4)) & 15] ^ (crc >> 4);
    }
    return ~crc;
}

static void write_number(char *to, uint64_t number, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        to[i] = base62[number % 62];
        number /= 62;
    }
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 36;
    return -1;
}

static uint64_t read_number(const char *from, int digits)
{
    uint64_t number = 0;
    for (int i = 0; i < digits; i++)
        number = number * 62 + (uint64_t)digit_value(from[i]);
    return number;
}

/* 43 digits drawn one by one are 256.03 bits. Bytes past 247 are drawn again, so that each digit is as likely. */
static void write_random(char *to)
{
    uint8_t pool[64];
    size_t used = sizeof pool;
    for (int i = 0; i < RANDOM_LEN;) {
        if (used == sizeof pool) {
            crypto_random(pool, sizeof pool);
            used = 0;
        }
        uint8_t byte = pool[used++];
        if (byte < 4 * 62)
            to[i++] = base62[byte % 62];
    }
    crypto_wipe(pool, sizeof pool);
}

static void write_checksum(char *text, size_t len)
{
    write_number(text + len, crc32_of(text, len), CHECKSUM_LEN);
    text[len + CHECKSUM_LEN] = '\0';
}

static bool is_well_formed(const char *text, const char *prefix, size_t len)
{
    if (strnlen(text, len + 1) != len || strncmp(text, prefix, PREFIX_LEN) != 0)
        return false;
    for (size_t i = PREFIX_LEN; i < len; i++)
        if (digit_value(text[i]) < 0)
            return false;
    return read_number(text + len - CHECKSUM_LEN, CHECKSUM_LEN) == crc32_of(text, len - CHECKSUM_LEN);
}

static void key_set_time(struct token_key *key, uint32_t seconds)
{
    for (int i = 0; i < 4; i++)
        key->bytes[i] = (uint8_t)(seconds >> (24 - 8 * i));
}

void token_text_new(int64_t now, char text[static TOKEN_TEXT_LEN + 1])
{
    memcpy(text, "gate_at_", PREFIX_LEN);
    write_number(text + PREFIX_LEN, (uint64_t)(now / CLOCK_SECOND), TIME_LEN);
    write_random(text + PREFIX_LEN + TIME_LEN);
    write_checksum(text, TOKEN_TEXT_LEN - CHECKSUM_LEN);
}

bool token_text_parse(const char *text, struct token_key *ret_key)
{
    if (!is_well_formed(text, "gate_at_", TOKEN_TEXT_LEN))
        return false;
    uint64_t seconds = read_number(text + PREFIX_LEN, TIME_LEN);
    if (seconds > UINT32_MAX)
        return false;
    uint8_t digest[SHA256_BYTES];
    crypto_sha256(text, TOKEN_TEXT_LEN, digest);
    key_set_time(ret_key, (uint32_t)seconds);
    memcpy(ret_key->bytes + 4, digest, TOKEN_KEY_BYTES - 4);
    return true;
}

int64_t token_key_issued(const struct token_key *key)
{
    uint32_t seconds = 0;
    for (int i = 0; i < 4; i++)
        seconds = seconds << 8 | key->bytes[i];
    return seconds * CLOCK_SECOND;
}

struct token_key token_key_at(int64_t time)
{
    struct token_key key = {0};
    int64_t seconds = time <= 0 ? 0 : (time + CLOCK_SECOND - 1) / CLOCK_SECOND;
    key_set_time(&key, seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds);
    return key;
}

void token_key_format(const struct token_key *key, char accessor[static TOKEN_ACCESSOR_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < TOKEN_KEY_BYTES; i++) {
        accessor[2 * i] = digits[key->bytes[i] >> 4];
        accessor[2 * i + 1] = digits[key->bytes[i] & 15];
    }
    accessor[TOKEN_ACCESSOR_LEN] = '\0';
}

bool token_key_parse(const char *accessor, struct token_key *ret_key)
{
    if (strlen(accessor) != TOKEN_ACCESSOR_LEN || strspn(accessor, "0123456789abcdef") != TOKEN_ACCESSOR_LEN)
        return false;
    for (int i = 0; i < TOKEN_KEY_BYTES; i++) {
        int nibbles[2];
        for (int j = 0; j < 2; j++) {
            char c = accessor[2 * i + j];
            nibbles[j] = c <= '9' ? c - '0' : c - 'a' + 10;
        }
        ret_key->bytes[i] = (uint8_t)(nibbles[0] << 4 | nibbles[1]);
    }
    return true;
}

void secret_text_new(char text[static SECRET_TEXT_LEN + 1])
{
    memcpy(text, "gate_sk_", PREFIX_LEN);
    write_random(text + PREFIX_LEN);
    write_checksum(text, SECRET_TEXT_LEN - CHECKSUM_LEN);
}
