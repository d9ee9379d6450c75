/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC server for any ProtobufCService. It knows nothing of tokens.
 *
 * It serves through one of two transports: h2/, on libnghttp2, and core/, on gRPC core's C API. What is the same for
 * both is in this folder; transport.h is the line between.
 *
 * A handler runs on one of the server's threads and must not block; it may answer there and then (the fast way) or
 * later from any thread.
 */
#ifndef RPC_SERVER_H
#define RPC_SERVER_H

#include "call/call.h"

struct rpc_server;

/* Nobody gets more than this. A 0 takes the default that is named. core/ heeds those marked [both]; for the others gRPC
 * core has its own or none. */
struct rpc_limits {
    int max_connections;             /* 8192 */
    int max_connections_per_address; /* 1024; an IPv6 /64 is one address; unix sockets are not counted */
    int max_calls_per_connection;    /* [both] 256: those whose handler has not answered count, though cancelled */
    size_t max_header_bytes;         /* [both] 8 KiB: names, values and 32 each, of one call */
    size_t max_message_bytes;        /* [both] 64 KiB: of a request */
    size_t max_connection_bytes;     /* 4 MiB: requests and answers that wait, of one connection */
    size_t max_memory_bytes;         /* 256 MiB: of all connections */
    int64_t handshake_timeout_ms;    /* [both] 5,000: TLS */
    int64_t settings_timeout_ms;     /* 10,000: from accept to the client's SETTINGS */
    int64_t progress_timeout_ms; /* 20,000: a peer that takes nothing, sends no more of a request, answers no PING */
    int64_t answer_timeout_ms;   /* 60,000: an answer whose peer keeps its window closed */
    int64_t connection_age_ms;   /* [both] 900,000, less up to a tenth; its streams are ended before; -1: none */
    int max_resets_per_second;   /* 500 of a connection, and four times as many at once */
    int max_pings_per_second;    /* 10 of a connection, likewise: PING, SETTINGS and others that ask for nothing */
};

