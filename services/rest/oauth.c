/* SPDX-License-Identifier: Apache-2.0 */
/* The OAuth endpoints: form in, JSON out. RFC 6749 (4.4, 5), RFC 7009, RFC 7662, RFC 8414. */
#include "base/log.h"
#include "basic.h"
#include "form.h"
#include "routes.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { FORM_BODY_MAX = 16 * 1024, SCOPES_MAX = 64 };

/* A form that came in, and what it says of the client. */
struct oauth {
    struct form form;
    const char *client_id;     /* "": none */
    const char *client_secret; /* "": none */
    bool used_basic;
};

/* What each endpoint knows. What it does not know is ignored, however often it stands (RFC 6749, section 3.2). */
static const char *const token_names[] = {"grant_type", "client_id", "client_secret", "scope", NULL};
static const char *const introspect_names[] = {"token", "token_type_hint", "client_id", "client_secret", "api", "peer",
                                               NULL};
static const char *const revoke_names[] = {"token", "token_type_hint", "client_id", "client_secret", NULL};

/* Section 2.3.1: credentials must not stand in a URL, where they end in logs; and with them what belongs to them. */
static bool check_query(struct http_request *request, struct form *form, const char *const *names)
{
    const char *why = "";
    if (!form_parse_any(form, request->query, strlen(request->query), &why)) {
        answer_oauth_error(request, 400, "invalid_request", why);
        return false;
    }
    for (; *names != NULL; names++)
        if (form_find(form, *names) != NULL) {
            answer_oauth_error(request, 400, "invalid_request", "parameters belong in the body, not in the URL");
            return false;
        }
    return true;
}

/* Is what is known text, and there once? A token that is no text is only none of ours. */
static bool check_form(struct http_request *request, const struct form *form, const char *const *names)
{
    if (form_find_repeated(form, names) != NULL) {
        answer_oauth_error(request, 400, "invalid_request", "a parameter stands more than once");
        return false;
    }
    for (; *names != NULL; names++) {
        const struct form_field *field = form_find(form, *names);
        if (field == NULL || field->fault == NULL || strncmp(*names, "token", 5) == 0)
            continue;
        answer_oauth_error(request, 400, "invalid_request",
                           arena_format(&request->arena, "%s %s", *names, field->fault));
        return false;
    }
    return true;
}

/* The token that is asked about. NULL: there is none, which is answered. */
static const char *read_token(struct http_request *request, const struct form *form)
{
    const struct form_field *field = form_find(form, "token");
    if (field != NULL && field->fault != NULL)
        return "?"; /* a token of somebody else's, as good as any text that is none of ours */
    if (form_get(form, "token") == NULL)
        answer_oauth_error(request, 400, "invalid_request", "token is missing");
    return form_get(form, "token");
}

/* Reads the form; answers and gives NULL where it is none. */
static struct oauth *read_form(struct http_request *request, const char *const *names)
{
    const char *why = "";
    if (strcmp(request->method, "POST") != 0) {
        answer_method_not_allowed(request, "POST");
        return NULL;
    }
    if (!content_type_is(request, "application/x-www-form-urlencoded")) {
        answer_oauth_error(request, 415, "invalid_request", "the body must be application/x-www-form-urlencoded");
        return NULL;
    }
    if (request->body_len > FORM_BODY_MAX) {
        answer_oauth_error(request, 413, "invalid_request", "the form is too large");
        return NULL;
    }
    struct oauth *oauth = arena_alloc(&request->arena, sizeof *oauth);
    if (!check_query(request, &oauth->form, names))
        return NULL;
    if (!form_parse_any(&oauth->form, request->body, request->body_len, &why)) {
        answer_oauth_error(request, 400, "invalid_request", why);
        return NULL;
    }
    return check_form(request, &oauth->form, names) ? oauth : NULL;
}

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static void read_form_client(struct oauth *oauth)
{
    oauth->client_id = or_empty(form_get(&oauth->form, "client_id"));
    oauth->client_secret = or_empty(form_get(&oauth->form, "client_secret"));
}

