/* SPDX-License-Identifier: Apache-2.0 */
/* The first loop accepts, and hands each socket to the loop with the fewest connections. */
#ifndef RPC_H2_ACCEPT_H
#define RPC_H2_ACCEPT_H

#include "rpc/h2/loop.h"

struct h2_acceptor;

/* Accepts for all loops, on this one. */
struct h2_acceptor *h2_acceptor_new(struct h2_loop *loop);
/* What comes from here on waits for the next process, or is refused by the system. */
void h2_acceptor_stop(struct h2_acceptor *acceptor);
void h2_acceptor_free(struct h2_acceptor *acceptor);

#endif
