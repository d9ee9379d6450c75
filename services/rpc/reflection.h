/* SPDX-License-Identifier: Apache-2.0 */
/* Server reflection, v1 and v1alpha. */
#ifndef RPC_REFLECTION_H
#define RPC_REFLECTION_H

#include "rpc/registry.h"

struct rpc_reflection;

/* It describes the registry's services by `files`; both must outlive it. */
struct rpc_reflection *rpc_reflection_new(const struct rpc_registry *registry, const struct rpc_files *files);
/* grpc.reflection.v1, or v1alpha; lives as long as the reflection. */
ProtobufCService *rpc_reflection_service(struct rpc_reflection *reflection, bool alpha);
/* No call may be under way. NULL is fine. */
void rpc_reflection_free(struct rpc_reflection *reflection);

#endif