/* Client ID and secret from the form or from Basic, not from both (RFC 6749, section 2.3). A bearer token may stand in
 * their place where the endpoint takes one. */
static bool read_client(struct http_request *request, struct oauth *oauth, bool takes_bearer)
{
    const char *credentials = "", *authorization = http_header(request, "Authorization");
    read_form_client(oauth);
    if (authorization == NULL)
        return true;
    if (oauth->client_secret[0] != '\0') {
        answer_oauth_error(request, 400, "invalid_request",
                           "the client authenticates twice: by Authorization and in the form");
        return false;
    }
    if (takes_bearer && basic_scheme_is(authorization, "Bearer", &credentials))
        return true;
    oauth->used_basic = true;
    struct basic *basic = arena_alloc(&request->arena, sizeof *basic);
    const char *why = "the Basic credentials cannot be read";
    if (!basic_scheme_is(authorization, "Basic", &credentials) || !basic_parse(basic, credentials, &why)) {
        answer_oauth_error(request, 401, "invalid_client", why);
        return false;
    }
    if (oauth->client_id[0] != '\0' && strcasecmp(oauth->client_id, basic->client_id) != 0) {
        answer_oauth_error(request, 400, "invalid_request", "client_id is not the one of the Basic credentials");
        return false;
    }
    oauth->client_id = basic->client_id;
    oauth->client_secret = basic->client_secret;
    return true;
}

/* Was the caller refused as the bearer of a token, not as a client? */
static bool is_refused_bearer(const struct exchange *exchange)
{
    const struct call_error *error = &exchange->call.error;
    return (error->status == STATUS_UNAUTHENTICATED || error->status == STATUS_PERMISSION_DENIED) &&
           !exchange->has_client && strcmp(error->reason, "INVALID_CLIENT") != 0 &&
           strcmp(error->reason, "NOT_YOUR_TOKEN") != 0;
}

static const char *error_name(const struct exchange *exchange)
{
    const struct call_error *error = &exchange->call.error;
    if (error->status == STATUS_UNAUTHENTICATED)
        return is_refused_bearer(exchange) ? "invalid_token" : "invalid_client";
    if (strcmp(error->reason, "INVALID_SCOPE") == 0)
        return "invalid_scope";
    if (error->status == STATUS_PERMISSION_DENIED)
        return is_refused_bearer(exchange) ? "insufficient_scope" : "unauthorized_client";
    if (error->status == STATUS_INVALID_ARGUMENT)
        return "invalid_request";
    if (error->status == STATUS_UNAVAILABLE || error->status == STATUS_RESOURCE_EXHAUSTED)
        return "temporarily_unavailable";
    return "server_error";
}

static void answer_failed(struct exchange *exchange)
{
    struct http_request *request = exchange->request;
    const struct call_error *error = &exchange->call.error;
    int code = answer_code_of(request, error);
    if (strcmp(error->reason, "SOURCE_ADDRESS_REFUSED") == 0 && exchange->has_client)
        code = 400; /* RFC 6749, section 5.2: it has authenticated */
    if (is_refused_bearer(exchange))
        answer_challenge(request, code == 401 ? "invalid_token" : "insufficient_scope");
    else if (exchange->is_sign_in && code == 401)
        answer_challenge(request, NULL); /* at Basic's the browser would ask for a password of its own */
    answer_oauth_error(request, code, error_name(exchange), error->message);
}

static char *join(struct arena *arena, size_t count, char *const *words)
{
    size_t size = 1;
    for (size_t i = 0; i < count; i++)
        size += strlen(words[i]) + 1;
    char *text = arena_alloc(arena, size), *to = text;
    for (size_t i = 0; i < count; i++)
        to = stpcpy(i == 0 ? to : stpcpy(to, " "), words[i]);
    return text;
}

/* `,"name":json`. */
static const char *member_of(struct arena *arena, const char *name, const char *json)
{
    char *text = arena_alloc(arena, strlen(name) + strlen(json) + sizeof ",\"\":");
    stpcpy(stpcpy(stpcpy(stpcpy(text, ",\""), name), "\":"), json);
    return text;
}

