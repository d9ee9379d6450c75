/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libgatehouse: the client of a Gatehouse server.
 *
 *     struct gatehouse_options options = {.client_id = id, .client_secret = secret};
 *     struct gatehouse *gatehouse = gatehouse_open(&options, error);
 *     Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
 *     request.token = token;
 *     struct gatehouse_call call = {.timeout_ms = 500};
 *     Gatehouse__V1__IntrospectResponse *answer = gatehouse_introspect(gatehouse, &request, &call);
 *
 * The messages are what protobuf-c makes of gatehouse/v1/auth.proto and gatehouse/v1/credential_admin.proto, which
 * say of each field what it means and of each call how it may fail.
 *
 * A program runs with the library that it was built with: the messages' structs are the program's and the library's,
 * and grow with the contract. One that was built with another contract is not started.
 *
 * Threads: everything here may be called from any thread, but gatehouse_close only when no other uses the connection
 * any more. A connection has one thread of its own.
 * Processes: fork first, then open. In a child that was forked while a connection was open, gRPC core cannot be used
 * any more: gatehouse_open and each call there fail and say so, gatehouse_close does nothing, and the parent continues
 * as before. Ownership: what a function is given stays the caller's and is not kept, but for a struct gatehouse_call
 * while its call is under way. What it returns is the caller's where its comment says so. Of global state there is only
 * how many connections are open, for fork(); gRPC core's own is counted by open and close. The library aborts where
 * there is no memory left.
 */
#ifndef GATEHOUSE_H
#define GATEHOUSE_H

/* Generated: of a oneof protobuf-c makes an unnamed union, which C has since C11 only. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include <gatehouse/v1/auth.pb-c.h>
#pragma GCC diagnostic pop
#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/field_mask.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* gRPC's status codes (google.rpc.Code). */
enum gatehouse_status {
    GATEHOUSE_OK = 0,
    GATEHOUSE_CANCELLED = 1,
    GATEHOUSE_UNKNOWN = 2,
    GATEHOUSE_INVALID_ARGUMENT = 3,
    GATEHOUSE_DEADLINE_EXCEEDED = 4,
    GATEHOUSE_NOT_FOUND = 5,
    GATEHOUSE_ALREADY_EXISTS = 6,
    GATEHOUSE_PERMISSION_DENIED = 7,
    GATEHOUSE_RESOURCE_EXHAUSTED = 8,
    GATEHOUSE_FAILED_PRECONDITION = 9,
    GATEHOUSE_ABORTED = 10,
    GATEHOUSE_OUT_OF_RANGE = 11,
    GATEHOUSE_UNIMPLEMENTED = 12,
    GATEHOUSE_INTERNAL = 13,
    GATEHOUSE_UNAVAILABLE = 14,
    GATEHOUSE_DATA_LOSS = 15,
    GATEHOUSE_UNAUTHENTICATED = 16
};

struct gatehouse;

/* Every string is copied, every file read by gatehouse_open: who renews a certificate opens a new connection. Zero or
 * NULL means the default. */
struct gatehouse_options {
    const char *address;     /* "host:port", "unix:/path", "ipv4:1.2.3.4:50051,1.2.3.5:50051"; the calls take turns over
                              * all the addresses that a name has; default "127.0.0.1:50051" */
    const char *tls_ca_file; /* PEM; not NULL: TLS, and the server must be signed by it */
    const char *tls_cert_file; /* PEM; with tls_key_file: mutual TLS */
    const char *tls_key_file;
    const char *tls_server_name; /* the name its certificate must carry; default: the host of address */
    const char *access_token;    /* sent as "authorization: Bearer …" with each call that names none */
    const char *client_id;       /* with client_secret: the connection gets a token by itself, and a new one when */
    const char *client_secret;   /* that one has ended (a call that fails by it is retried once);
                                  * close revokes it */
    int64_t timeout_ms;          /* of each call that names none; default 10,000 */
    size_t cache_entries;        /* introspections to be remembered (see "The cache" below); 0: none */
    int64_t cache_lease_ms;      /* for so long, without news from the server, does an answer from memory stand: 50 to
                                  * 10,000; default 1,000. The server may grant less (its cache_lease_ms) */
    uintptr_t reserved[2];       /* zero: room for what comes without a new SONAME */
};

/* One call: what it wants beside its request, and what became of it. All zero is good. May be used again, for one call
 * at a time. */
struct gatehouse_call {
    /* Set by the caller. */
    int64_t timeout_ms;        /* 0: the connection's */
    const char *authorization; /* the header's whole value; NULL: the connection's token; "": none at all */
    const char *request_id;    /* sent as x-request-id; NULL: none */
    const char *traceparent;   /* W3C Trace Context; NULL: none */

