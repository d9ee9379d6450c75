/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom trusted proxies name as the client: X-Forwarded-For, or Forwarded (RFC 7239). All lines of the header are one
 * list, for a proxy may add a line of its own below the client's.
 */
#ifndef REST_FORWARDED_H
#define REST_FORWARDED_H

#include "base/address.h"

#include <stdbool.h>
#include <stddef.h>

struct forwarded {
    const struct network *trusted; /* borrowed */
    size_t trusted_count;
    bool is_unix_trusted; /* whoever calls by a socket file is one of them */
    bool is_rfc7239;      /* else X-Forwarded-For */
};

/* Is it one of trusted_proxies? */
bool forwarded_is_trusted(const struct forwarded *forwarded, const struct address *address);

/* From the right: the first entry that is no trusted proxy's. An entry that is no address ends the walk, for nobody
 * vouches for what stands left of it; so `peer`, which comes in as the connection's own address, stays what it was
 * before that entry. */
void forwarded_find(const struct forwarded *forwarded, const char *const *lines, size_t line_count,
                    char peer[static ADDRESS_TEXT_MAX]);

#endif
