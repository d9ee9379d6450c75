/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/secret_text.h"

#include "base/clock.h"
#include "base/crypto.h"

#include <string.h>

enum { PREFIX_LEN = 8, TIME_LEN = 6, RANDOM_LEN = 43, CHECKSUM_LEN = 6 };

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* CRC-32 of IEEE 802.3, four bytes at a time: for texts this short in half of zlib's time. table[i][n] is what nibble n
 * at place i of the four bytes becomes by the time that all of them are through; table[7] is the polynomial's own, each
 * row before it takes one nibble more. */
static uint32_t crc32_of(const char *text, size_t len)
{
    static const uint32_t table[8][16] = {
        {0x00000000, 0xb8bc6765, 0xaa09c88b, 0x12b5afee, 0x8f629757, 0x37def032, 0x256b5fdc, 0x9dd738b9, 0xc5b428ef,
         0x7d084f8a, 0x6fbde064, 0xd7018701, 0x4ad6bfb8, 0xf26ad8dd, 0xe0df7733, 0x58631056},
        {0x00000000, 0x5019579f, 0xa032af3e, 0xf02bf8a1, 0x9b14583d, 0xcb0d0fa2, 0x3b26f703, 0x6b3fa09c, 0xed59b63b,
         0xbd40e1a4, 0x4d6b1905, 0x1d724e9a, 0x764dee06, 0x2654b999, 0xd67f4138, 0x866616a7},
        {0x00000000, 0x01c26a37, 0x0384d46e, 0x0246be59, 0x0709a8dc, 0x06cbc2eb, 0x048d7cb2, 0x054f1685, 0x0e1351b8,
         0x0fd13b8f, 0x0d9785d6, 0x0c55efe1, 0x091af964, 0x08d89353, 0x0a9e2d0a, 0x0b5c473d},
        {0x00000000, 0x1c26a370, 0x384d46e0, 0x246be590, 0x709a8dc0, 0x6cbc2eb0, 0x48d7cb20, 0x54f16850, 0xe1351b80,
         0xfd13b8f0, 0xd9785d60, 0xc55efe10, 0x91af9640, 0x8d893530, 0xa9e2d0a0, 0xb5c473d0},
        {0x00000000, 0x191b3141, 0x32366282, 0x2b2d53c3, 0x646cc504, 0x7d77f445, 0x565aa786, 0x4f4196c7, 0xc8d98a08,
         0xd1c2bb49, 0xfaefe88a, 0xe3f4d9cb, 0xacb54f0c, 0xb5ae7e4d, 0x9e832d8e, 0x87981ccf},
        {0x00000000, 0x4ac21251, 0x958424a2, 0xdf4636f3, 0xf0794f05, 0xbabb5d54, 0x65fd6ba7, 0x2f3f79f6, 0x3b83984b,
         0x71418a1a, 0xae07bce9, 0xe4c5aeb8, 0xcbfad74e, 0x8138c51f, 0x5e7ef3ec, 0x14bce1bd},
        {0x00000000, 0x77073096, 0xee0e612c, 0x990951ba, 0x076dc419, 0x706af48f, 0xe963a535, 0x9e6495a3, 0x0edb8832,
         0x79dcb8a4, 0xe0d5e91e, 0x97d2d988, 0x09b64c2b, 0x7eb17cbd, 0xe7b82d07, 0x90bf1d91},
        {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320,
         0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c},
    };
    uint32_t crc = UINT32_MAX;
    const uint8_t *byte = (const uint8_t *)text, *end = byte + len;
    for (; end - byte >= 4; byte += 4) {
        crc ^= byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
        uint32_t next = 0;
        for (int i = 0; i < 8; i++)
            next ^= table[i][crc >> (4 * i) & 15];
        crc = next;
    }
    for (; byte < end; byte++) {
        crc ^= *byte;
        crc = table[6][crc & 15] ^ table[7][crc >> 4 & 15] ^ crc >> 8;
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

/* -1: no digit. A table, because the digits are random, and so would be which way a comparison goes. */
static int digit_value(char c)
{
    static const uint8_t values[UINT8_MAX + 1] = {
        ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,  ['8'] = 9,
        ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16, ['G'] = 17, ['H'] = 18,
        ['I'] = 19, ['J'] = 20, ['K'] = 21, ['L'] = 22, ['M'] = 23, ['N'] = 24, ['O'] = 25, ['P'] = 26, ['Q'] = 27,
        ['R'] = 28, ['S'] = 29, ['T'] = 30, ['U'] = 31, ['V'] = 32, ['W'] = 33, ['X'] = 34, ['Y'] = 35, ['Z'] = 36,
        ['a'] = 37, ['b'] = 38, ['c'] = 39, ['d'] = 40, ['e'] = 41, ['f'] = 42, ['g'] = 43, ['h'] = 44, ['i'] = 45,
        ['j'] = 46, ['k'] = 47, ['l'] = 48, ['m'] = 49, ['n'] = 50, ['o'] = 51, ['p'] = 52, ['q'] = 53, ['r'] = 54,
        ['s'] = 55, ['t'] = 56, ['u'] = 57, ['v'] = 58, ['w'] = 59, ['x'] = 60, ['y'] = 61, ['z'] = 62}; /* and one more
                                                                                                          */
    return values[(uint8_t)c] - 1;
}

static uint64_t read_number(const char *from, int digits)
{
    uint64_t number = 0;
    for (int i = 0; i < digits; i++)
        number = number * 62 + (uint64_t)digit_value(from[i]);
    return number;
}

/* 43 digits drawn one by one are 256.03 bits. Bytes past 247 are drawn again, so that each digit is as likely. */
static void write_random(char *to, secret_random_fn *fill)
{
    uint8_t pool[64];
    size_t used = sizeof pool;
    for (int i = 0; i < RANDOM_LEN;) {
        if (used == sizeof pool) {
            fill(pool, sizeof pool);
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

bool token_text_new(int64_t now, secret_random_fn *fill, char text[static TOKEN_TEXT_LEN + 1])
{
    if (now < 0 || now / CLOCK_SECOND > UINT32_MAX)
        return false;
    memcpy(text, "gate_at_", PREFIX_LEN);
    write_number(text + PREFIX_LEN, (uint64_t)(now / CLOCK_SECOND), TIME_LEN);
    write_random(text + PREFIX_LEN + TIME_LEN, fill);
    write_checksum(text, TOKEN_TEXT_LEN - CHECKSUM_LEN);
    return true;
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

/* Computed, not looked up: so the compiler does many at a time. */
static char hex_digit(int value)
{
    return (char)(value + (value < 10 ? '0' : 'a' - 10));
}

void token_key_format(const struct token_key *key, char accessor[static TOKEN_ACCESSOR_LEN + 1])
{
    for (int i = 0; i < TOKEN_KEY_BYTES; i++) {
        accessor[2 * i] = hex_digit(key->bytes[i] >> 4);
        accessor[2 * i + 1] = hex_digit(key->bytes[i] & 15);
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

void secret_text_new(secret_random_fn *fill, char text[static SECRET_TEXT_LEN + 1])
{
    memcpy(text, "gate_sk_", PREFIX_LEN);
    write_random(text + PREFIX_LEN, fill);
    write_checksum(text, SECRET_TEXT_LEN - CHECKSUM_LEN);
}
