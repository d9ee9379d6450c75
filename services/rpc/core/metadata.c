/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"
#include "rpc/internal.h"

#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <string.h>

enum { PEER_MAX = 64, TRACEPARENT_MAX = 128 }; /* version 00 has 55 characters; later ones may be longer */

/* A header's value as a string of the call's; NULL where it holds a NUL or there is no room. */
static const char *copy_value(struct rpc_call *call, const grpc_slice *value)
{
    const uint8_t *bytes = GRPC_SLICE_START_PTR(*value);
    size_t len = GRPC_SLICE_LENGTH(*value);
    return memchr(bytes, '\0', len) == NULL ? rpc_arena_copy(&call->arena, bytes, len) : NULL;
}

static void read_authorization(struct rpc_call *call, const grpc_slice *value, bool *is_first)
{
    if (*is_first)
        call->base.authorization = copy_value(call, value);
    if (!*is_first || call->base.authorization == NULL) {
        /* Which of two would count? Something in between might have looked at the other one. */
        (void)call_fail(&call->base, STATUS_UNAUTHENTICATED, "BAD_AUTHORIZATION",
                        "the call must carry one authorization header at most");
        call->base.authorization = NULL;
    }
    *is_first = false;
}

static void read_request_id(struct rpc_call *call, const grpc_slice *value)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = GRPC_SLICE_LENGTH(*value);
    if (len == 0 || len >= CALL_REQUEST_ID_MAX)
        return;
    char id[CALL_REQUEST_ID_MAX] = "";
    memcpy(id, GRPC_SLICE_START_PTR(*value), len);
    if (strspn(id, allowed) == len)
        memcpy(call->base.request_id, id, sizeof id);
}

/* The server's prefix, "-", and a number in hexadecimal: by hand, for every call has one. */
static void make_request_id(struct rpc_call *call)
{
    struct rpc_server *server = call->server;
    uint_least64_t number = atomic_fetch_add_explicit(&server->request_count, 1, memory_order_relaxed);
    char digits[2 * sizeof number + 1] = "";
    char *first = digits + sizeof digits - 1;
    do
        *--first = "0123456789abcdef"[number & 15];
    while ((number >>= 4) != 0);
    char *end = stpcpy(call->base.request_id, server->request_id_prefix);
    *end = '-';
    memcpy(end + 1, first, (size_t)(digits + sizeof digits - first));
}

static void read_headers(struct rpc_call *call)
{
    bool is_first_authorization = true;
    for (size_t i = 0; i < call->metadata.count; i++) {
        const grpc_slice *key = &call->metadata.metadata[i].key, *value = &call->metadata.metadata[i].value;
        if (grpc_slice_str_cmp(*key, "authorization") == 0)
            read_authorization(call, value, &is_first_authorization);
        else if (grpc_slice_str_cmp(*key, "x-request-id") == 0)
            read_request_id(call, value);
        else if (grpc_slice_str_cmp(*key, "traceparent") == 0 && GRPC_SLICE_LENGTH(*value) <= TRACEPARENT_MAX)
            call->base.traceparent = copy_value(call, value);
        else if (grpc_slice_str_cmp(*key, "x-gatehouse-peer") == 0 && GRPC_SLICE_LENGTH(*value) <= PEER_MAX)
            call->base.told_peer = copy_value(call, value);
    }
}

/* "ipv4:192.0.2.1:1234", "ipv6:%5B2001:db8::1%5D:1234" (the brackets may be plain), "unix:…" */
static void read_peer(struct rpc_call *call)
{
    char *peer = grpc_call_get_peer(call->call);
    const char *start = NULL, *end = NULL;
    if (strncmp(peer, "ipv4:", 5) == 0) {
        start = peer + 5;
        end = strrchr(start, ':');
    } else if (strncmp(peer, "ipv6:", 5) == 0) {
        start = peer + 5;
        start += strncmp(start, "%5B", 3) == 0 ? 3 : *start == '[';
        end = start + strcspn(start, "]%"); /* a zone, "%25…", is cut off as well */
    } else if (strncmp(peer, "unix", 4) == 0) {
        start = "unix";
    }
    const char *copy = NULL;
    if (start != NULL)
        copy = rpc_arena_copy(&call->arena, start, end != NULL ? (size_t)(end - start) : strlen(start));
    call->base.peer = copy != NULL ? copy : "";
    gpr_free(peer);
}

/* The names that the client's certificate carries: only after mutual TLS, where its authority vouched for them. */
static void read_identities(struct rpc_call *call)
{
    static const char *const properties[] = {GRPC_X509_CN_PROPERTY_NAME, GRPC_X509_SAN_PROPERTY_NAME};
    grpc_auth_context *context = grpc_call_auth_context(call->call);
    size_t count = 0;
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
        grpc_auth_property_iterator names = grpc_auth_context_find_properties_by_name(context, properties[i]);
        const grpc_auth_property *name;
        while (count < RPC_IDENTITIES_MAX && (name = grpc_auth_property_iterator_next(&names)) != NULL) {
            if (memchr(name->value, '\0', name->value_length) != NULL)
                continue; /* "admin\0.evil.example" is nobody */
            const char *copy = rpc_arena_copy(&call->arena, name->value, name->value_length);
            if (copy != NULL)
                call->identities[count++] = copy;
        }
    }
    call->identities[count] = NULL;
    grpc_auth_context_release(context);
}

/* A gRPC deadline may be on another clock than ours: what counts is how much of it is left. */
static int64_t read_deadline(gpr_timespec deadline)
{
    if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0)
        return INT64_MAX;
    gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
    if (left.tv_sec > INT32_MAX)
        return INT64_MAX;
    return clock_monotonic() + left.tv_sec * CLOCK_SECOND + left.tv_nsec / 1000;
}

void rpc_metadata_read(struct rpc_call *call, gpr_timespec deadline)
{
    call->base.deadline = read_deadline(deadline);
    read_headers(call);
    if (call->base.request_id[0] == '\0')
        make_request_id(call);
    read_peer(call);
    if (call->server->options.tls_client_ca_file != NULL)
        read_identities(call);
}
