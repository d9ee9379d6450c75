/* SPDX-License-Identifier: Apache-2.0 */
#include "api/admin.h"

#include <string.h>

enum { PAGE_DEFAULT = 50, PAGE_MOST = 1000, SIGNATURE_BYTES = 16 };

int page_size(int32_t wanted)
{
    return wanted == 0 ? PAGE_DEFAULT : wanted > PAGE_MOST ? PAGE_MOST : wanted;
}

/* Over the method, the query and the cursor, so that a token is good for that list only. */
static void sign(struct admin_call *admin, const char *query, const char *cursor, uint8_t mac[static SHA256_BYTES])
{
    const char *text = arena_format(&admin->arena, "%s:%zu:%s:%s", admin->method->name, strlen(query), query, cursor);
    crypto_hmac_sha256(admin->calling.api->domain->instance_key, text, strlen(text), mac);
}

static char *to_hex(struct admin_call *admin, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(&admin->arena, 2 * len + 1);
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return text;
}

char *page_make(struct admin_call *admin, const char *query, const char *cursor)
{
    uint8_t mac[SHA256_BYTES];
    sign(admin, query, cursor, mac);
    return arena_format(&admin->arena, "%s%s", to_hex(admin, mac, SIGNATURE_BYTES),
                        to_hex(admin, (const uint8_t *)cursor, strlen(cursor)));
}

static bool from_hex(const char *text, size_t len, char *bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        const char *high = strchr(digits, text[2 * i]), *low = strchr(digits, text[2 * i + 1]);
        if (high == NULL || low == NULL || *high == '\0' || *low == '\0')
            return false;
        bytes[i] = (char)((high - digits) << 4 | (low - digits));
    }
    return true;
}

enum status page_read(struct admin_call *admin, const char *token, const char *query, const char **ret_cursor)
{
    struct call *call = admin_fails(admin);
    size_t len = strlen(token);
    *ret_cursor = "";
    if (len == 0)
        return STATUS_OK;
    char *bytes = arena_alloc(&admin->arena, len / 2 + 1);
    uint8_t mac[SHA256_BYTES];
    bool is_valid = len % 2 == 0 && len / 2 > SIGNATURE_BYTES && from_hex(token, len / 2, bytes);
    if (is_valid) {
        sign(admin, query, bytes + SIGNATURE_BYTES, mac);
        is_valid = crypto_equal(mac, bytes, SIGNATURE_BYTES);
    }
    if (!is_valid)
        return call_fail_field(call, "page_token", "INVALID_PAGE_TOKEN",
                               "page_token was not made here, or for another filter or order");
    *ret_cursor = bytes + SIGNATURE_BYTES;
    return STATUS_OK;
}