    /* Set by the library when the call has ended. */
    enum gatehouse_status status;
    char message[256];
    char reason[40];        /* google.rpc.ErrorInfo.reason, such as "INVALID_CLIENT"; "": none */
    char field[64];         /* the first google.rpc.BadRequest field violation; "": none */
    int64_t retry_after_ms; /* google.rpc.RetryInfo; 0: none */

    void *internal;        /* the library's own while the call lasts */
    const char *peer;      /* set by the caller: the IP address for which it calls, which a server that is told to
                              believes (peer_identities, trusted_proxies); NULL: none */
    int is_from_memory;    /* set by the library: the answer is the cache's; the server was not asked */
    uintptr_t reserved[2]; /* zero */
};

/* Does not wait for the server. NULL: error (may be NULL) says why: a file that cannot be read, an address that makes
 * no sense, options that are NULL. Free with gatehouse_close. */
struct gatehouse *gatehouse_open(const struct gatehouse_options *options, char error[256]);

/* Is there a connection to a server now? If not, one is begun, if that was not so already; does not wait. */
int gatehouse_is_connected(struct gatehouse *gatehouse);

/* With a cache, reports the uses that the server has not been told (for a second at most). Cancels what is under way
 * (each closure is invoked), waits for it, revokes the token that the connection got by itself (for a second at most),
 * frees. NULL is fine. From a closure it would wait for itself: the program is aborted. */
void gatehouse_close(struct gatehouse *gatehouse);

/* AuthService, waited for. The answer is the caller's, to be freed with its own function (such as
 * gatehouse__v1__introspect_response__free_unpacked(answer, NULL)); NULL: call->status and the rest say why. `call` may
 * be NULL: the connection's timeout and token, and nobody wants to know why.
 *
 * Methods whose idempotency_level in the .proto says that they may be (Get…, List…, Introspect, Revoke) and that the
 * server answers with UNAVAILABLE are tried again within their deadline, with backoff; IssueToken is not. */
Gatehouse__V1__IntrospectResponse *gatehouse_introspect(struct gatehouse *gatehouse,
                                                        const Gatehouse__V1__IntrospectRequest *request,
                                                        struct gatehouse_call *call);
/* May who carries this token do this? As gatehouse_introspect, for those who want to know no more: where the cache has
 * the answer it takes some hundred nanoseconds, no lock and no memory but the caller's. */
struct gatehouse_check {
    /* Set by the caller. */
    const char *token, *api;           /* as of IntrospectRequest; api: NULL is "" */
    const char *const *required_roles; /* required_count of them */
    size_t required_count;

    /* Set by the library with GATEHOUSE_OK. */
    int is_active;      /* is the token live? */
    int is_allowed;     /* and does it carry every one of the roles? */
    char client_id[65]; /* the credential that it was issued to; "" of one that is not live */

    const char *peer;      /* set by the caller, too: as of IntrospectRequest; NULL: not known */
    uintptr_t reserved[3]; /* zero */
};

/* The answer is in *check. Any other status: nobody could be asked, and it says neither yes nor no; call->message says
 * why. `call` may be NULL. */
enum gatehouse_status gatehouse_check(struct gatehouse *gatehouse, struct gatehouse_check *check,
                                      struct gatehouse_call *call);
/* At most 100 at once; the answers are in the order of the requests. */
Gatehouse__V1__BatchIntrospectResponse *gatehouse_batch_introspect(struct gatehouse *gatehouse,
                                                                   const Gatehouse__V1__BatchIntrospectRequest *request,
                                                                   struct gatehouse_call *call);
Gatehouse__V1__IssueTokenResponse *gatehouse_issue_token(struct gatehouse *gatehouse,
                                                         const Gatehouse__V1__IssueTokenRequest *request,
                                                         struct gatehouse_call *call);
/* GATEHOUSE_OK: the token has ended, if there ever was one. */
enum gatehouse_status gatehouse_revoke(struct gatehouse *gatehouse, const Gatehouse__V1__RevokeRequest *request,
                                       struct gatehouse_call *call);

/* The same two services as ProtobufCService, for the generated stubs (gatehouse__v1__auth_service__introspect…), which
 * do not wait. Borrowed; valid until gatehouse_close.
 *
 * closure_data of a stub is a struct gatehouse_call, or a struct that begins with one. It and its strings must live
 * until the closure was invoked; the request is read before the stub returns. The closure gets the response, valid
 * until it returns, or NULL and a status. It runs on a thread of the library, and so must not block; or, where the call
 * cannot even begin or the cache has the answer, on the caller's, before the stub returns. It may make further calls by
 * stubs; the functions that wait give GATEHOUSE_FAILED_PRECONDITION there. */
