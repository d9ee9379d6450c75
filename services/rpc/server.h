/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC server for any ProtobufCService, on gRPC core's C API. It knows nothing of tokens.
 *
 * Threads: one completion queue a server, one polling thread or more each. A handler runs on a polling thread and must
 * not block; it may answer there and then (one batch, the fast way) or later from any thread.
 */
#ifndef RPC_SERVER_H
#define RPC_SERVER_H

#include "call.h"

struct rpc_server;

struct rpc_server_options {
    const char *address;            /* "127.0.0.1:50051", "[::1]:0", "unix:/run/…" */
    const char *tls_cert_file;      /* PEM; NULL: no TLS */
    const char *tls_key_file;       /* PEM */
    const char *tls_client_ca_file; /* PEM; not NULL: a client must present a certificate signed by it (mutual TLS) */
    int threads;                    /* polling threads in all; 0: 4 */
    size_t max_message_bytes;       /* of a request; 0: 64 KiB */
    int max_concurrent_streams;     /* per connection; 0: 256 */
    const void *descriptor_set;     /* serialized google.protobuf.FileDescriptorSet (protoc --descriptor_set_out
                                       --include_imports): says which methods stream; reflection serves it */
    size_t descriptor_set_len;
};

/* What the server counts and tells of each call that ended, whatever its outcome; called on any thread. For the
 * request log and metrics. */
typedef void rpc_observe_fn(void *arg, const struct call *call, enum status status, int64_t duration_us);

/* Makes a server that listens nowhere yet. It registers health and reflection by itself. NULL: *ret_why (static) says
 * why. The options' strings are copied, the descriptor set is borrowed. */
struct rpc_server *rpc_server_new(const struct rpc_server_options *options, const char **ret_why);

/* Registers every method of `service` under /package.Service/Method. Before start. The service is borrowed. */
void rpc_server_add(struct rpc_server *server, ProtobufCService *service);

void rpc_server_observe(struct rpc_server *server, rpc_observe_fn *observe, void *arg);

/* Binds the port and starts the threads. STATUS_UNAVAILABLE: the port could not be bound. Certificates that cannot be
 * read: STATUS_FAILED_PRECONDITION. */
enum status rpc_server_start(struct rpc_server *server);

/* The port that was bound; useful where address ended in :0. */
int rpc_server_port(const struct rpc_server *server);

/* Health of every service of this server, as grpc.health.v1 tells it: false turns NOT_SERVING, and each Watch hears. */
void rpc_server_set_serving(struct rpc_server *server, bool is_serving);

/* Reads the certificate files again (SIGHUP); the next handshake takes them, open connections go on.
 * STATUS_FAILED_PRECONDITION: they cannot be read or do not fit each other, and the old ones stay. Blocking. */
enum status rpc_server_reload(struct rpc_server *server);

/* Has one of these files changed since they were read? Both from one thread. */
bool rpc_server_is_stale(const struct rpc_server *server);

/* Drains: NOT_SERVING, GOAWAY, no new calls; waits for the accepted ones, cancels what is left after grace_ms; then
 * joins the threads. Blocking; once. A call that arrives before its client has read the GOAWAY never gets to a handler,
 * and gRPC core tells its client CANCELLED; health watchers and streams of requests are ended with UNAVAILABLE. */
void rpc_server_stop(struct rpc_server *server, int64_t grace_ms);

void rpc_server_free(struct rpc_server *server);

/* For handlers that stream a lot: may one more message be sent? One too many ends the call with RESOURCE_EXHAUSTED. No
 * message may be sent to a call that is over, and on_cancel tells of that; on_ready is called, on any thread, each time
 * the queue has run empty. Both may run while another thread ends the call: the handler finds its own state under its
 * own lock, and handler_data must not be that state. Neither is called under a lock of this layer's. */
bool rpc_call_has_room(const struct call *call);
void rpc_call_on_ready(struct call *call, void (*on_ready)(struct call *call));

#endif
