/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as they go over the wire. */
#ifndef RPC_MESSAGE_H
#define RPC_MESSAGE_H

#include "base/arena.h"
#include "call/call.h"

#include <stdbool.h>
#include <stdint.h>

enum { RPC_PREFIX = 5 }; /* gRPC's framing: a flag, and the length in four bytes */

/* One that is to be sent, with its prefix. */
struct rpc_message {
    struct rpc_message *next;
    bool is_in_arena;
    size_t len;                 /* with the prefix */
    struct call_packed *shared; /* what follows the prefix; NULL: that is in `bytes`, too */
    uint8_t bytes[];
};

/* A small one in the arena, where one is given, else in memory of its own. */
struct rpc_message *rpc_message_pack(const ProtobufCMessage *message, struct arena *arena);
/* One that others are sent, too; it holds `packed`. */
struct rpc_message *rpc_message_share(struct call_packed *packed);
void rpc_message_free(struct rpc_message *message);

/* What follows the prefix. */
const uint8_t *rpc_message_body(const struct rpc_message *message);
/* Of all of it, the `len` bytes at `at`. */
void rpc_message_copy(const struct rpc_message *message, size_t at, uint8_t *to, size_t len);

/* NULL: it cannot be read, or has a string that is no UTF-8. allocator: NULL for malloc. */
ProtobufCMessage *rpc_message_unpack(const ProtobufCMessageDescriptor *type, ProtobufCAllocator *allocator,
                                     const uint8_t *bytes, size_t len);

#endif
