/* SPDX-License-Identifier: Apache-2.0 */
/* AuthService: which method is which, and what is the same for all of them. */
#include "api/internal.h"
#include "api/watch.h"

const struct contract_message *auth_contract(const struct api *api, unsigned method)
{
    return api->auth_contract->methods[method].input;
}

/* An invoke_fn, of current_invoke: on the call's thread, or one of the store's. */
static void invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                   ProtobufCClosure closure, void *closure_data)
{
    struct api *api = (struct api *)((char *)service - offsetof(struct api, auth));
    struct call *call = closure_data;
    enum status status = STATUS_UNIMPLEMENTED;
    /* A caller that asks for a token's state without a secret key in the request must be known first. */
    if (method != METHOD_INTROSPECT && check_request(call, auth_contract(api, method), request) != STATUS_OK) {
        closure(NULL, call);
        return;
    }
    switch (method) {
    case METHOD_ISSUE_TOKEN:
        status = auth_issue_token(api, call, (const Gatehouse__V1__IssueTokenRequest *)request, closure);
        break;
    case METHOD_INTROSPECT:
        status = auth_introspect(api, call, request, false, closure);
        break;
    case METHOD_BATCH_INTROSPECT:
        status = auth_introspect(api, call, request, true, closure);
        break;
    case METHOD_REVOKE:
        status = auth_revoke(api, call, (const Gatehouse__V1__RevokeRequest *)request, closure);
        break;
    }
    if (status != STATUS_OK) /* it was refused before anything was started */
        closure(NULL, call);
}

/* Does a client show its secret key, and is it wrong as far as is known here? Another replica may just have made it. */
static bool is_of_unknown_client(struct api *api, unsigned method, const ProtobufCMessage *request)
{
    const char *client_id = "", *secret = "";
    if (api->domain->follow == NULL)
        return false;
    if (method == METHOD_ISSUE_TOKEN) {
        const Gatehouse__V1__IssueTokenRequest *issue = (const Gatehouse__V1__IssueTokenRequest *)request;
        client_id = issue->client_id;
        secret = issue->client_secret;
    } else if (method == METHOD_REVOKE) {
        const Gatehouse__V1__RevokeRequest *revoke_request = (const Gatehouse__V1__RevokeRequest *)request;
        client_id = revoke_request->client_id;
        secret = revoke_request->client_secret;
    } else if (method == METHOD_INTROSPECT) {
        const Gatehouse__V1__IntrospectRequest *introspect_request = (const Gatehouse__V1__IntrospectRequest *)request;
        client_id = introspect_request->client_id;
        secret = introspect_request->client_secret;
    }
    return client_id[0] != '\0' && !client_is_known(api, client_id, secret);
}

void api_auth_invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                     ProtobufCClosure closure, void *closure_data)
{
    struct api *api = (struct api *)((char *)service - offsetof(struct api, auth));
    if (method == METHOD_ISSUE_TOKEN)
        call_watch(closure_data);
    peer_resolve(&api->peer_trust, closure_data);
    if (method == METHOD_WATCH) { /* whose messages are many, and which knows itself when to look */
        const Gatehouse__V1__WatchRequest *message = (const Gatehouse__V1__WatchRequest *)request;
        if (check_request(closure_data, auth_contract(api, method), request) != STATUS_OK ||
            watch_message(api->watch, closure_data, message, closure) != STATUS_OK)
            closure(NULL, closure_data);
        return;
    }
    current_invoke(api, is_of_unknown_client(api, method, request), invoke, service, method, request, closure,
                   closure_data);
}