ProtobufCService *gatehouse_auth_service(struct gatehouse *gatehouse);
ProtobufCService *gatehouse_credential_admin(struct gatehouse *gatehouse);

/* Any other service of the same server, such as grpc.health.v1.Health. Unary methods only. Borrowed, as those. */
ProtobufCService *gatehouse_service(struct gatehouse *gatehouse, const ProtobufCServiceDescriptor *descriptor);

/* Calls a method by its name ("ListCredentials") and waits; not from a closure. The response is the caller's, to be
 * freed with protobuf_c_message_free_unpacked(response, NULL); NULL: call->status and the rest say why. `call` may be
 * NULL. */
ProtobufCMessage *gatehouse_invoke(ProtobufCService *service, const char *method, const ProtobufCMessage *request,
                                   struct gatehouse_call *call);

/* Empty ones, to be filled and put into a request: for these of Google's messages the library shows none of the
 * generated functions and descriptors, so that a program can have its own. */
void gatehouse_timestamp_init(Google__Protobuf__Timestamp *timestamp);
void gatehouse_duration_init(Google__Protobuf__Duration *duration);
void gatehouse_field_mask_init(Google__Protobuf__FieldMask *mask);

/* Cancels a call that is under way; its closure is still invoked, with GATEHOUSE_CANCELLED if this came in time. An
 * introspection that the cache asks together with others is answered with them. */
void gatehouse_call_cancel(struct gatehouse_call *call);

/* The same for all calls of a connection that are under way, also the cache's own. The connection stays open, and what
 * is called later is sent. */
void gatehouse_cancel_all(struct gatehouse *gatehouse);

/* The cache (options.cache_entries). Introspections are answered from this process's memory while that is certainly
 * current, and a token that ends is forgotten at once: the server tells it by AuthService.Watch, on a TCP connection of
 * its own. A change that the server has acknowledged is obeyed here at the latest `lease_ms` (of replicas) and
 * cache_lease_ms later, whatever fails; ordinarily within milliseconds. Where that cannot be proved, the server is
 * asked; where it cannot be asked, the call fails (GATEHOUSE_UNAVAILABLE). client/README.md has the rules.
 *
 * Introspect goes through it, by gatehouse_check, gatehouse_introspect, gatehouse_invoke and the stubs, unless the
 * request says who calls (client_id; call->authorization, call->peer), reports uses of its own (use_count, used_ago) or
 * breaks a rule of the .proto. So does BatchIntrospect, entry by entry: the server is asked for those alone that memory
 * does not answer, and is_from_memory says that it answered all. Introspections that must ask the server go together by
 * BatchIntrospect where many do at once. The connection's caller must hold resource_server. An answer from memory is
 * what the server said, with `allowed` and `missing_roles` of this request; its expire_time is of then, and its
 * valid_for what is left of it. Only what is active is remembered. Revoke by this connection takes the token out, and
 * any other change that it makes is obeyed here before it is answered.
 *
 * Each answer from memory, unless the request says no_touch, is a use of the token. The server is told of it after a
 * tenth of the idle timeout, or 10 seconds if that is sooner: last use, counts and the idle timeout are right, that
 * much later. gatehouse_close reports the rest; a process that is killed loses at most those of one such interval. A
 * report whose answer is lost on its way is sent again, and then counts twice.
 * Until then the text of a used token is in memory. A child of fork() has no cache. */
struct gatehouse_cache_stats {
    uint64_t entries;                /* now */
    uint64_t hits, misses;           /* answered from memory; by the server */
    uint64_t passed;                 /* not for the cache; see above */
    uint64_t kept, removed, evicted; /* answers: taken in; ended by events; out of room */
    uint64_t events;                 /* heard */
    uint64_t streams;                /* begun */
    uint64_t resets_unknown_position, resets_behind, resets_history; /* WatchResetCause */
    uint64_t uses_unreported;                                        /* now; of those under way too */
    uint64_t uses_lost;                                              /* that the server has not taken */
    uint64_t pings_unanswered;                                       /* now: of this stream */
    int64_t pong_age_ms; /* since the last ping that was answered was sent; -1: none was */
    int64_t lease_ms;    /* that the server has granted; 0: none yet */
    int is_trusted;      /* are there answers from memory now? */
    uint64_t batched;    /* of the misses: together with others, by BatchIntrospect */
    uint64_t reserved[7];
};

/* All zero without a cache. A cache that nobody asks, nor looks at by this, for ten seconds is trusted no longer: it
 * listens, and lets the server rest; the first that is asked again is a miss, and some milliseconds later it is
 * trusted. */
void gatehouse_cache_stats(struct gatehouse *gatehouse, struct gatehouse_cache_stats *ret_stats);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
