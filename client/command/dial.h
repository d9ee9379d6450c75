/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to the server as gRPC would make it, for `gatehouse doctor`: where does it fail? */
#ifndef DIAL_H
#define DIAL_H

#include <stdbool.h>

enum { DIAL_TEXT_MAX = 256 };

struct dial {
    char host[DIAL_TEXT_MAX], port[16]; /* of the address; "": it is a socket file, or one of gRPC's own forms */
    bool is_unix, is_other;             /* which of the two */
    char found[DIAL_TEXT_MAX];          /* the host's addresses, at most some; "": it has none */
    char why[DIAL_TEXT_MAX];            /* what went wrong last */
};

/* Takes the address apart. False: it makes no sense; `why` says it. */
bool dial_read(struct dial *dial, const char *address);

/* Looks the host up. False: it has no address. */
bool dial_resolve(struct dial *dial);

/* A connected, blocking socket, whose reads and writes end after `timeout_ms`, as the connection does. -1: no address
 * of the host answers. */
int dial_connect(struct dial *dial, const char *address, int timeout_ms);

#endif
