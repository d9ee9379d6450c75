/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/registry.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HASHED = 12 };

/* FNV-1a over the end, in which paths differ */
static size_t bucket_of(const char *path, size_t len)
{
    uint32_t hash = 2166136261u ^ (uint32_t)len;
    for (size_t i = len > HASHED ? len - HASHED : 0; i < len; i++)
        hash = (hash ^ (unsigned char)path[i]) * 16777619u;
    return (hash ^ hash >> 16) % RPC_REGISTRY_BUCKETS;
}

static void add_method(struct rpc_registry *registry, ProtobufCService *service, unsigned index,
                       const struct rpc_files *files)
{
    const ProtobufCServiceDescriptor *descriptor = service->descriptor;
    struct rpc_method *method = calloc(1, sizeof *method);
    if (method == NULL || asprintf(&method->path, "/%s/%s", descriptor->name, descriptor->methods[index].name) < 0)
        abort();
    method->path_len = strlen(method->path);
    method->service = service;
    method->index = index;
    method->input = descriptor->methods[index].input;
    rpc_files_streaming(files, descriptor->name, descriptor->methods[index].name, &method->client_streams,
                        &method->server_streams);
    struct rpc_method **bucket = &registry->buckets[bucket_of(method->path, method->path_len)];
    method->next_same = *bucket;
    *bucket = method;
    method->next = registry->methods;
    registry->methods = method;
}

void rpc_registry_add(struct rpc_registry *registry, ProtobufCService *service, const struct rpc_files *files)
{
    for (unsigned i = 0; i < service->descriptor->n_methods; i++)
        add_method(registry, service, i, files);
}

const struct rpc_method *rpc_registry_find(const struct rpc_registry *registry, const char *path, size_t len)
{
    const struct rpc_method *method = registry->buckets[bucket_of(path, len)];
    while (method != NULL && (method->path_len != len || memcmp(method->path, path, len) != 0))
        method = method->next_same;
    return method;
}

bool rpc_registry_has_service(const struct rpc_registry *registry, const char *name)
{
    for (const struct rpc_method *method = registry->methods; method != NULL; method = method->next)
        if (strcmp(method->service->descriptor->name, name) == 0)
            return true;
    return false;
}

void rpc_registry_clear(struct rpc_registry *registry)
{
    for (struct rpc_method *method = registry->methods, *next; method != NULL; method = next) {
        next = method->next;
        free(method->path);
        free(method);
    }
    *registry = (struct rpc_registry){};
}
