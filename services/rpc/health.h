/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1.Health: one answer for every service of the server. */
#ifndef RPC_HEALTH_H
#define RPC_HEALTH_H

#include "rpc/registry.h"

struct rpc_health;

/* It names the registry's services. */
struct rpc_health *rpc_health_new(const struct rpc_registry *registry);
/* grpc.health.v1.Health, to be registered; lives as long as the health. */
ProtobufCService *rpc_health_service(struct rpc_health *health);
/* From any thread. Whoever watches is told. */
void rpc_health_set(struct rpc_health *health, bool is_serving);
/* No call may be under way. NULL is fine. */
void rpc_health_free(struct rpc_health *health);

#endif
