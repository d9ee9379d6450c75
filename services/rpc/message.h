/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as they go over the wire. */
#ifndef RPC_MESSAGE_H
#define RPC_MESSAGE_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum { RPC_PREFIX = 5 }; /* gRPC's framing: a flag, and the length in four bytes */

/* One that is to be sent, with its prefix. */
struct rpc_message {
    struct rpc_message *next;
    bool is_in_arena;
    size_t len; /* of all of `bytes` */
    uint8_t bytes[];
};

/* A small one in the arena, where one is given, else in memory of its own. */
struct rpc_message *rpc_message_pack(const ProtobufCMessage *message, struct arena *arena);
void rpc_message_free(struct rpc_message *message);

/* NULL: it cannot be read, or has a string that is no UTF-8. allocator: NULL for malloc. */
ProtobufCMessage *rpc_message_unpack(const ProtobufCMessageDescriptor *type, ProtobufCAllocator *allocator,
                                     const uint8_t *bytes, size_t len);

#endif