/* NULL where there is none, or it cannot be said. */
static const char *member(struct arena *arena, const char *name, const char *value)
{
    const char *quoted = value == NULL ? NULL : answer_quote(arena, value);
    return quoted == NULL ? NULL : member_of(arena, name, quoted);
}

/* "" where there is none. */
static const char *number(struct arena *arena, const char *name, const int64_t *value)
{
    return value == NULL ? "" : member_of(arena, name, log_number(*value).text);
}

/* An object of a first member and these; any of them NULL: NULL. */
static char *object(struct arena *arena, const char *first, const char *const *members, size_t count)
{
    size_t size = strlen(first) + 3;
    for (size_t i = 0; i < count; i++) {
        if (members[i] == NULL)
            return NULL;
        size += strlen(members[i]);
    }
    char *text = arena_alloc(arena, size), *to = stpcpy(stpcpy(text, "{"), first);
    for (size_t i = 0; i < count; i++)
        to = stpcpy(to, members[i]);
    stpcpy(to, "}");
    return text;
}

/* POST /OAuth/Token */

static void answer_token(struct exchange *exchange, const ProtobufCMessage *message)
{
    const Gatehouse__V1__IssueTokenResponse *token = (const void *)message;
    if (token == NULL) {
        answer_failed(exchange);
        return;
    }
    struct arena *arena = &exchange->request->arena;
    int64_t expires_in = token->expires_in == NULL ? 0 : token->expires_in->seconds;
    const char *kept = exchange->is_sign_in ? session_keep(exchange, exchange->data, token->access_token) : NULL;
    const char *const members[] = {
        kept != NULL ? member(arena, "client_id", kept) : member(arena, "access_token", token->access_token),
        number(arena, "expires_in", &expires_in), member(arena, "scope", join(arena, token->n_scopes, token->scopes)),
        number(arena, "client_secret_expires_at", &token->client_secret_expires_at),
        number(arena, "credential_expires_at", &token->credential_expires_at)};
    const char *type = member(arena, "token_type", token->token_type);
    answer_json_text(exchange->request, 200,
                     type == NULL ? NULL : object(arena, type + 1, members, sizeof members / sizeof members[0]));
}

static bool is_scope_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
            return false;
    return true;
}

/* scope = scope-token *( SP scope-token ) (RFC 6749, section 3.3). */
static bool read_scopes(struct http_request *request, const struct oauth *oauth,
                        Gatehouse__V1__IssueTokenRequest *message)
{
    const char *scope = form_get(&oauth->form, "scope");
    if (scope == NULL)
        return true;
    message->scopes = arena_alloc(&request->arena, SCOPES_MAX * sizeof *message->scopes);
    for (const char *at = scope;; at++) {
        size_t len = strcspn(at, " ");
        if (len == 0 || message->n_scopes == SCOPES_MAX || !is_scope_token(at, len)) {
            answer_oauth_error(request, 400, "invalid_scope", "scope is role ids with one space between them");
            return false;
        }
        message->scopes[message->n_scopes++] = arena_copy(&request->arena, at, len);
        at += len;
        if (*at == '\0')
            return true;
    }
}

static bool check_grant(struct http_request *request, const struct oauth *oauth)
{
    const char *grant_type = form_get(&oauth->form, "grant_type");
    if (grant_type == NULL)
        answer_oauth_error(request, 400, "invalid_request", "grant_type is missing");
    else if (strcmp(grant_type, "client_credentials") != 0)
        answer_oauth_error(request, 400, "unsupported_grant_type", "the only grant type here is client_credentials");
    else if (oauth->client_id[0] == '\0')
        answer_oauth_error(request, 400, "invalid_request", "client_id is missing");
    else if (oauth->client_secret[0] == '\0')
        answer_oauth_error(request, 400, "invalid_request", "client_secret is missing");
    else
        return true;
    return false;
}

