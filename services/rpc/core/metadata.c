/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "rpc/core/core.h"

#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <string.h>

static void read_headers(struct core_call *call)
{
    for (size_t i = 0; i < call->metadata.count; i++) {
        const grpc_slice *key = &call->metadata.metadata[i].key, *value = &call->metadata.metadata[i].value;
        rpc_call_header(&call->shared, (const char *)GRPC_SLICE_START_PTR(*key), GRPC_SLICE_LENGTH(*key),
                        (const char *)GRPC_SLICE_START_PTR(*value), GRPC_SLICE_LENGTH(*value));
    }
}

/* "ipv4:192.0.2.1:1234", "ipv6:%5B2001:db8::1%5D:1234" (the brackets may be plain), "unix:…" */
static void read_peer(struct core_call *call)
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
        copy = arena_try_copy(&call->shared.arena, start, end != NULL ? (size_t)(end - start) : strlen(start));
    call->shared.base.peer = copy != NULL ? copy : "";
    gpr_free(peer);
}

static size_t add_names(struct core_call *call, grpc_auth_context *context, const char *property, size_t count)
{
    grpc_auth_property_iterator names = grpc_auth_context_find_properties_by_name(context, property);
    const grpc_auth_property *name;
    while (count < RPC_IDENTITIES_MAX && (name = grpc_auth_property_iterator_next(&names)) != NULL) {
        if (memchr(name->value, '\0', name->value_length) != NULL)
            continue; /* "admin\0.evil.example" is nobody */
        const char *copy = arena_try_copy(&call->shared.arena, name->value, name->value_length);
        if (copy != NULL)
            call->identities[count++] = copy;
    }
    return count;
}

static bool has_name(grpc_auth_context *context, const char *property)
{
    grpc_auth_property_iterator names = grpc_auth_context_find_properties_by_name(context, property);
    return grpc_auth_property_iterator_next(&names) != NULL;
}

/* The names that the client's certificate carries: only after mutual TLS, where its authority vouched for them. It did
 * so for the subjectAltName; a CN counts only where there is none, and only where that is wanted. */
static void read_identities(struct core_call *call)
{
    grpc_auth_context *context = grpc_call_auth_context(call->call);
    size_t count = 0;
    if (has_name(context, GRPC_X509_SAN_PROPERTY_NAME))
        count = add_names(call, context, GRPC_X509_SAN_PROPERTY_NAME, count);
    else if (call->shared.server->options.identity_from_cn)
        count = add_names(call, context, GRPC_X509_CN_PROPERTY_NAME, count);
    call->identities[count] = NULL;
    call->shared.base.identities = call->identities;
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

void core_metadata_read(struct core_call *call, gpr_timespec deadline)
{
    call->shared.base.deadline = read_deadline(deadline);
    read_headers(call);
    read_peer(call);
    if (call->shared.server->options.tls_client_ca_file != NULL)
        read_identities(call);
}
