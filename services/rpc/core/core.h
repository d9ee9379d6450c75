/* SPDX-License-Identifier: Apache-2.0 */
/* The transport on gRPC core's C API: one completion queue a server, polled by several threads. */
#ifndef RPC_CORE_CORE_H
#define RPC_CORE_CORE_H

#include "rpc/transport.h"

#include <grpc/grpc.h>

enum {
    CORE_SLOTS = 32,        /* requests kept posted a method; 1 costs 8 %, 1024 cost 25 % */
    CORE_UNKNOWN_SLOTS = 4, /* the same for calls of methods that do not exist */
    CORE_POOL_MAX = 256,    /* idle call objects that are kept */
};

/* Every tag that goes into the completion queue is one of these. */
struct core_tag {
    void (*run)(struct core_tag *tag, bool ok);
};

/* libgrpc is not instrumented, so ThreadSanitizer does not see that what happened before a tag was handed over happened
 * before it came out of the queue. These say so. */
#if defined(__SANITIZE_THREAD__)
#define CORE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CORE_TSAN 1
#endif
#endif
#ifdef CORE_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define CORE_TSAN_ACQUIRE(address) __tsan_acquire(address)
#define CORE_TSAN_RELEASE(address) __tsan_release(address)
#else
#define CORE_TSAN_ACQUIRE(address) (void)(address)
#define CORE_TSAN_RELEASE(address) (void)(address)
#endif

struct core_method;

/* A request for the next call of a method, posted to gRPC core. */
struct core_slot {
    struct core_tag tag;
    const struct core_method *method;
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload;
    grpc_call_details details; /* only where the method is unknown */
};

struct core_method {
    struct core_server *server;
    struct core_method *next;
    const struct rpc_method *method; /* NULL: whatever is not registered */
    void *handle;                    /* gRPC core's */
    struct core_slot slots[CORE_SLOTS];
};

struct core_call {
    struct rpc_call shared; /* first */
    struct core_server *server;
    grpc_call *call;
    grpc_metadata_array metadata;
    atomic_uint refs; /* one each: the handler, a batch under way, a thread that looks */
    struct core_tag on_done, on_close, on_sent, on_message;
    int was_cancelled;          /* written by gRPC core */
    grpc_byte_buffer *received; /* the next message of a stream of requests */
    struct core_call *next_idle;
    struct core_call *previous, *next; /* of the server's streams; under the server's lock */
    bool is_listed;
    const char *identities[RPC_IDENTITIES_MAX + 1];

    pthread_mutex_t lock; /* guards what follows; taken before the shared part's */
    bool is_sending;      /* one message is under way */
    bool has_sent_header;
    bool has_started_close; /* RECV_CLOSE_ON_SERVER */
    bool is_closed;         /* the status is under way */
};

struct core_server {
    struct rpc_server *shared;
    struct core_method *methods;
    struct core_method unknown;
    grpc_server *server;
    grpc_completion_queue *queue;
    pthread_t *threads;
    int thread_count;
    int port;
    struct core_tag on_shutdown;
    struct core_tls *tls;
    struct core_watchdog *watchdog;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool is_shut_down;
    unsigned active;        /* calls that were taken and not given back */
    struct core_call *idle; /* call objects to be used again */
    unsigned idle_count;
    struct core_call *streams;
};

/* call.c */
void core_slot_post(struct core_slot *slot);
void core_slot_arrived(struct core_tag *tag, bool ok);
void core_call_free(struct core_call *call);
void core_call_ref(struct core_call *call);
void core_call_unref(struct core_call *call);
/* Asks every stream to end. */
void core_streams_finish(struct core_server *server);

/* batch.c: what rpc_transport_core's wake, read_next and watch_cancel are. */
void core_call_wake(struct rpc_call *call, bool is_last);
void core_call_read_next(struct rpc_call *call);
void core_call_watch_cancel(struct rpc_call *call);
void core_call_set_tags(struct core_call *call);
/* Hands a message of gRPC core's over, and destroys it. */
void core_call_deliver(struct core_call *call, grpc_byte_buffer *payload);

/* metadata.c: fills in from what came with the call. */
void core_metadata_read(struct core_call *call, gpr_timespec deadline);

#endif
