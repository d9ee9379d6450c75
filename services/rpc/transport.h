/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line between what is gRPC and what is its transport: a transport implements struct rpc_transport and calls
 * rpc_call_*; nothing else goes across.
 *
 * A call has two owners: its transport, and its handler (or this layer, until there is one, and in its place where a
 * stream of requests is answered one by one). The handler's share ends with wake(call, true). A transport holds its own
 * at least as long as it is inside a function of this page, and gives the call back by rpc_call_release when both have
 * let go.
 *
 * The transport's thread of a call (a loop, or whichever of gRPC core's has its event) calls begin, header,
 * headers_done; then message and half_closed. A unary method's one message comes unasked, and a client's last word
 * (half_closed) invokes the handler. A stream of requests is read one by one: read_next is answered by one message or
 * by half_closed. To send, it takes: wake says that there is something.
 */
#ifndef RPC_TRANSPORT_H
#define RPC_TRANSPORT_H

#include "base/arena.h"
#include "base/certificate.h"
#include "call/call.h"
#include "rpc/message.h"
#include "rpc/registry.h"
#include "rpc/server.h"

#include <pthread.h>
#include <stdatomic.h>

#define RPC_CONTAINER(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))

enum {
    RPC_STREAM_QUEUE = 32,    /* messages a stream may have waiting, */
    RPC_STREAM_BYTES = 65536, /* and for a handler that looks: bytes, whatever the next message adds */
    RPC_IDENTITIES_MAX = 16,  /* names taken of a client's certificate */
};

struct rpc_call;

struct rpc_transport {
    const char *name;
    /* As in server.h; start sets server->transport_data, and is cleaned up after by free, also where it failed. */
    enum status (*start)(struct rpc_server *server);
    int (*port)(const struct rpc_server *server);
    enum status (*reload)(struct rpc_server *server);
    bool (*is_stale)(const struct rpc_server *server);
    void (*stop)(struct rpc_server *server, int64_t grace_ms);
    void (*free)(struct rpc_server *server);
    bool (*is_turning)(const struct rpc_server *server, int64_t limit_ms);
    bool (*count)(const struct rpc_server *server, struct rpc_counters *ret_counters);

    /* From any thread, without a lock of this layer's: rpc_call_take has something. is_last: and the handler has let go
     * of the call, which may be gone when this returns. */
    void (*wake)(struct rpc_call *call, bool is_last);
    /* From any thread: the next message of a stream of requests can come. */
    void (*read_next)(struct rpc_call *call);
    /* On the transport's thread: from here on a cancellation is to be told. */
    void (*watch_cancel)(struct rpc_call *call);
};

extern const struct rpc_transport rpc_transport_core, rpc_transport_nghttp2;

struct rpc_server {
    struct rpc_server_options options; /* strings are copies, limits are filled in */
    const struct rpc_transport *transport;
    void *transport_data;
    struct rpc_registry registry;
    rpc_observe_fn *observe;
    void *observe_arg;
    atomic_bool is_draining;
    _Atomic bool is_running; /* also read by whoever counts, while another thread stops the server */
    char request_id_prefix[20];
    atomic_uint_least64_t request_count;
    struct rpc_files *files;
    struct rpc_health *health;
    struct rpc_reflection *reflection;
};

/* Of its TLS, to see whether they have changed. */
static inline struct certificate_files rpc_server_files(const struct rpc_server_options *options)
{
    return (struct certificate_files){options->tls_cert_file, options->tls_key_file, options->tls_client_ca_file,
                                      options->tls_client_crl_file};
}

struct rpc_call {
    struct call base; /* first: what the handler and the closure get is this */
    struct rpc_server *server;
    const struct rpc_method *method; /* NULL: there is none of this name */
    int64_t started;                 /* CLOCK_MONOTONIC, microseconds */
    bool has_authorization;
    bool is_invoked; /* the transport's thread */
    atomic_bool is_cancelled, cancel_told;
    ProtobufCMessage *request;                    /* the one that the handler has */
    struct arena arena;                           /* of the request, and of a small answer */
    _Alignas(max_align_t) char arena_first[1024]; /* an Introspect takes 600 */

    pthread_mutex_t lock; /* guards what follows */
    struct rpc_message *first, *last;
    unsigned count;
    size_t queued;       /* bytes of them */
    unsigned busy;       /* threads that are answering a stream of requests and need the call a little longer */
    bool has_request;    /* of a stream: one that was not answered yet */
    bool is_asked;       /* read_next was said */
    bool reads_later;    /* it is to be, as soon as nothing waits to be sent */
    bool is_half_closed; /* the client has said its last */
    bool is_conversing;
    bool is_finishing;
    bool is_ended; /* by its handler, or in its place */
    bool is_dead;  /* cancelled or given up: nothing more is sent but the status */
    void (*on_ready)(struct call *call);
    void (*on_half_closed)(struct call *call);
    void (*on_finish)(struct call *call);
};

/* Does its client stream requests? */
static inline bool rpc_call_is_dialog(const struct rpc_call *call)
{
    return call->method != NULL && call->method->client_streams;
}

/* Once for each object; it is used for many calls. */
void rpc_call_init(struct rpc_call *call, struct rpc_server *server);
void rpc_call_done(struct rpc_call *call);

/* A new call. The transport then sets base.peer, base.identities, base.deadline and whatever it knows by itself. */
void rpc_call_begin(struct rpc_call *call, int64_t now);

/* One header of the request; those that nobody needs are passed over. */
void rpc_call_header(struct rpc_call *call, const char *name, size_t name_len, const char *value, size_t len);

/* method: as rpc_registry_find has it. NULL: `path` is told as the call's method. */
void rpc_call_headers_done(struct rpc_call *call, const struct rpc_method *method, const char *path, size_t path_len);

/* One whole message, without its prefix. */
void rpc_call_message(struct rpc_call *call, const uint8_t *bytes, size_t len);
void rpc_call_half_closed(struct rpc_call *call);

/* The peer has gone or has given up, or the deadline has passed. Once; not after the transport let go. */
void rpc_call_cancelled(struct rpc_call *call);

/* The call is to end soon: see rpc_call_on_finish. The transport says so for calls that stream; of a call that begins
 * while the server drains this layer knows by itself. */
void rpc_call_finish(struct rpc_call *call);

/* What is to be sent next. A message is the transport's then. The status is base.error. */
enum rpc_take { RPC_TAKE_NOTHING, RPC_TAKE_MESSAGE, RPC_TAKE_STATUS };
enum rpc_take rpc_call_take(struct rpc_call *call, struct rpc_message **ret_message);

/* Bytes that wait to be taken. */
size_t rpc_call_queued(struct rpc_call *call);

/* After messages were taken, outside of the transport's locks: what waited for room continues. */
void rpc_call_taken(struct rpc_call *call);

/* Tells the observer, and wipes. */
void rpc_call_release(struct rpc_call *call, enum status status, int64_t now);

#endif