struct rpc_server_options {
    const char *transport;           /* "nghttp2", "core"; NULL: nghttp2 */
    const char *address;             /* "127.0.0.1:50051", "[::1]:0", "*:50051" (IPv4 and IPv6), "unix:/run/…" */
    int listen_fd;                   /* not 0: a socket that listens already, instead of address; stays the caller's */
    const char *tls_cert_file;       /* PEM; NULL: no TLS */
    const char *tls_key_file;        /* PEM */
    const char *tls_client_ca_file;  /* PEM; not NULL: a client must present a certificate signed by it (mutual TLS) */
    const char *tls_client_crl_file; /* PEM; not NULL: and none that is revoked there */
    bool identity_from_cn;           /* a certificate without subjectAltName is known by its CN; else by no name */
    int threads;                     /* in all; 0: 4 */
    struct rpc_limits limits;
    const void *descriptor_set; /* serialized google.protobuf.FileDescriptorSet (protoc --descriptor_set_out
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

/* Each call that ends is told to `observe`, from the thread on which it ended. Before rpc_server_start. */
void rpc_server_observe(struct rpc_server *server, rpc_observe_fn *observe, void *arg);

/* Binds the port and starts the threads. STATUS_UNAVAILABLE: the port could not be bound. Certificates that cannot be
 * read: STATUS_FAILED_PRECONDITION. */
enum status rpc_server_start(struct rpc_server *server);

/* The port that was bound; useful where address ended in :0. 0 for a unix socket. */
int rpc_server_port(const struct rpc_server *server);

/* Health of every service of this server, as grpc.health.v1 tells it: false turns NOT_SERVING, and each Watch hears. */
void rpc_server_set_serving(struct rpc_server *server, bool is_serving);

/* Reads the certificate files again (SIGHUP); the next handshake takes them. Open connections go
 * on, but, on nghttp2, those of clients that would not get in any more. STATUS_FAILED_PRECONDITION: they cannot be read
 * or do not fit each other, and the old ones stay. Blocking. */
enum status rpc_server_reload(struct rpc_server *server);

/* Has one of these files changed since they were read? Both from one thread. */
bool rpc_server_is_stale(const struct rpc_server *server);

/* Does each of its threads turn, or has one of them been busy with something for so long? gRPC core does not tell. */
bool rpc_server_is_turning(const struct rpc_server *server, int64_t limit_ms);

/* Drains: NOT_SERVING, GOAWAY, no new calls; waits for the accepted ones, cancels what is left after grace_ms; then
 * joins the threads. Blocking; once. Streams are asked to end, with UNAVAILABLE. On nghttp2 a call that a client sends
 * before it has read the GOAWAY is served or refused as one to be tried again; on core it never gets to a handler, and
 * gRPC core tells its client CANCELLED. */
void rpc_server_stop(struct rpc_server *server, int64_t grace_ms);

/* After rpc_server_stop. NULL is fine. */
void rpc_server_free(struct rpc_server *server);

/* How often a limit was met, each by a name for a metric's label, and how many connections are open. */
enum rpc_limit {
    RPC_LIMIT_CONNECTIONS,
    RPC_LIMIT_ADDRESS,
    RPC_LIMIT_CALLS,
    RPC_LIMIT_HEADERS,
    RPC_LIMIT_MESSAGE,
    RPC_LIMIT_MEMORY,
    RPC_LIMIT_HANDSHAKE,
    RPC_LIMIT_SETTINGS,
    RPC_LIMIT_PROGRESS,
    RPC_LIMIT_ANSWER,
    RPC_LIMIT_RESETS,
    RPC_LIMIT_PINGS,
    RPC_LIMIT_PROTOCOL, /* what is no HTTP/2 */
    RPC_LIMIT_DESCRIPTORS,
    RPC_LIMIT_COUNT,
};
struct rpc_counters {
    uint64_t connections; /* open now */
    uint64_t accepted;
    uint64_t limited[RPC_LIMIT_COUNT];
};
/* As a metric's label: "connections". */
const char *rpc_limit_name(enum rpc_limit limit);
/* False: this transport does not count. */
bool rpc_server_counters(const struct rpc_server *server, struct rpc_counters *ret_counters);

/* For handlers that stream a lot: may one more message be sent? One too many ends the call with RESOURCE_EXHAUSTED. No
 * message may be sent to a call that is over, and on_cancel tells of that; on_ready is called, on any thread, each time
 * the queue has run empty. Both may run while another thread ends the call: the handler finds its own state under its
 * own lock, and handler_data must not be that state. Neither is called under a lock of this layer's. */
bool rpc_call_has_room(const struct call *call);
/* One more answer of a stream, as the closure gives one. */
void rpc_call_send(struct call *call, struct call_packed *packed);
void rpc_call_on_ready(struct call *call, void (*on_ready)(struct call *call));

/* For handlers whose streams last: on_finish is called, on any thread and at once if it is late, when the server drains
 * or the connection has reached its age. The handler then ends the call soon; what has not ended when the time is up is
 * cancelled. Its caller is told UNAVAILABLE, and tries again. */
void rpc_call_on_finish(struct call *call, void (*on_finish)(struct call *call));

/* A method that streams both ways: its handler is invoked once a request message, and as it stands owes each of them
 * one answer; the next message is read when that was sent, and the call ends after the client's last.
 *
 * A handler that says rpc_call_converse in its first invocation has the call for itself instead: it sends what it wants
 * when it wants, takes the next request by rpc_call_read_next (which comes when what waits was sent; the one before is
 * gone then), and ends the call by NULL.
 * on_half_closed, which may be NULL, is called in place of the next invocation when the client has sent its last. */
void rpc_call_converse(struct call *call, void (*on_half_closed)(struct call *call));
void rpc_call_read_next(struct call *call);

#endif