static bool issue(struct exchange *exchange, struct oauth *oauth)
{
    struct http_request *request = exchange->request;
    if (!check_grant(request, oauth))
        return false;
    Gatehouse__V1__IssueTokenRequest *message = arena_alloc(&request->arena, sizeof *message);
    gatehouse__v1__issue_token_request__init(message);
    if (!read_scopes(request, oauth, message))
        return false;
    message->client_id = (char *)(uintptr_t)oauth->client_id;
    message->client_secret = (char *)(uintptr_t)oauth->client_secret;
    exchange->has_client = true;
    exchange->used_basic = oauth->used_basic;
    exchange->data = message->client_id;
    exchange_invoke(exchange, exchange->options->auth, "IssueToken", &message->base, answer_token);
    return true;
}

static bool start_token(const struct rest_options *options, struct http_request *request)
{
    struct oauth *oauth = read_form(request, token_names);
    return oauth != NULL && read_client(request, oauth, false) && issue(exchange_new(options, request), oauth);
}

void oauth_token(const struct rest_options *options, struct http_request *request)
{
    http_answer_header(request, "Pragma", "no-cache"); /* RFC 6749, section 5.1 */
    if (!start_token(options, request))
        http_reply(request);
}

void oauth_sign_in(struct exchange *exchange)
{
    struct oauth *oauth = read_form(exchange->request, token_names);
    exchange->is_sign_in = true;
    if (oauth != NULL)
        read_form_client(oauth); /* an Authorization is for the proxy in front, and the browser's own doing */
    if (oauth == NULL || !issue(exchange, oauth))
        http_reply(exchange->request);
}

/* POST /OAuth/Introspect */

/* An exchange_answer_fn, of Introspect: on any thread. */
static void answer_introspect(struct exchange *exchange, const ProtobufCMessage *message)
{
    const Gatehouse__V1__IntrospectResponse *token = (const void *)message;
    if (token == NULL) {
        answer_failed(exchange);
        return;
    }
    if (!token->active) { /* and nothing else: RFC 7662, section 2.2 */
        answer_json_text(exchange->request, 200, "{\"active\":false}");
        return;
    }
    struct arena *arena = &exchange->request->arena;
    const int64_t *expires = token->expire_time == NULL ? NULL : &token->expire_time->seconds;
    const int64_t *issued = token->issue_time == NULL ? NULL : &token->issue_time->seconds; /* of another version */
    const char *const members[] = {
        member(arena, "scope", join(arena, token->n_roles, token->roles)),
        member(arena, "client_id", token->client_id),
        ",\"token_type\":\"Bearer\"",
        member(arena, "sub", token->owner[0] == '\0' ? token->client_id : token->owner),
        member(arena, "client_name", token->credential_name),
        number(arena, "exp", expires),
        number(arena, "iat", issued),
    };
    answer_json_text(exchange->request, 200,
                     object(arena, "\"active\":true", members, sizeof members / sizeof members[0]));
}

/* RFC 7662, section 2.1: a bearer token of its own, or client ID and secret key as at the token endpoint. */
static bool read_introspector(struct http_request *request, struct oauth *oauth)
{
    const char *rest = NULL, *authorization = http_header(request, "Authorization");
    bool is_client = authorization == NULL ? form_get(&oauth->form, "client_secret") != NULL
                                           : basic_scheme_is(authorization, "Basic", &rest);
    if (is_client || (authorization != NULL && basic_scheme_is(authorization, "Bearer", &rest)))
        return read_client(request, oauth, true);
    answer_challenge(request, NULL);
    answer_oauth_error(request, 401, "invalid_token", "introspection needs a bearer token or a client secret");
    return false;
}

static bool start_introspect(const struct rest_options *options, struct http_request *request)
{
    struct oauth *oauth = read_form(request, introspect_names);
    if (oauth == NULL || !read_introspector(request, oauth))
        return false;
    const char *token = read_token(request, &oauth->form);
    if (token == NULL)
        return false;
    struct exchange *exchange = exchange_new(options, request);
    Gatehouse__V1__IntrospectRequest *message = arena_alloc(&request->arena, sizeof *message);
    gatehouse__v1__introspect_request__init(message);
    message->token = (char *)(uintptr_t)token;
    message->api = (char *)(uintptr_t)or_empty(form_get(&oauth->form, "api"));
    message->peer = (char *)(uintptr_t)or_empty(form_get(&oauth->form, "peer"));
    exchange->used_basic = oauth->used_basic;
    exchange->has_client = oauth->client_secret[0] != '\0' || oauth->used_basic;
    if (exchange->has_client) { /* beside a bearer token a client_id proves nothing */
        message->client_id = (char *)(uintptr_t)oauth->client_id;
        message->client_secret = (char *)(uintptr_t)oauth->client_secret;
    }
    exchange_invoke(exchange, options->auth, "Introspect", &message->base, answer_introspect);
    return true;
}

