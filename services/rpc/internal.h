/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of rpc/ share. */
#ifndef RPC_INTERNAL_H
#define RPC_INTERNAL_H

#include "call.h"
#include "rpc/arena.h"
#include "rpc/server.h"

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    RPC_SLOTS = 32,          /* requests kept posted a method; 1 costs 8 %, 1024 cost 25 % */
    RPC_UNKNOWN_SLOTS = 4,   /* the same for calls of methods that do not exist */
    RPC_STREAM_QUEUE = 32,   /* messages a stream may have waiting */
    RPC_IDENTITIES_MAX = 16, /* names taken of a client's certificate */
    RPC_POOL_MAX = 256,      /* idle call objects that are kept */
};

/* Every tag that goes into the completion queue is one of these. */
struct rpc_tag {
    void (*run)(struct rpc_tag *tag, bool ok);
};

#define RPC_CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* libgrpc is not instrumented, so ThreadSanitizer does not see that what happened before a tag was handed over happened
 * before it came out of the queue. These say so. */
#if defined(__SANITIZE_THREAD__)
#define RPC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RPC_TSAN 1
#endif
#endif
#ifdef RPC_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define RPC_TSAN_ACQUIRE(address) __tsan_acquire(address)
#define RPC_TSAN_RELEASE(address) __tsan_release(address)
#else
#define RPC_TSAN_ACQUIRE(address) (void)(address)
#define RPC_TSAN_RELEASE(address) (void)(address)
#endif

struct rpc_method;

/* A request for the next call of a method, posted to gRPC core. */
struct rpc_slot {
    struct rpc_tag tag;
    const struct rpc_method *method;
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload;
    grpc_call_details details; /* only where the method is unknown */
};

struct rpc_method {
    struct rpc_server *server;
    struct rpc_method *next;
    ProtobufCService *service; /* NULL: whatever is not registered */
    unsigned index;
    char *path; /* "/package.Service/Method" */
    bool client_streams, server_streams;
    void *handle; /* gRPC core's */
    struct rpc_slot slots[RPC_SLOTS];
};

/* Where a unary call stands between its handler's invocation and its answer. */
enum rpc_progress { RPC_INVOKING, RPC_ANSWERED, RPC_WAITING };

/* What a call that streams has beside; under its lock. */
struct rpc_stream {
    pthread_mutex_t lock;
    grpc_byte_buffer *queue[RPC_STREAM_QUEUE];
    unsigned head, count;
    bool sending;       /* one message is under way */
    bool reading;       /* the next request message is awaited */
    bool header_sent;   /* initial metadata */
    bool close_started; /* RECV_CLOSE_ON_SERVER */
    bool ended;         /* the handler has ended it */
    bool closed;        /* the status is under way */
    bool dead;          /* cancelled or failed: nothing more can be sent */
    void (*on_ready)(struct call *call);
    struct rpc_call *previous, *next; /* of the server's streams; under the server's lock */
};

struct rpc_call {
    struct call base; /* first: what the handler and the closure get is this */
    struct rpc_server *server;
    const struct rpc_method *method;
    grpc_call *call;
    grpc_metadata_array metadata;
    int64_t started;
    atomic_uint refs; /* one each: the handler until it has answered, a batch under way, a thread that looks */
    _Atomic enum rpc_progress progress;
    atomic_bool is_cancelled, cancel_told;
    bool close_started; /* RECV_CLOSE_ON_SERVER of a unary call; written before progress is RPC_WAITING */
    int was_cancelled;  /* written by gRPC core */
    struct rpc_tag on_done, on_close, on_sent, on_message;
    grpc_byte_buffer *response; /* of a unary call */
    grpc_byte_buffer *received; /* the next one of a stream of requests, */
    ProtobufCMessage *request;  /* and the one that its handler has */
    struct rpc_stream stream;
    struct rpc_call *next_idle;
    const char *identities[RPC_IDENTITIES_MAX + 1];
    struct rpc_arena arena;
};

struct rpc_server {
    struct rpc_server_options options; /* strings are copies */
    struct rpc_method *methods;
    struct rpc_method unknown;
    rpc_observe_fn *observe;
    void *observe_arg;
    grpc_server *server;
    grpc_completion_queue *queue;
    pthread_t *threads;
    int thread_count;
    int port;
    atomic_bool is_draining;
    bool is_running;
    struct rpc_tag on_shutdown;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool is_shut_down;
    unsigned active;       /* calls that were taken and not given back */
    struct rpc_call *idle; /* call objects to be used again */
    unsigned idle_count;
    struct rpc_call *streams;

