/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor set: the .proto files that the server was made from. */
#ifndef RPC_FILES_H
#define RPC_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rpc_file {
    const uint8_t *bytes; /* as they stand in the set */
    size_t len;
    struct Google__Protobuf__FileDescriptorProto *parsed;
};

struct rpc_files {
    struct rpc_file *files;
    size_t count;
};

/* NULL: it cannot be read. The set is borrowed. */
struct rpc_files *rpc_files_new(const void *descriptor_set, size_t len);
void rpc_files_free(struct rpc_files *files);

/* Which sides of a method stream; neither where the set does not know it. */
void rpc_files_streaming(const struct rpc_files *files, const char *service, const char *method, bool *ret_client,
                         bool *ret_server);

#endif
