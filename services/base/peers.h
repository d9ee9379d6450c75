/* SPDX-License-Identifier: Apache-2.0 */
/* How many connections each address has; whoever asks says what counts as one (an IPv6 /64 does). From any thread. */
#ifndef BASE_PEERS_H
#define BASE_PEERS_H

#include <stdbool.h>

struct peers;

/* An address may have `most` of them. */
struct peers *peers_new(int most);
/* NULL is fine. */
void peers_free(struct peers *peers);

/* "" is nobody, and has no limit. False: this address has its most already, and was not counted. */
bool peers_add(struct peers *peers, const char *address);
void peers_remove(struct peers *peers, const char *address);

#endif
