/* SPDX-License-Identifier: Apache-2.0 */
#include "call/authorization.h"

#include "base/address.h"
#include "call/gateway.h"

#include <ctype.h>
#include <envoy/service/auth/v3/external_auth.pb-c.h>
#include <string.h>
#include <strings.h>

/* One Check on its way. */
struct checking {
    struct call call; /* the Introspect; first: it is the closure_data */
    struct call *asked;
    ProtobufCClosure closure;
    struct arena arena; /* it lies in there itself */
    bool has_token;
    Gatehouse__V1__IntrospectRequest request;
    char api[GATEWAY_API_SIZE];
};

static char *borrow(const char *text)
{
    return (char *)(uintptr_t)text; /* protobuf-c's strings are not const */
}

/* The question */

static const char *raw_text(struct arena *arena, const ProtobufCBinaryData *raw)
{
    char *text = arena_alloc(arena, raw->len + 1);
    if (memchr(raw->data, '\0', raw->len) == NULL)
        memcpy(text, raw->data, raw->len);
    return text;
}

/* The header's value, or NULL. Of two, which would count? Something on the way may have looked at the other one: then
 * it is no token's. */
static const char *find_authorization(struct arena *arena,
                                      const Envoy__Service__Auth__V3__AttributeContext__HttpRequest *http)
{
    static const char name[] = "authorization", none[] = "Bearer ?";
    const char *value = NULL;
    for (size_t i = 0; i < http->n_headers; i++)
        if (strcasecmp(http->headers[i]->key, name) == 0)
            value = value == NULL ? http->headers[i]->value : none;
    for (size_t i = 0; http->header_map != NULL && i < http->header_map->n_headers; i++) {
        const Envoy__Config__Core__V3__HeaderValue *header = http->header_map->headers[i];
        if (strcasecmp(header->key, name) != 0)
            continue;
        bool is_raw = header->raw_value.len > 0;
        if (value != NULL || (is_raw && header->value[0] != '\0'))
            value = none;
        else
            value = is_raw ? raw_text(arena, &header->raw_value) : header->value;
    }
    return value;
}

static void read_http(struct checking *checking, const Envoy__Service__Auth__V3__AttributeContext__HttpRequest *http)
{
    const char *token = NULL;
    if (http != NULL) {
        token = gateway_token(find_authorization(&checking->arena, http));
        gateway_api(http->method, http->path, checking->api);
    }
    checking->has_token = token != NULL;
    checking->request.token = borrow(token == NULL ? "" : token);
    checking->request.api = checking->api;
}

/* The address of the client, as Envoy sees it; "": it has none. */
static const char *source_address(const Envoy__Service__Auth__V3__AttributeContext *attributes)
{
    struct address address;
    const Envoy__Service__Auth__V3__AttributeContext__Peer *source = attributes == NULL ? NULL : attributes->source;
    const Envoy__Config__Core__V3__Address *told = source == NULL ? NULL : source->address;
    const char *text = told == NULL || told->socket_address == NULL ? "" : told->socket_address->address;
    return address_parse(text, strlen(text), &address) ? text : "";
}

/* "work_creator, team_leader" to its roles. An empty one is a role that no token carries. */
static void read_roles(struct checking *checking, const char *text)
{
    Gatehouse__V1__IntrospectRequest *request = &checking->request;
    size_t count = 1;
    for (const char *c = text; *c != '\0'; c++)
        count += *c == ',';
    char *rest = arena_text(&checking->arena, text);
    request->required_roles = arena_array(&checking->arena, char *, count);
    while (rest != NULL) {
        char *role = strsep(&rest, ",");
        role += strspn(role, " \t");
        size_t len = strlen(role);
        while (len > 0 && (role[len - 1] == ' ' || role[len - 1] == '\t'))
            role[--len] = '\0';
        request->required_roles[request->n_required_roles++] = role;
    }
}

