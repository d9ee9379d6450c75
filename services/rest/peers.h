/* SPDX-License-Identifier: Apache-2.0 */
/* How many connections each address has. From any thread. */
#ifndef REST_PEERS_H
#define REST_PEERS_H

#include <stdbool.h>

struct peers;

struct peers *peers_new(int most); /* NULL: out of memory */
/* NULL is fine. */
void peers_free(struct peers *peers);

/* false: this address has its most already (or memory is out), and was not counted. */
bool peers_add(struct peers *peers, const char *address);
void peers_remove(struct peers *peers, const char *address);

#endif
