/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP addresses and networks. An address has one spelling here, whichever of its spellings came in: an IPv4 address that
 * is written as IPv6 (::ffff:192.0.2.1) is the IPv4 address.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

enum { ADDRESS_TEXT_MAX = 64, NETWORK_TEXT_MAX = 64 }; /* with its NUL */

struct address {
    unsigned char bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
};

struct network {
    struct address base;
    unsigned bits; /* of 128 */
};

/* An address by itself: no port, no brackets. A zone (fe80::1%eth0) is left out. */
bool address_parse(const char *text, size_t len, struct address *ret_address);

/* The same, as a proxy may write it: with a port ("192.0.2.1:80", "[::1]:80"), in brackets or without. */
bool address_parse_with_port(const char *text, size_t len, struct address *ret_address);

/* In its one spelling (RFC 5952). */
void address_format(const struct address *address, char text[static ADDRESS_TEXT_MAX]);

/* Is it an IPv4 address, in either spelling? */
bool address_is_v4(const struct address *address);

/* What counts as one client: an IPv4 address, or the /64 of an IPv6 one, which is what a single host is given. Text
 * that is no address ("unix", "") counts as itself. */
void address_group(const char *peer, char group[static ADDRESS_TEXT_MAX]);

/* "192.0.2.1", "10.0.0.0/8", "2001:db8::/32". False: neither an address nor a network, or a bit is set behind the
 * prefix's length, so that what was meant cannot be known. */
bool network_parse(const char *text, struct network *ret_network);
/* The same in three words. HAS_HOST_BITS: such a bit is set; *ret_network is the network that the address lies in. */
enum network_form { NETWORK_IS_NONE, NETWORK_HAS_HOST_BITS, NETWORK_IS_ONE };
enum network_form network_read(const char *text, struct network *ret_network);
/* In its one spelling; that of a single address has no length. */
void network_format(const struct network *network, char text[static NETWORK_TEXT_MAX]);
/* Has it no address but those of IPv4? */
bool network_is_v4(const struct network *network);
bool network_has(const struct network *network, const struct address *address);

#endif
