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
#include <stdbool.h>

enum {
    H2_POOL_STEP = 16,      /* bytes by which the sizes of two neighbouring lists differ */
    H2_POOL_LISTS = 64,     /* larger blocks are malloc's */
    H2_POOL_KEPT = 1 << 20, /* bytes in all */
    H2_POOL_NESTS = 32,     /* that are kept for the next sessions */
    H2_NEST_PAGE = 4096,
    H2_NEST_ROOM = 8192,   /* for what is used: in whole pages, as is the next */
    H2_NEST_FRAME = 16384, /* behind it, for the rest of a frame of more than */
    H2_NEST_HEAD = 160,    /* bytes */
    H2_NEST_LARGE = 2048,  /* what fits badly, below this and above the lists, is malloc's */
};

struct h2_block;

/*
 * The memory that one session begins with, in pages of its own. nghttp2 takes 16 KiB for the frame that it sends, and
 * uses hardly any of it: it lies where the rest is pages that nobody touches, and these are no memory. What is given
 * back into it is wiped, and is free when the session ends.
 */
struct h2_nest {
    struct h2_pool *pool;
    uint8_t *base, *at, *end; /* of what is still to be given out; NULL: there is none */
    bool has_frame;
};

/* Zeros are an empty one. */
struct h2_pool {
    struct h2_block *lists[H2_POOL_LISTS];
    size_t kept;
    struct h2_block *nests; /* by their first bytes */
    size_t nest_count;
};

/* When every session has given back what it had. */
void h2_pool_done(struct h2_pool *pool);

/* For one session. `pool` has what does not find room; it must outlive the nest, and the nest the session. */
void h2_nest_init(struct h2_nest *nest, struct h2_pool *pool);
/* What nghttp2_session_server_new3 takes. */
nghttp2_mem h2_nest_mem(struct h2_nest *nest);
/* The session has given back what it had. Zeros are fine. */
void h2_nest_done(struct h2_nest *nest);

#endif
