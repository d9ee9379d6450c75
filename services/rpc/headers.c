/* SPDX-License-Identifier: Apache-2.0 */
/* The request's headers that mean something to this layer. */
#include "rpc/transport.h"

#include <string.h>

enum { PEER_MAX = 64, TRACEPARENT_MAX = 128 }; /* version 00 has 55 characters; later ones may be longer */

/* A value as a string of the call's; NULL where it holds a NUL or there is no room. */
static const char *copy_value(struct rpc_call *call, const char *value, size_t len)
{
    return memchr(value, '\0', len) == NULL ? arena_try_copy(&call->arena, value, len) : NULL;
}

static void read_authorization(struct rpc_call *call, const char *value, size_t len)
{
    if (!call->has_authorization)
        call->base.authorization = copy_value(call, value, len);
    if (call->has_authorization || call->base.authorization == NULL) {
        /* Which of two would count? Something in between might have looked at the other one. */
        (void)call_fail(&call->base, STATUS_UNAUTHENTICATED, "BAD_AUTHORIZATION",
                        "the call must carry one authorization header at most");
        call->base.authorization = NULL;
    }
    call->has_authorization = true;
}

static void read_request_id(struct rpc_call *call, const char *value, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (len == 0 || len >= CALL_REQUEST_ID_MAX)
        return;
    char id[CALL_REQUEST_ID_MAX] = "";
    memcpy(id, value, len);
    if (strspn(id, allowed) == len)
        memcpy(call->base.request_id, id, sizeof id);
}

static bool is_name(const char *name, size_t len, const char *wanted, size_t wanted_len)
{
    return len == wanted_len && memcmp(name, wanted, len) == 0;
}
#define IS_NAME(literal) is_name(name, name_len, literal, sizeof(literal) - 1)

void rpc_call_header(struct rpc_call *call, const char *name, size_t name_len, const char *value, size_t len)
{
    if (IS_NAME("authorization"))
        read_authorization(call, value, len);
    else if (IS_NAME("x-request-id"))
        read_request_id(call, value, len);
    else if (IS_NAME("traceparent") && len <= TRACEPARENT_MAX)
        call->base.traceparent = copy_value(call, value, len);
    else if (IS_NAME("x-gatehouse-peer") && len <= PEER_MAX)
        call->base.told_peer = copy_value(call, value, len);
}
