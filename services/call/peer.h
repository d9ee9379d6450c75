/* SPDX-License-Identifier: Apache-2.0 */
/* For whom an edge or a gateway calls: its own address says nothing to the throttle and the audit log. */
#ifndef CALL_PEER_H
#define CALL_PEER_H

#include "base/address.h"
#include "call/call.h"

/* Whose word counts. */
struct peer_trust {
    const char *const *identities; /* names proved by mutual TLS; NULL-ended; NULL: none */
    struct network *networks;
    size_t network_count;
    bool is_unix; /* whoever calls by a socket file */
};

/* `proxies`: addresses and networks, all valid, or "unix"; NULL-ended; NULL: none. */
void peer_trust_init(struct peer_trust *trust, const char *const *identities, const char *const *proxies);
void peer_trust_done(struct peer_trust *trust);

/* Puts whom the caller calls for in the caller's place, if it is believed. Before anything looks at the peer. */
void peer_resolve(const struct peer_trust *trust, struct call *call);

#endif
