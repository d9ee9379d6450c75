/* SPDX-License-Identifier: Apache-2.0 */
/* Which methods the server has, by their paths. */
#ifndef RPC_REGISTRY_H
#define RPC_REGISTRY_H

#include "rpc/files.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct rpc_method {
    struct rpc_method *next;      /* the latest first */
    struct rpc_method *next_same; /* of the same hash */
    ProtobufCService *service;
    unsigned index;
    char *path; /* "/package.Service/Method" */
    size_t path_len;
    const ProtobufCMessageDescriptor *input;
    bool client_streams, server_streams;
};

enum { RPC_REGISTRY_BUCKETS = 256 };

struct rpc_registry {
    struct rpc_method *methods;
    struct rpc_method *buckets[RPC_REGISTRY_BUCKETS];
};

/* Every method of a service; the service is borrowed. */
void rpc_registry_add(struct rpc_registry *registry, ProtobufCService *service, const struct rpc_files *files);

/* NULL: there is none. */
const struct rpc_method *rpc_registry_find(const struct rpc_registry *registry, const char *path, size_t len);

/* By its full name. */
bool rpc_registry_has_service(const struct rpc_registry *registry, const char *name);

/* Frees its table; the services are their owners'. */
void rpc_registry_clear(struct rpc_registry *registry);

#endif
