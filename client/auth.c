/* SPDX-License-Identifier: Apache-2.0 */
/* AuthService by functions that wait. */
#include "internal.h"

#include <gatehouse/v1/auth.pb-c.h>

Gatehouse__V1__IntrospectResponse *gatehouse_introspect(struct gatehouse *gatehouse,
                                                        const Gatehouse__V1__IntrospectRequest *request,
                                                        struct gatehouse_call *call)
{
    ProtobufCService *service = gatehouse_auth_service(gatehouse);
    return (Gatehouse__V1__IntrospectResponse *)gatehouse_invoke(service, "Introspect", &request->base, call);
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
