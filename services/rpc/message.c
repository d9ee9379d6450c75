/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/message.h"

#include "base/must.h"
#include "rpc/strings.h"

#include <stdlib.h>
#include <string.h>

enum { IN_ARENA_MAX = 2048 };

static void write_prefix(struct rpc_message *message, size_t len)
{
    message->bytes[0] = 0; /* not compressed */
    for (int i = 0; i < 4; i++)
        message->bytes[1 + i] = (uint8_t)(len >> (24 - 8 * i));
}

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
    write_prefix(packed, len);
    protobuf_c_message_pack(message, packed->bytes + RPC_PREFIX);
    return packed;
}

struct rpc_message *rpc_message_share(struct call_packed *packed)
{
    struct rpc_message *message = must(malloc(sizeof *message + RPC_PREFIX));
    *message = (struct rpc_message){.len = RPC_PREFIX + packed->len, .shared = packed};
    call_packed_hold(packed);
    write_prefix(message, packed->len);
    return message;
}

/* What an answer says may be a secret: IssueToken's is. */
void rpc_message_free(struct rpc_message *message)
{
    explicit_bzero(message->bytes, message->shared != NULL ? RPC_PREFIX : message->len);
    call_packed_release(message->shared);
    if (!message->is_in_arena)
        free(message);
}

const uint8_t *rpc_message_body(const struct rpc_message *message)
{
    return message->shared != NULL ? message->shared->bytes : message->bytes + RPC_PREFIX;
}

void rpc_message_copy(const struct rpc_message *message, size_t at, uint8_t *to, size_t len)
{
    for (; len > 0 && at < RPC_PREFIX; len--)
        *to++ = message->bytes[at++];
    if (len > 0)
        memcpy(to, rpc_message_body(message) + (at - RPC_PREFIX), len);
}

ProtobufCMessage *rpc_message_unpack(const ProtobufCMessageDescriptor *type, ProtobufCAllocator *allocator,
                                     const uint8_t *bytes, size_t len)
{
    if (!strings_are_valid(type, bytes, len))
        return NULL;
    return protobuf_c_message_unpack(type, allocator, len, len > 0 ? bytes : (const uint8_t *)"");
}
