/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one call: handed out piecemeal, given back all at once, wiped, and never more than a limit. */
#ifndef RPC_ARENA_H
#define RPC_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

struct rpc_arena_chunk;

struct rpc_arena {
    ProtobufCAllocator allocator;   /* for protobuf-c: unpacking fails cleanly at the limit */
    size_t limit;                   /* bytes in all */
    size_t taken;                   /* bytes of all chunks so far */
    struct rpc_arena_chunk *chunks; /* those beyond `first`, the newest first */
    char *at, *end;                 /* what is free of the newest chunk */
    _Alignas(max_align_t) char first[4096];
};

/* At most `limit` bytes in all. rpc_arena_reset gives them back. */
void rpc_arena_init(struct rpc_arena *arena, size_t limit);

/* NULL at the limit. */
void *rpc_arena_alloc(struct rpc_arena *arena, size_t size);

/* A copy of `len` bytes with a NUL behind. NULL at the limit. */
char *rpc_arena_copy(struct rpc_arena *arena, const void *bytes, size_t len);

/* Wipes and gives back everything (a request holds secrets). The arena can be used again. */
void rpc_arena_reset(struct rpc_arena *arena);

#endif
