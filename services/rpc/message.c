/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/message.h"

#include "rpc/strings.h"

#include <stdlib.h>
#include <string.h>

enum { IN_ARENA_MAX = 2048 };

struct rpc_message *rpc_message_pack(const ProtobufCMessage *message, struct arena *arena)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    size_t size = sizeof(struct rpc_message) + RPC_PREFIX + len;
    struct rpc_message *packed = arena != NULL && size <= IN_ARENA_MAX ? arena_try(arena, size) : NULL;
    bool is_in_arena = packed != NULL;
    if (!is_in_arena)
        packed = malloc(size);
    if (packed == NULL)
        abort();
    *packed = (struct rpc_message){.is_in_arena = is_in_arena, .len = RPC_PREFIX + len};
    packed->bytes[0] = 0; /* not compressed */
    for (int i = 0; i < 4; i++)
        packed->bytes[1 + i] = (uint8_t)(len >> (24 - 8 * i));
    protobuf_c_message_pack(message, packed->bytes + RPC_PREFIX);
    return packed;
}

/* What an answer says may be a secret: IssueToken's is. */
void rpc_message_free(struct rpc_message *message)
{
    explicit_bzero(message->bytes, message->len);
    if (!message->is_in_arena)
        free(message);
}

ProtobufCMessage *rpc_message_unpack(const ProtobufCMessageDescriptor *type, ProtobufCAllocator *allocator,
                                     const uint8_t *bytes, size_t len)
{
    if (!strings_are_valid(type, bytes, len))
        return NULL;
    return protobuf_c_message_unpack(type, allocator, len, len > 0 ? bytes : (const uint8_t *)"");
}
