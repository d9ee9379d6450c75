/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For gateways: GET|HEAD /OAuth/Check?role=… answers 200, 401 or 403 to nginx's auth_request, Traefik's and Caddy's
 * forward auth, and, with the request's path behind it, to Envoy's ext_authz over HTTP; POST /k8s/TokenReview to
 * Kubernetes. Both introspect as the shim's own identity (rest_options.check_identities).
 */
#include "base/address.h"
#include "base/utf8.h"
#include "call/gateway.h"
#include "form.h"
#include "routes.h"

#include <string.h>

enum { ROLES_MAX = 32 };

static void challenge(struct http_request *request, int code, const char *error)
{
    answer_challenge(request, error);
    answer_empty(request, code);
}

/* An exchange_answer_fn, of Introspect: on any thread. */
static void answer_check(struct exchange *exchange, const ProtobufCMessage *message)
{
    struct http_request *request = exchange->request;
    struct arena arena = {0};
    struct gateway_verdict verdict = gateway_judge(&exchange->call.error, (const void *)message, true, &arena);
    if (verdict.code == 0)
        answer_status(request, &exchange->call.error);
    else if (verdict.code != 200)
        challenge(request, verdict.code, verdict.error);
    else {
        answer_empty(request, 200);
        for (size_t i = 0; i < GATEWAY_HEADERS; i++)
            http_answer_header(request, verdict.headers[i].name, verdict.headers[i].value);
    }
    arena_done(&arena);
}

/* Envoy's ext_authz over HTTP asks by the request's own method, at our path with the request's path behind it. NULL: it
 * was asked at our path itself. */
static const char *appended_path(const struct rest_options *options, const struct http_request *request)
{
    static const char ours[] = "/OAuth/Check";
    size_t prefix = options->path_prefix == NULL ? 0 : strlen(options->path_prefix);
    const char *behind = request->path + prefix + sizeof ours - 1;
    return *behind == '/' ? behind : NULL;
}

/* What the gateway says the request was. */
static char *called_api(struct http_request *request, const char *appended)
{
    if (appended != NULL) { /* and nothing of the client's headers counts */
        char called[GATEWAY_API_SIZE];
        gateway_api(request->method, appended, called);
        return arena_copy(&request->arena, called, strlen(called));
    }
    const char *method = http_header(request, "X-Original-Method"), *uri = http_header(request, "X-Original-URI");
    if (method == NULL)
        method = http_header(request, "X-Forwarded-Method");
    if (uri == NULL)
        uri = http_header(request, "X-Forwarded-Uri");
    char api[GATEWAY_API_SIZE];
    gateway_api(method, uri, api);
    return arena_copy(&request->arena, api, strlen(api));
}

static bool read_roles(struct http_request *request, Gatehouse__V1__IntrospectRequest *message)
{
    const char *why = "";
    struct form *form = arena_alloc(&request->arena, sizeof *form);
    message->required_roles = arena_alloc(&request->arena, ROLES_MAX * sizeof *message->required_roles);
    if (!form_parse(form, request->query, strlen(request->query), &why))
        return false;
    for (size_t i = 0; i < form->count; i++) {
        if (strcmp(form->fields[i].name, "role") != 0 || message->n_required_roles == ROLES_MAX)
            return false;
        message->required_roles[message->n_required_roles++] = (char *)(uintptr_t)form->fields[i].value;
    }
    return true;
}

/* The client's address: whom the connection comes from, or trusted_proxies name. Where that is none, it is not known.
 */
static char *told_peer(const struct exchange *exchange)
{
    static char none[] = "";
    struct address address;
    const char *peer = exchange->call.peer;
    return address_parse(peer, strlen(peer), &address) ? (char *)(uintptr_t)peer : none;
}

