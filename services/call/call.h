/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of one method, as its handler sees it, whichever way it came in.
 *
 * Every ProtobufCService in this program (the implementation, the channel to a remote one) is invoked with a
 * struct call * as its closure_data. The transport (rpc/, rest/) embeds it, fills in the first part and keeps it, and
 * the request message, alive until the handler has answered.
 *
 * To answer, a handler invokes the closure: a unary handler exactly once, with the response, or with NULL after
 * call_fail(). A server-streaming handler invokes it once a message and at the end once with NULL. It may do so before
 * it returns or later, from any thread. The response is read before the closure returns; it stays the handler's.
 */
#ifndef CALL_H
#define CALL_H

#include "base/status.h"

#include <protobuf-c/protobuf-c.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CALL_MESSAGE_MAX = 256, /* an error's message, with its NUL */
    CALL_REASON_MAX = 40,
    CALL_FIELD_MAX = 64,
    CALL_REQUEST_ID_MAX = 40,
};

/* What is said to the caller of a call that failed; it becomes google.rpc details or an OAuth error body. */
struct call_error {
    enum status status;             /* STATUS_OK: it did not fail */
    char reason[CALL_REASON_MAX];   /* ErrorInfo.reason, such as "INVALID_CLIENT"; "" for none */
    char message[CALL_MESSAGE_MAX]; /* for a person; holds no secret and nothing of another caller */
    char field[CALL_FIELD_MAX];     /* BadRequest: the offending field; "" for none */
    int64_t retry_after_ms;         /* RetryInfo; 0 for none */
};

struct call;

/* An answer that many streams are given, packed once. It does not change; whoever holds it may read it, on any thread.
 */
struct call_packed {
    atomic_uint references;
    size_t len;
    uint8_t bytes[];
};
struct call_packed *call_pack(const ProtobufCMessage *message); /* held by the caller */
void call_packed_hold(struct call_packed *packed);
void call_packed_release(struct call_packed *packed);

/* What a transport offers to a handler that streams: rpc/server.h says of each what it does (rpc_call_converse and so
 * on). */
struct call_stream {
    void (*converse)(struct call *call, void (*on_half_closed)(struct call *call));
    void (*read_next)(struct call *call);
    void (*send)(struct call *call, struct call_packed *packed);
    bool (*has_room)(const struct call *call);
    void (*on_ready)(struct call *call, void (*on_ready)(struct call *call));
    void (*on_finish)(struct call *call, void (*on_finish)(struct call *call));
};

struct call {
    /* Set by the transport; constant while the call lasts. */
    const char *method;        /* "/gatehouse.v1.AuthService/Introspect" */
    const char *authorization; /* the header's value, or NULL where there is none */
    const char *peer;          /* IP address without a port, "unix", or "" where it is not known */
    const char *told_peer;     /* whom the one that calls names as the one it calls for (x-gatehouse-peer), or NULL; */
                               /* who may say so, the handler knows */
    const char *user;          /* the person whom a sign-on proxy vouches for, or NULL; the transport believes it */
    const char *const *identities; /* names the peer proved by mutual TLS (its SANs), NULL-ended; never NULL itself */
    const char *traceparent;       /* W3C Trace Context, or NULL */
    char request_id[CALL_REQUEST_ID_MAX]; /* as sent by the caller (x-request-id, checked) or made up; for the log */
    int64_t deadline;                     /* CLOCK_MONOTONIC, microseconds; INT64_MAX: none */
    /* NULL: this transport cannot tell. A unary handler that does not set on_cancel (call_watch does) may be told only
     * when it answers. */
    bool (*is_cancelled)(const struct call *call);
    const struct call_stream *stream; /* NULL: this transport has one answer a call */

    /* Set by a handler before it returns: called once, from any thread, when the call is cancelled or its peer gone.
     * The handler must still end the call. */
    void (*on_cancel)(struct call *call);
    void *handler_data;

    /* Set by the handler through call_fail. */
    struct call_error error;
};

/* STATUS_OK: the call is waited for. DEADLINE_EXCEEDED or CANCELLED: its answer will reach nobody. `call` is a struct
 * call; from any thread, until it is answered. Made for struct store_job. */
enum status call_waits(const void *call);

/* In the place of an on_cancel, by a unary handler before it returns: call_waits will know that the caller has left,
 * whatever the transport. */
void call_watch(struct call *call);

/* Prints into call->error; the first failure is the one that is told. Returns status, so that a handler can say
 * `return call_fail(call, STATUS_NOT_FOUND, "NO_SUCH_ROLE", "…")`. */
__attribute__((format(printf, 4, 5))) enum status call_fail(struct call *call, enum status status, const char *reason,
                                                            const char *format, ...);

/* The same for a field that is wrong: INVALID_ARGUMENT with a BadRequest detail. */
__attribute__((format(printf, 4, 5))) enum status call_fail_field(struct call *call, const char *field,
                                                                  const char *reason, const char *format, ...);

/* The same for UNAVAILABLE and RESOURCE_EXHAUSTED, with how long to wait before the next try. */
enum status call_fail_retry(struct call *call, enum status status, const char *reason, int64_t retry_after_ms,
                            const char *message);

#endif
