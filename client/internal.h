/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the library share. */
#ifndef GATEHOUSE_INTERNAL_H
#define GATEHOUSE_INTERNAL_H

#include "gatehouse.h"

#include <grpc/grpc.h>
#include <pthread.h>
#include <stdbool.h>

/* Every tag in the completion queue is one of these. */
struct tag {
    void (*run)(struct tag *tag);
};

struct remote_method {
    char *path; /* "/package.Service/Method" */
    void *handle;
    bool is_idempotent; /* may be tried again */
    bool is_issue;      /* IssueToken, which takes no token */
};

struct service;

enum {
    INVOKE_GIVES_RESPONSE = 1, /* the closure owns the response */
    INVOKE_ONCE = 2
}; /* not tried again, whatever its method allows */

/* A call of a stub, or one that is waited for. */
typedef void service_start_fn(struct service *service, unsigned method, const ProtobufCMessage *request,
                              ProtobufCClosure closure, struct gatehouse_call *call, void *closure_data, unsigned how);

/* What the library hands out as a service: the channel's, or the cache's in front of it. */
struct service {
    ProtobufCService base; /* first: what the stubs are called on */
    service_start_fn *start;
};

struct remote_service {
    struct service service; /* first */
    struct gatehouse *owner;
    struct remote_service *next;
    struct remote_method methods[];
};

enum state {
    STATE_RUNNING, /* an attempt is under way, or about to be */
    STATE_BACKOFF, /* sleeps until the next one */
    STATE_TOKEN,   /* waits for the connection's token */
};

/* One call of a stub, over all its attempts. The objects are used again and freed only with the connection: so that
 * gatehouse_call_cancel, which may come too late, never looks at freed memory. */
struct invocation {
    struct tag done; /* first */
    struct gatehouse *owner;

    /* Under the connection's lock. */
    struct invocation *previous, *next; /* in running or sleeping; next: also in idle */
    struct gatehouse_call *user;        /* NULL: idle */
    grpc_call *call;
    enum state state;
    bool is_cancelled;
    gpr_timespec wake; /* of one that sleeps */

    /* Of whoever works on it: the thread that starts it, then the connection's. */
    struct remote_service *service;
    unsigned method;
    ProtobufCClosure closure;
    void *closure_data;
    unsigned how;
    bool is_renewal; /* the library's own IssueToken */
    grpc_slice request;
    gpr_timespec deadline;
    unsigned attempts;
    bool uses_token, has_renewed;
    uint64_t token_number; /* the token that the last attempt carried */
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *response;
    grpc_status_code status;
    grpc_slice message;
};

struct invocation_list {
    struct invocation *first;
};

struct gatehouse {
    char *address, *server_name;
    grpc_channel_credentials *credentials;
    grpc_channel *channel;
    grpc_completion_queue *queue;
    pthread_t thread;
    int64_t timeout_ms;
    char *client_id, *client_secret;
    struct remote_service *auth, *admin;
    struct cache *cache; /* NULL: none is wanted */
    uint32_t random;     /* of the connection's thread */
    struct tag woken;
    struct gatehouse_call renewal;  /* the IssueToken that is under way */
    struct gatehouse_call farewell; /* the Revoke of its token, while it is closed */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct invocation_list running, sleeping, idle;
    unsigned active; /* invocations whose closure has not returned */
    bool is_closing, is_renewing;
    char *token;           /* "Bearer …"; NULL: none yet, or it has ended */
    uint64_t token_number; /* counts the tokens there were */
    grpc_call *wake_call;  /* never started; see gatehouse_wake */
    struct remote_service *others;
};

/* call.c: one call */
void gatehouse_invocation_start(struct remote_service *service, unsigned method, const ProtobufCMessage *request,
                                ProtobufCClosure closure, struct gatehouse_call *call, void *closure_data,
                                unsigned how);
