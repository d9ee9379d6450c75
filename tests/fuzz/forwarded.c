/* SPDX-License-Identifier: Apache-2.0 */
/* X-Forwarded-For, Forwarded: whoever comes out is an address in its one spelling; networks, as from the settings. */
#include "rest/forwarded.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check_peer(const char *peer)
{
    struct address address;
    char again[ADDRESS_TEXT_MAX];
    if (!address_parse(peer, strlen(peer), &address))
        abort();
    address_format(&address, again);
    if (strcmp(again, peer) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct network trusted[] = {{{{[10] = 0xff, 0xff, 10}}, 104}, {{{0x20, 1, 0x0d, 0xb8}}, 32}};
    struct forwarded forwarded = {.trusted = trusted, .trusted_count = 2, .is_rfc7239 = size > 0 && data[0] & 1};
    struct network network;
    struct address address;
    char peer[ADDRESS_TEXT_MAX] = "10.0.0.1", group[ADDRESS_TEXT_MAX];
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    char *second = strchr(text, '\n');
    if (second != NULL)
        *second++ = '\0';
    forwarded_find(&forwarded, (const char *const[]){text, second}, second == NULL ? 1 : 2, peer);
    check_peer(peer);
    address_group(text, group);
    if (network_parse(text, &network) && (network.bits > 128 || !network_has(&network, &network.base)))
        abort();
    if (address_parse(text, strlen(text), &address) && !address_parse_with_port(text, strlen(text), &address))
        abort();
    free(text);
    return 0;
}