static bool start_check(const struct rest_options *options, struct http_request *request)
{
    const char *token = gateway_token(http_header_copy(request, "Authorization"));
    const char *appended = appended_path(options, request);
    if (appended == NULL && strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        answer_method_not_allowed(request, "GET, HEAD");
        return false;
    }
    struct exchange *exchange = exchange_new(options, request);
    Gatehouse__V1__IntrospectRequest *message = arena_alloc(&request->arena, sizeof *message);
    gatehouse__v1__introspect_request__init(message);
    if (appended == NULL && !read_roles(request, message)) { /* else the query is the client's */
        answer_oauth_error(request, 400, "invalid_request", "the query is role=… only");
        return false;
    }
    if (token == NULL) {
        challenge(request, 401, NULL);
        return false;
    }
    message->token = (char *)(uintptr_t)token;
    message->api = called_api(request, appended);
    message->peer = told_peer(exchange);
    exchange->call.authorization = NULL; /* it is the bearer's, not ours */
    exchange->call.identities = options->check_identities;
    exchange_invoke(exchange, options->auth, "Introspect", &message->base, answer_check);
    return true;
}

void check_bearer(const struct rest_options *options, struct http_request *request)
{
    if (!start_check(options, request))
        http_reply(request);
}

/* authentication.k8s.io/v1 TokenReview */

/* An exchange_answer_fn, of Introspect for a TokenReview: on any thread. */
static void answer_review(struct exchange *exchange, const ProtobufCMessage *message)
{
    const Gatehouse__V1__IntrospectResponse *token = (const void *)message;
    json_t *status = NULL;
    if (token == NULL && exchange->call.error.status != STATUS_INVALID_ARGUMENT) {
        answer_status(exchange->request, &exchange->call.error);
        return;
    }
    if (token == NULL || !token->active) {
        status = json_pack("{s:b}", "authenticated", 0);
    } else {
        json_t *groups = json_array();
        for (size_t i = 0; i < token->n_roles; i++)
            json_array_append_new(groups, json_string(token->roles[i]));
        status = json_pack("{s:b, s:{s:s, s:s, s:o}}", "authenticated", 1, "user", "username",
                           token->owner[0] == '\0' ? token->client_id : token->owner, "uid", token->client_id, "groups",
                           groups);
    }
    answer_json(exchange->request, 200,
                json_pack("{s:s, s:s, s:o}", "apiVersion", "authentication.k8s.io/v1", "kind", "TokenReview", "status",
                          status));
}

static char *review_token(struct http_request *request)
{
    json_t *json = json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    const char *version = "", *kind = "", *token = NULL;
    size_t token_len = 0;
    char *copy = NULL;
    if (json_unpack(json, "{s:s, s:s, s:{s:s%}}", "apiVersion", &version, "kind", &kind, "spec", "token", &token,
                    &token_len) == 0 &&
        strcmp(version, "authentication.k8s.io/v1") == 0 && strcmp(kind, "TokenReview") == 0)
        copy = utf8_is_text(token, token_len) ? arena_copy(&request->arena, token, token_len)
                                              : arena_copy(&request->arena, "?", 1); /* none of ours */
    json_decref(json);
    return copy;
}

static bool start_review(const struct rest_options *options, struct http_request *request)
{
    if (strcmp(request->method, "POST") != 0) {
        answer_method_not_allowed(request, "POST");
        return false;
    }
    struct exchange *exchange = exchange_new(options, request);
    Gatehouse__V1__IntrospectRequest *message = arena_alloc(&request->arena, sizeof *message);
    char *token = review_token(request), api[] = "kubernetes TokenReview";
    if (token == NULL) {
        answer_oauth_error(request, 400, "invalid_request",
                           "the body is not a TokenReview of authentication.k8s.io/v1");
        return false;
    }
    gatehouse__v1__introspect_request__init(message);
    message->token = token;
    message->api = arena_copy(&request->arena, api, sizeof api - 1);
    exchange->call.authorization = NULL;
    exchange->call.identities = options->check_identities;
    exchange_invoke(exchange, options->auth, "Introspect", &message->base, answer_review);
    return true;
}

void token_review(const struct rest_options *options, struct http_request *request)
{
    if (!start_review(options, request))
        http_reply(request);
}