/* Goes on with one that slept. */
void gatehouse_invocation_attempt(struct invocation *invocation);
/* Ends it with what stands in its call. */
void gatehouse_invocation_finish(struct invocation *invocation, ProtobufCMessage *response);
void gatehouse_invocation_fail(struct invocation *invocation, enum gatehouse_status status, const char *message);
void gatehouse_invocation_free(struct invocation *invocation);

/* Moves it between the lists; under the lock. */
void gatehouse_invocation_sleep(struct invocation *invocation, enum state state, gpr_timespec wake);
void gatehouse_invocation_wake(struct invocation *invocation);

/* process.c: may be asked anywhere. A process that was forked while a connection was open must not call gRPC core. */
#define GATEHOUSE_FORKED \
    "this process was forked while a connection was open, and gRPC does not survive that: use " \
    "gatehouse only in the child, or let it exec"
void gatehouse_process_begin(void); /* grpc_init, for a connection */
/* grpc_shutdown, for a connection that is closed. */
void gatehouse_process_end(void);
/* Is this the child of a fork() during which a connection was open? */
bool gatehouse_process_is_forked(void);
void gatehouse_process_own_thread(void); /* this thread is a connection's, and runs closures */
/* Is this thread a connection's? Waiting on it for an answer would last for ever. */
bool gatehouse_process_is_own_thread(void);

/* gatehouse.c: one more channel to the same server */
grpc_channel *gatehouse_channel_new(const struct gatehouse *gatehouse);

/* channel.c: the connection's thread */
bool gatehouse_run(struct gatehouse *gatehouse);
/* Makes the connection's thread look at the sleepers. Under the lock. */
void gatehouse_wake(struct gatehouse *gatehouse);
void gatehouse_wake_now(struct gatehouse *gatehouse); /* without the lock */

/* token.c: under the lock. Makes sure that a new token is on its way; true: gatehouse_token_start_renewal must be
 * called without it. */
bool gatehouse_token_needs_renewal(struct gatehouse *gatehouse);
void gatehouse_token_start_renewal(struct gatehouse *gatehouse);
/* Revokes the token that the connection got by itself, if the server can be reached; waits a little. Without the lock.
 */
void gatehouse_token_revoke(struct gatehouse *gatehouse);
void gatehouse_token_set(struct gatehouse *gatehouse, const char *access_token);
void gatehouse_token_wipe(char *text);

/* error.c */
bool gatehouse_error_is_header(const char *value); /* can it be sent as one? NULL: yes */
void gatehouse_error_set(struct gatehouse_call *call, enum gatehouse_status status, const char *message);
void gatehouse_error_clear(struct gatehouse_call *call); /* GATEHOUSE_OK */
void gatehouse_error_copy(struct gatehouse_call *to, const struct gatehouse_call *from);
void gatehouse_error_read_details(struct gatehouse_call *call, const uint8_t *bytes, size_t len);

/* service.c */
struct service gatehouse_service_of(const ProtobufCServiceDescriptor *descriptor, service_start_fn *start);
struct remote_service *gatehouse_remote_service_new(struct gatehouse *gatehouse,
                                                    const ProtobufCServiceDescriptor *descriptor);
void gatehouse_remote_service_free(struct remote_service *service);

/* The caller's to free. */
ProtobufCMessage *gatehouse_message_copy(const ProtobufCMessage *message);

/* tls.c. NULL: `error` says why. */
grpc_channel_credentials *gatehouse_credentials_new(const struct gatehouse_options *options, char error[256]);

/* libgrpc is not instrumented, so ThreadSanitizer does not see that what happened before a tag was handed over happened
 * before it came out of the queue. These say so. */
#if defined(__SANITIZE_THREAD__)
#define GATEHOUSE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GATEHOUSE_TSAN 1
#endif
#endif
#ifdef GATEHOUSE_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define TSAN_ACQUIRE(address) __tsan_acquire(address)
#define TSAN_RELEASE(address) __tsan_release(address)
#else
#define TSAN_ACQUIRE(address) (void)(address)
#define TSAN_RELEASE(address) (void)(address)
#endif

#endif
