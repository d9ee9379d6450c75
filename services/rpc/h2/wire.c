/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/wire.h"

#include <string.h>

enum { TIMEOUT_DIGITS = 8 };

bool h2_wire_timeout(const char *text, size_t len, int64_t *ret_microseconds)
{
    int64_t number = 0;
    if (len < 2 || len > TIMEOUT_DIGITS + 1)
        return false;
    for (size_t i = 0; i < len - 1; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = 10 * number + (text[i] - '0');
    }
    switch (text[len - 1]) {
    case 'H':
        number *= 3600;
        [[fallthrough]];
    case 'M':
        number *= text[len - 1] == 'H' ? 1 : 60;
        [[fallthrough]];
    case 'S':
        number *= 1000000;
        break;
    case 'm':
        number *= 1000;
        break;
    case 'u':
        break;
    case 'n':
        number = (number + 999) / 1000;
        break;
    default:
        return false;
    }
    *ret_microseconds = number > INT64_C(1000000) * INT32_MAX ? INT64_MAX : number;
    return true;
}

bool h2_wire_is_grpc(const char *content_type, size_t len)
{
    static const char grpc[] = "application/grpc";
    size_t wanted = sizeof grpc - 1;
    if (len < wanted || memcmp(content_type, grpc, wanted) != 0)
        return false;
    content_type += wanted;
    len -= wanted;
    if (len >= 6 && memcmp(content_type, "+proto", 6) == 0) {
        content_type += 6;
        len -= 6;
    }
    return len == 0 || *content_type == ';';
}

size_t h2_wire_percent(const char *text, size_t len, char *encoded)
{
    static const char digits[] = "0123456789ABCDEF";
    char *at = encoded;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    return (size_t)(at - encoded);
}

size_t h2_wire_base64(const uint8_t *bytes, size_t len, char *encoded)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *at = encoded;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        unsigned group = (unsigned)bytes[i] << 16;
        group |= left > 1 ? (unsigned)bytes[i + 1] << 8 : 0;
        group |= left > 2 ? (unsigned)bytes[i + 2] : 0;
        *at++ = digits[group >> 18];
        *at++ = digits[group >> 12 & 63];
        if (left > 1)
            *at++ = digits[group >> 6 & 63];
        if (left > 2)
            *at++ = digits[group & 63];
    }
    return (size_t)(at - encoded);
}
