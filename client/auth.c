/* SPDX-License-Identifier: Apache-2.0 */
/* AuthService by functions that wait. */
#include "cache.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <string.h>

Gatehouse__V1__IntrospectResponse *gatehouse_introspect(struct gatehouse *gatehouse,
                                                        const Gatehouse__V1__IntrospectRequest *request,
                                                        struct gatehouse_call *call)
{
    ProtobufCService *service = gatehouse_auth_service(gatehouse);
    return (Gatehouse__V1__IntrospectResponse *)gatehouse_invoke(service, "Introspect", &request->base, call);
}

static enum gatehouse_status check_by_call(struct gatehouse *gatehouse, const Gatehouse__V1__IntrospectRequest *request,
                                           struct gatehouse_check *check, struct gatehouse_call *call)
{
    Gatehouse__V1__IntrospectResponse *response = gatehouse_introspect(gatehouse, request, call);
    if (response == NULL)
        return call->status;
    check->is_active = response->active;
    check->is_allowed = response->allowed;
    size_t length = strnlen(response->client_id, sizeof check->client_id - 1);
    memcpy(check->client_id, response->client_id, length);
    check->client_id[length] = '\0';
    gatehouse__v1__introspect_response__free_unpacked(response, NULL);
    return GATEHOUSE_OK;
}

enum gatehouse_status gatehouse_check(struct gatehouse *gatehouse, struct gatehouse_check *check,
                                      struct gatehouse_call *call)
{
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    struct gatehouse_call own;
    request.token = (char *)(uintptr_t)check->token;
    request.api = (char *)(uintptr_t)(check->api != NULL ? check->api : "");
    request.peer = (char *)(uintptr_t)(check->peer != NULL ? check->peer : "");
    request.n_required_roles = check->required_count;
    request.required_roles = (char **)(uintptr_t)check->required_roles;
    check->is_active = check->is_allowed = 0;
    check->client_id[0] = '\0';
    bool is_own = call == NULL || (call->authorization == NULL && call->peer == NULL);
    if (is_own && gatehouse->cache != NULL && gatehouse_cache_check(gatehouse->cache, &request, check)) {
        if (call != NULL) {
            gatehouse_error_clear(call);
            call->is_from_memory = 1;
        }
        return GATEHOUSE_OK;
    }
    if (call == NULL) {
        own = (struct gatehouse_call){.timeout_ms = 0};
        call = &own;
    }
    return check_by_call(gatehouse, &request, check, call);
}

Gatehouse__V1__BatchIntrospectResponse *gatehouse_batch_introspect(struct gatehouse *gatehouse,
                                                                   const Gatehouse__V1__BatchIntrospectRequest *request,
                                                                   struct gatehouse_call *call)
{
    ProtobufCService *service = gatehouse_auth_service(gatehouse);
    return (Gatehouse__V1__BatchIntrospectResponse *)gatehouse_invoke(service, "BatchIntrospect", &request->base, call);
}

Gatehouse__V1__IssueTokenResponse *gatehouse_issue_token(struct gatehouse *gatehouse,
                                                         const Gatehouse__V1__IssueTokenRequest *request,
                                                         struct gatehouse_call *call)
{
    ProtobufCService *service = gatehouse_auth_service(gatehouse);
    return (Gatehouse__V1__IssueTokenResponse *)gatehouse_invoke(service, "IssueToken", &request->base, call);
}

enum gatehouse_status gatehouse_revoke(struct gatehouse *gatehouse, const Gatehouse__V1__RevokeRequest *request,
                                       struct gatehouse_call *call)
{
    struct gatehouse_call own = {.timeout_ms = 0};
    call = call != NULL ? call : &own;
    ProtobufCMessage *response = gatehouse_invoke(gatehouse_auth_service(gatehouse), "Revoke", &request->base, call);
    if (response != NULL)
        protobuf_c_message_free_unpacked(response, NULL);
    return call->status;
}
