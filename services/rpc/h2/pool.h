/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for the nghttp2 sessions of one loop, and for its thread alone. Small blocks go round instead of back to
 * malloc, whose own lists are shorter than the streams that a loop has at once; and each is wiped when it is given
 * back, for headers and messages hold tokens and secret keys. Under a sanitizer nothing is kept, so that it sees what
 * was freed.
 */
#ifndef RPC_H2_POOL_H
#define RPC_H2_POOL_H

#include <nghttp2/nghttp2.h>

enum {
    H2_POOL_STEP = 32,     /* bytes by which the sizes of two neighbouring lists differ */
    H2_POOL_LISTS = 32,    /* larger blocks are malloc's */
    H2_POOL_KEPT = 1 << 20 /* bytes in all */
};

struct h2_block;

/* Zeros are an empty one. */
struct h2_pool {
    struct h2_block *lists[H2_POOL_LISTS];
    size_t kept;
};

/* What nghttp2_session_server_new3 takes; `pool` must outlive the session. */
nghttp2_mem h2_pool_mem(struct h2_pool *pool);

/* When every session has given back what it had. */
void h2_pool_done(struct h2_pool *pool);

#endif