static enum status read_check(struct checking *checking, const Envoy__Service__Auth__V3__CheckRequest *check)
{
    const Envoy__Service__Auth__V3__AttributeContext *attributes = check->attributes;
    bool has_roles = false;
    for (size_t i = 0; attributes != NULL && i < attributes->n_context_extensions; i++) {
        if (has_roles || strcmp(attributes->context_extensions[i]->key, "role") != 0)
            return call_fail_field(checking->asked, "attributes.context_extensions", "INVALID_FIELD",
                                   "context_extensions holds one key, role");
        read_roles(checking, attributes->context_extensions[i]->value);
        has_roles = true;
    }
    checking->request.peer = borrow(source_address(attributes));
    read_http(checking, attributes == NULL || attributes->request == NULL ? NULL : attributes->request->http);
    return STATUS_OK;
}

/* The answer */

static Envoy__Config__Core__V3__HeaderValueOption *set_header(struct arena *arena, const char *name, const char *value)
{
    Envoy__Config__Core__V3__HeaderValueOption *option = arena_new(arena, Envoy__Config__Core__V3__HeaderValueOption);
    envoy__config__core__v3__header_value_option__init(option);
    option->header = arena_new(arena, Envoy__Config__Core__V3__HeaderValue);
    envoy__config__core__v3__header_value__init(option->header);
    option->header->key = arena_text(arena, name);
    for (char *c = option->header->key; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    option->header->value = borrow(value);
    option->append = arena_new(arena, Google__Protobuf__BoolValue);
    google__protobuf__bool_value__init(option->append);
    return option;
}

static void allow(struct arena *arena, const struct gateway_verdict *verdict,
                  Envoy__Service__Auth__V3__CheckResponse *response)
{
    /* What reads headers as CGI does, and that is much, takes these for ours. */
    static const char *const lookalikes[] = {
        "x_auth_client_id",   "x_auth_client-id",   "x_auth-client_id",   "x_auth-client-id",   "x-auth_client_id",
        "x-auth_client-id",   "x-auth-client_id",   "x_auth_client_name", "x_auth_client-name", "x_auth-client_name",
        "x_auth-client-name", "x-auth_client_name", "x-auth_client-name", "x-auth-client_name", "x_auth_roles",
        "x_auth-roles",       "x-auth_roles",       "x_auth_owner",       "x_auth-owner",       "x-auth_owner"};
    enum { LOOKALIKES = sizeof lookalikes / sizeof lookalikes[0] };
    Envoy__Service__Auth__V3__OkHttpResponse *ok = arena_new(arena, Envoy__Service__Auth__V3__OkHttpResponse);
    envoy__service__auth__v3__ok_http_response__init(ok);
    ok->headers = arena_array(arena, Envoy__Config__Core__V3__HeaderValueOption *, GATEWAY_HEADERS);
    ok->headers_to_remove = arena_array(arena, char *, GATEWAY_HEADERS + LOOKALIKES);
    for (size_t i = 0; i < GATEWAY_HEADERS; i++) {
        Envoy__Config__Core__V3__HeaderValueOption *option =
            set_header(arena, verdict->headers[i].name, verdict->headers[i].value);
        if (option->header->value[0] != '\0')
            ok->headers[ok->n_headers++] = option;
        else /* never both: Envoy sets first and removes then */
            ok->headers_to_remove[ok->n_headers_to_remove++] = option->header->key;
    }
    for (size_t i = 0; i < LOOKALIKES; i++)
        ok->headers_to_remove[ok->n_headers_to_remove++] = borrow(lookalikes[i]);
    response->http_response_case = ENVOY__SERVICE__AUTH__V3__CHECK_RESPONSE__HTTP_RESPONSE_OK_RESPONSE;
    response->ok_response = ok;
}

static void deny(struct arena *arena, const struct gateway_verdict *verdict,
                 Envoy__Service__Auth__V3__CheckResponse *response)
{
    Envoy__Service__Auth__V3__DeniedHttpResponse *denied =
        arena_new(arena, Envoy__Service__Auth__V3__DeniedHttpResponse);
    envoy__service__auth__v3__denied_http_response__init(denied);
    denied->status = arena_new(arena, Envoy__Type__V3__HttpStatus);
    envoy__type__v3__http_status__init(denied->status);
    denied->status->code = (Envoy__Type__V3__StatusCode)verdict->code;
    char *challenge = arena_alloc(arena, GATEWAY_CHALLENGE_SIZE);
    gateway_challenge(verdict->error, challenge);
    denied->headers = arena_array(arena, Envoy__Config__Core__V3__HeaderValueOption *, 1);
    denied->headers[denied->n_headers++] = set_header(arena, "WWW-Authenticate", challenge);
    response->status->code = (int32_t)(verdict->code == 401 ? STATUS_UNAUTHENTICATED : STATUS_PERMISSION_DENIED);
    response->status->message = borrow(verdict->error == NULL ? "" : verdict->error);
    response->http_response_case = ENVOY__SERVICE__AUTH__V3__CHECK_RESPONSE__HTTP_RESPONSE_DENIED_RESPONSE;
    response->denied_response = denied;
}

static void checking_free(struct checking *checking)
{
    struct arena arena = checking->arena; /* the checking goes with it */
    arena_done(&arena);
}

/* The closure of the introspection that it asked for, once, on whichever thread that ends: `data`, the checking, is
 * freed. */
static void answer(const Gatehouse__V1__IntrospectResponse *introspected, void *data)
{
    struct checking *checking = data;
    Envoy__Service__Auth__V3__CheckResponse response = ENVOY__SERVICE__AUTH__V3__CHECK_RESPONSE__INIT;
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    struct gateway_verdict verdict =
        gateway_judge(&checking->call.error, introspected, checking->has_token, &checking->arena);
    response.status = &status;
    if (verdict.code == 200)
        allow(&checking->arena, &verdict, &response);
    else if (verdict.code != 0)
        deny(&checking->arena, &verdict, &response);
    else
        checking->asked->error = checking->call.error;
    checking->closure(verdict.code == 0 ? NULL : &response.base, checking->asked);
    checking_free(checking);
}

/* From any thread, as the call that it stands for. */
static bool is_cancelled(const struct call *call)
{
    const struct call *asked = ((const struct checking *)call)->asked;
    return asked->is_cancelled != NULL && asked->is_cancelled(asked);
}

/* The service, from any thread. */
static void invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                   ProtobufCClosure closure, void *closure_data)
{
    struct authorization *authorization = (struct authorization *)service;
    struct arena arena = {0};
    struct checking *checking = arena_new(&arena, struct checking);
    (void)method; /* there is one */
    checking->call = *(struct call *)closure_data;
    checking->call.is_cancelled = is_cancelled; /* the transport's knows its own calls only */
    checking->asked = closure_data;
    checking->closure = closure;
    checking->arena = arena;
    gatehouse__v1__introspect_request__init(&checking->request);
    if (authorization->identities != NULL) {
        checking->call.authorization = NULL;
        checking->call.identities = authorization->identities;
    }
    if (read_check(checking, (const Envoy__Service__Auth__V3__CheckRequest *)request) == STATUS_OK) {
        gatehouse__v1__auth_service__introspect(authorization->auth, &checking->request, answer, checking);
    } else {
        closure(NULL, checking->asked);
        checking_free(checking);
    }
}

/* The service's destroy. */
static void nothing(ProtobufCService *service)
{
    (void)service; /* it is part of its owner */
}

void authorization_init(struct authorization *authorization, ProtobufCService *auth, const char *const *identities)
{
    authorization->service = (ProtobufCService){&envoy__service__auth__v3__authorization__descriptor, invoke, nothing};
    authorization->auth = auth;
    authorization->identities = identities;
}