void oauth_introspect(const struct rest_options *options, struct http_request *request)
{
    if (!start_introspect(options, request))
        http_reply(request);
}

/* POST /OAuth/Revoke */

/* An exchange_answer_fn, of Revoke: on any thread. */
static void answer_revoke(struct exchange *exchange, const ProtobufCMessage *message)
{
    if (message == NULL)
        answer_failed(exchange);
    else
        answer_empty(exchange->request, 200); /* RFC 7009, section 2.2: whatever the token was */
}

static bool start_revoke(const struct rest_options *options, struct http_request *request)
{
    struct oauth *oauth = read_form(request, revoke_names);
    if (oauth == NULL || !read_client(request, oauth, true))
        return false;
    const char *token = read_token(request, &oauth->form);
    if (token == NULL)
        return false;
    struct exchange *exchange = exchange_new(options, request);
    Gatehouse__V1__RevokeRequest *message = arena_alloc(&request->arena, sizeof *message);
    if (oauth->client_id[0] == '\0' && exchange->call.authorization == NULL) {
        answer_oauth_error(request, 401, "invalid_client", "the client must authenticate");
        return false;
    }
    gatehouse__v1__revoke_request__init(message);
    message->token = (char *)(uintptr_t)token;
    message->client_id = (char *)(uintptr_t)oauth->client_id;
    message->client_secret = (char *)(uintptr_t)oauth->client_secret;
    exchange->has_client = oauth->client_id[0] != '\0';
    exchange->used_basic = oauth->used_basic;
    exchange_invoke(exchange, options->auth, "Revoke", &message->base, answer_revoke);
    return true;
}

void oauth_revoke(const struct rest_options *options, struct http_request *request)
{
    if (!start_revoke(options, request))
        http_reply(request);
}

/* GET /.well-known/oauth-authorization-server */

void oauth_metadata(const struct rest_options *options, struct http_request *request)
{
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        answer_method_not_allowed(request, "GET, HEAD");
        http_reply(request);
        return;
    }
    if (options->public_url == NULL && !options->is_host_believed) {
        answer_oauth_error(request, 404, "invalid_request", "the server has not been told its public_url");
        http_reply(request);
        return;
    }
    const char *host = http_header(request, "Host");
    char *url = options->public_url != NULL ? arena_format(&request->arena, "%s", options->public_url)
                                            : arena_format(&request->arena, "http%s://%s%s", request->is_tls ? "s" : "",
                                                           or_empty(host), or_empty(options->path_prefix));
    char *token = arena_format(&request->arena, "%s/OAuth/Token", url);
    char *introspect = arena_format(&request->arena, "%s/OAuth/Introspect", url);
    char *revoke = arena_format(&request->arena, "%s/OAuth/Revoke", url);
    answer_json(request, 200,
                json_pack("{s:s, s:s, s:s, s:s, s:[s], s:[s, s], s:[s, s, s], s:[s, s], s:[]}", "issuer", url,
                          "token_endpoint", token, "introspection_endpoint", introspect, "revocation_endpoint", revoke,
                          "grant_types_supported", "client_credentials", "token_endpoint_auth_methods_supported",
                          "client_secret_basic", "client_secret_post", "introspection_endpoint_auth_methods_supported",
                          "client_secret_basic", "client_secret_post",
                          "Bearer", /* and not at revocation's, which has names of client authentication only */
                          "revocation_endpoint_auth_methods_supported", "client_secret_basic", "client_secret_post",
                          "response_types_supported"));
    http_reply(request);
}
