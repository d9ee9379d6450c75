/* SPDX-License-Identifier: Apache-2.0 */
#include "base/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

bool address_is_v4(const struct address *address)
{
    return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

bool address_parse(const char *text, size_t len, struct address *ret_address)
{
    char copy[INET6_ADDRSTRLEN];
    const char *zone = memchr(text, '%', len);
    size_t bare = zone == NULL ? len : (size_t)(zone - text);
    if (bare >= sizeof copy || memchr(text, '\0', bare) != NULL)
        return false;
    memcpy(copy, text, bare);
    copy[bare] = '\0';
    if (memchr(copy, ':', bare) != NULL)
        return inet_pton(AF_INET6, copy, ret_address->bytes) == 1;
    memcpy(ret_address->bytes, mapped, sizeof mapped);
    return zone == NULL && inet_pton(AF_INET, copy, ret_address->bytes + sizeof mapped) == 1;
}

static bool is_port(const char *text, size_t len)
{
    bool is_number = len > 0 && len <= 5;
    for (size_t i = 0; i < len && is_number; i++)
        is_number = text[i] >= '0' && text[i] <= '9';
    return is_number;
}

bool address_parse_with_port(const char *text, size_t len, struct address *ret_address)
{
    if (len > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', len);
        if (end == NULL)
            return false;
        size_t after = len - (size_t)(end + 1 - text);
        bool is_whole = after == 0 || (end[1] == ':' && is_port(end + 2, after - 1));
        return is_whole && memchr(text, ':', (size_t)(end - text)) != NULL &&
               address_parse(text + 1, (size_t)(end - text) - 1, ret_address);
    }
    const char *colon = memchr(text, ':', len);
    if (colon != NULL && memrchr(text, ':', len) == colon) { /* one colon: IPv4 and a port */
        size_t host = (size_t)(colon - text);
        return is_port(colon + 1, len - host - 1) && address_parse(text, host, ret_address);
    }
    return address_parse(text, len, ret_address);
}

void address_format(const struct address *address, char text[static ADDRESS_TEXT_MAX])
{
    if (address_is_v4(address))
        inet_ntop(AF_INET, address->bytes + sizeof mapped, text, ADDRESS_TEXT_MAX);
    else
        inet_ntop(AF_INET6, address->bytes, text, ADDRESS_TEXT_MAX);
}

void address_group(const char *peer, char group[static ADDRESS_TEXT_MAX])
{
    struct address address;
    if (!address_parse(peer, strlen(peer), &address)) {
        snprintf(group, ADDRESS_TEXT_MAX, "%s", peer);
        return;
    }
    if (!address_is_v4(&address))
        memset(address.bytes + 8, 0, 8);
    address_format(&address, group);
}

/* Clears the bits behind the length. Were any set? */
static bool clear_behind(struct network *network)
{
    bool was_set = false;
    for (unsigned bit = network->bits; bit < 128; bit++) {
        unsigned char *byte = &network->base.bytes[bit / 8], mask = (unsigned char)(0x80 >> bit % 8);
        was_set |= (*byte & mask) != 0;
        *byte &= (unsigned char)~mask;
    }
    return was_set;
}

enum network_form network_read(const char *text, struct network *ret_network)
{
    size_t len = strcspn(text, "/");
    if (memchr(text, '%', len) != NULL || !address_parse(text, len, &ret_network->base))
        return NETWORK_IS_NONE;
    unsigned most = memchr(text, ':', len) == NULL ? 32 : 128, bits = most;
    if (text[len] == '/') {
        const char *digits = text + len + 1;
        size_t count = strspn(digits, "0123456789");
        if (count == 0 || count > 3 || digits[count] != '\0')
            return NETWORK_IS_NONE;
        bits = 0;
        for (size_t i = 0; i < count; i++)
            bits = bits * 10 + (unsigned)(digits[i] - '0');
    }
    if (bits > most)
        return NETWORK_IS_NONE;
    ret_network->bits = 128 - most + bits;
    return clear_behind(ret_network) ? NETWORK_HAS_HOST_BITS : NETWORK_IS_ONE;
}

bool network_parse(const char *text, struct network *ret_network)
{
    return network_read(text, ret_network) == NETWORK_IS_ONE;
}

bool network_is_v4(const struct network *network)
{
    return network->bits >= 96 && address_is_v4(&network->base);
}

void network_format(const struct network *network, char text[static NETWORK_TEXT_MAX])
{
    static_assert(NETWORK_TEXT_MAX >= ADDRESS_TEXT_MAX && NETWORK_TEXT_MAX >= INET6_ADDRSTRLEN + sizeof "/128");
    address_format(&network->base, text);
    size_t len = strlen(text);
    if (network->bits < 128)
        snprintf(text + len, NETWORK_TEXT_MAX - len, "/%u", network->bits - (network_is_v4(network) ? 96 : 0));
}

bool network_has(const struct network *network, const struct address *address)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    if (memcmp(network->base.bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 || ((network->base.bytes[whole] ^ address->bytes[whole]) & (0xff00 >> rest) & 0xff) == 0;
}
