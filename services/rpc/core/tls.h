/* SPDX-License-Identifier: Apache-2.0 */
/* The server's certificate, and how it is exchanged while the server runs. */
#ifndef RPC_CORE_TLS_H
#define RPC_CORE_TLS_H

#include "rpc/server.h"

#include <grpc/grpc_security.h>

struct core_tls;

/* No files are read yet. */
struct core_tls *core_tls_new(const struct rpc_server_options *options);
/* Reads and checks the files; the next handshake takes them. */
enum status core_tls_load(struct core_tls *tls);
bool core_tls_is_stale(const struct core_tls *tls);
grpc_server_credentials *core_tls_credentials(struct core_tls *tls);
void core_tls_free(struct core_tls *tls);

#endif