    char request_id_prefix[20];
    atomic_uint_least64_t request_count;
    struct rpc_files *files;
    struct rpc_health *health;
    struct rpc_reflection *reflection;
    struct rpc_tls *tls;
    struct rpc_watchdog *watchdog;
};

/* call.c */
void rpc_slot_post(struct rpc_slot *slot);
void rpc_slot_arrived(struct rpc_tag *tag, bool ok);
void rpc_call_answer(const ProtobufCMessage *response, void *call);
void rpc_call_ref(struct rpc_call *call);
void rpc_call_unref(struct rpc_call *call);
void rpc_call_free(struct rpc_call *call);
void rpc_call_tell_cancelled(struct rpc_call *call);
/* Takes a reference, given back by the tag's run. Aborts where gRPC core refuses: that is a bug of ours. */
void rpc_call_start(struct rpc_call *call, const grpc_op *ops, size_t count, struct rpc_tag *tag);
/* Unpacks a request; destroys `payload`. NULL: the call's error is set. */
ProtobufCMessage *rpc_call_unpack(struct rpc_call *call, ProtobufCAllocator *allocator, grpc_byte_buffer *payload);
grpc_byte_buffer *rpc_pack(const ProtobufCMessage *message);
grpc_op rpc_op_close(struct rpc_call *call);

/* What SEND_STATUS_FROM_SERVER points at: to be kept until the batch was started, then released. */
struct rpc_trailer {
    grpc_slice message;
    size_t count;
    grpc_metadata metadata[2];
};
grpc_op rpc_op_status(struct rpc_call *call, struct rpc_trailer *trailer);
void rpc_trailer_done(struct rpc_trailer *trailer);

/* stream.c: methods that stream responses; and those that stream both ways, whose handler is invoked once a request
 * message and answers each once. The next message is read when the answer was sent. */
void rpc_stream_begin(struct rpc_call *call, grpc_byte_buffer *payload);
void rpc_stream_answer(struct rpc_call *call, const ProtobufCMessage *response);
void rpc_stream_cancelled(struct rpc_call *call);
/* Ends those that only wait for their client's next message. */
void rpc_streams_drain(struct rpc_server *server);

/* metadata.c: fills call->base from what came with the call. An error in there is set as the call's. */
void rpc_metadata_read(struct rpc_call *call, gpr_timespec deadline);

/* details.c: google.rpc.Status for the trailer grpc-status-details-bin. */
grpc_slice rpc_details_format(const struct call_error *error);
void rpc_error_clean(struct call_error *error); /* makes UTF-8 of its texts */

/* files.c: the descriptor set. NULL: it cannot be read. */
struct rpc_file {
    const uint8_t *bytes; /* as they stand in the set */
    size_t len;
    struct Google__Protobuf__FileDescriptorProto *parsed;
};
struct rpc_files {
    struct rpc_file *files;
    size_t count;
};
struct rpc_files *rpc_files_new(const void *descriptor_set, size_t len);
void rpc_files_free(struct rpc_files *files);
/* Which sides of a method stream; neither where the set does not know it. */
void rpc_files_streaming(const struct rpc_files *files, const char *service, const char *method, bool *ret_client,
                         bool *ret_server);

/* health.c, reflection.c: services of the server's own. */
struct rpc_health *rpc_health_new(struct rpc_server *server);
ProtobufCService *rpc_health_service(struct rpc_health *health);
void rpc_health_set(struct rpc_health *health, bool is_serving);
void rpc_health_end_watches(struct rpc_health *health);
void rpc_health_free(struct rpc_health *health);
struct rpc_reflection *rpc_reflection_new(struct rpc_server *server);
ProtobufCService *rpc_reflection_service(struct rpc_reflection *reflection, bool alpha);
void rpc_reflection_free(struct rpc_reflection *reflection);

/* tls.c */
struct rpc_tls *rpc_tls_new(const struct rpc_server_options *options);
/* Reads and checks the files; the next handshake takes them. */
enum status rpc_tls_load(struct rpc_tls *tls);
bool rpc_tls_is_stale(const struct rpc_tls *tls);
grpc_server_credentials *rpc_tls_credentials(struct rpc_tls *tls);
void rpc_tls_free(struct rpc_tls *tls);

/* watchdog.c: ends the process when its own port takes no connections any more. */
struct rpc_watchdog *rpc_watchdog_start(const char *address, int port);
void rpc_watchdog_stop(struct rpc_watchdog *watchdog);

#endif
