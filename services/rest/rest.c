/* SPDX-License-Identifier: Apache-2.0 */
/* The shim as a whole: its two listeners, and which path goes where. */
#include "rest.h"

#include "base/clock.h"
#include "base/log.h"
#include "console.h"
#include "openapi.h"
#include "routes.h"
#include "wiping.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct rest_server {
    struct rest_options options;
    struct contract *contract;
    struct openapi *openapi;
    struct network *trusted;
    struct tls *tls;
    struct http_server *http;
    struct http_server *metrics_http;
};

static void answer_ready(const struct rest_options *options, struct http_request *request)
{
    bool is_ready = options->is_ready == NULL || options->is_ready(options->is_ready_arg);
    const char *trouble = is_ready && options->trouble != NULL ? options->trouble(options->is_ready_arg) : NULL;
    char detail[READY_DETAIL_MAX] = "";
    if (options->ready_detail != NULL)
        options->ready_detail(options->is_ready_arg, detail);
    answer_text(request, is_ready ? 200 : 503,
                arena_format(&request->arena, "%s%s%s\n%s", is_ready ? "ok" : "not ready",
                             trouble == NULL ? "" : ", but ", trouble == NULL ? "" : trouble, detail));
}

/* A route_fn: on a loop. */
static void serve_health(const struct rest_options *options, struct http_request *request)
{
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
        answer_method_not_allowed(request, "GET, HEAD");
    else if (strcmp(request->route, "/readyz") == 0)
        answer_ready(options, request);
    else
        answer_text(request, 200, "ok\n");
    http_reply(request);
}

/* Paths below the prefix; those of OAuth in any letter case, for the product's clients write them as they like. */
static const struct {
    const char *path;
    bool ignores_case;
    bool is_check;
    route_fn *handle;
} routes[] = {
    {"/OAuth/Token", true, false, oauth_token},
    {"/OAuth/Introspect", true, false, oauth_introspect},
    {"/OAuth/Revoke", true, false, oauth_revoke},
    {"/OAuth/Check", true, true, check_bearer},
    {"/k8s/TokenReview", false, true, token_review},
    {"/.well-known/oauth-authorization-server", false, false, oauth_metadata},
    {"/console/session", false, false, session_handle},
    {"/openapi.json", false, false, openapi_describe},
    {"/livez", false, false, serve_health},
    {"/readyz", false, false, serve_health},
};

/* RFC 8414, section 3.1: where the issuer has a path, it comes after the well-known part. */
static bool is_metadata_of(const char *path, const char *prefix)
{
    static const char well_known[] = "/.well-known/oauth-authorization-server";
    size_t len = sizeof well_known - 1;
    return strncmp(path, well_known, len) == 0 && strcmp(path + len, prefix) == 0;
}

static const char *below_prefix(const char *path, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncasecmp(path, prefix, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return NULL;
    return path[len] == '\0' ? "/" : path + len;
}

/* Below /v1 an error is a google.rpc.Status, elsewhere OAuth's. */
static bool is_api(const char *path)
{
    return path != NULL && strncmp(path, "/v1", 3) == 0 && (path[3] == '/' || path[3] == '\0' || path[3] == '?');
}

static char *refusal(void *arg, struct arena *arena, const char *target, int code, const char *why)
{
    const struct rest_server *server = arg;
    const char *prefix = server->options.path_prefix == NULL ? "" : server->options.path_prefix;
    if (is_api(below_prefix(target, prefix)))
        return arena_format(arena, "{\"error\":{\"code\":%d,\"status\":\"%s\",\"message\":\"%s\",\"details\":[]}}",
                            code, status_name(code >= 500 ? STATUS_UNAVAILABLE : STATUS_INVALID_ARGUMENT), why);
    return arena_format(arena, "{\"error\":\"%s\",\"error_description\":\"%s\"}",
                        code >= 500 ? "server_error" : "invalid_request", why);
}

/* A request that reaches no handler. */
static void refuse(struct http_request *request, const char *path, int code, const char *why)
{
    struct call_error error = {.status = code == 404 ? STATUS_NOT_FOUND : STATUS_INVALID_ARGUMENT};
    snprintf(error.message, sizeof error.message, "%s", why);
    snprintf(error.reason, sizeof error.reason, "%s", code == 404 ? "NO_SUCH_PATH" : "UNSUPPORTED_CONTENT");
    if (is_api(path))
        answer_error(request, code, &error);
    else
        answer_oauth_error(request, code, "invalid_request", why);
    http_reply(request);
}

static bool allow_origin(const struct rest_options *options, struct http_request *request)
{
    const char *origin = http_header(request, "Origin");
    const char *const *allowed = options->cors_origins;
    if (allowed != NULL &&
        *allowed != NULL) /* also where none is sent: a cache must not give one's answer to another */
        http_answer_header(request, "Vary", "Origin");
    while (origin != NULL && allowed != NULL && *allowed != NULL && strcmp(*allowed, origin) != 0)
        allowed++;
    if (origin == NULL || allowed == NULL || *allowed == NULL)
        return false;
    http_answer_header(request, "Access-Control-Allow-Origin", origin);
    http_answer_header(request, "Access-Control-Expose-Headers",
                       "WWW-Authenticate, Retry-After, X-Request-Id, ETag, Allow");
    return true;
}

static void answer_preflight(struct http_request *request)
{
    http_answer_header(request, "Access-Control-Allow-Methods", "GET, HEAD, POST, PATCH, PUT, DELETE");
    http_answer_header(request, "Access-Control-Allow-Headers",
                       "Authorization, Content-Type, If-Match, X-Request-Id, Traceparent");
    http_answer_header(request, "Access-Control-Max-Age", "600");
    answer_empty(request, 204);
    http_reply(request);
}

static void dispatch(const struct rest_options *options, struct http_request *request, const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        size_t len = strlen(routes[i].path);
        int order =
            routes[i].ignores_case ? strncasecmp(path, routes[i].path, len) : strncmp(path, routes[i].path, len);
        bool is_whole = order == 0 && (path[len] == '\0' || (routes[i].handle == check_bearer && path[len] == '/'));
        if (!is_whole || (routes[i].is_check && options->check_identities == NULL))
            continue;
        request->route = routes[i].path;
        routes[i].handle(options, request);
        return;
    }
    if (admin_handle(options, request, path) || console_handle(request, path))
        return;
    refuse(request, path, 404, "there is no such path");
}

/* Nothing here is unpacked. */
static bool is_plain(const struct http_request *request)
{
    const char *coding = http_header(request, "Content-Encoding");
    return coding == NULL || coding[0] == '\0' || strcasecmp(coding, "identity") == 0;
}

/* The `handle` of the server's port: on a loop. */
static void handle(void *arg, struct http_request *request)
{
    struct rest_server *server = arg;
    const struct rest_options *options = &server->options;
    const char *prefix = options->path_prefix == NULL ? "" : options->path_prefix;
    const char *path = below_prefix(request->path, prefix);
    http_answer_header(request, "X-Content-Type-Options", "nosniff");
    if (request->is_tls)
        http_answer_header(request, "Strict-Transport-Security", "max-age=31536000");
    session_check(options, request);
    bool is_allowed_origin = allow_origin(options, request);
    if (is_allowed_origin && strcmp(request->method, "OPTIONS") == 0) {
        answer_preflight(request);
    } else if (!is_plain(request)) {
        http_answer_header(request, "Accept-Encoding", "identity"); /* RFC 9110, section 15.5.16 */
        refuse(request, path, 415, "the body must have no content coding");
    } else if (path != NULL) {
        dispatch(options, request, path);
    } else if (is_metadata_of(request->path, prefix)) {
        oauth_metadata(options, request);
    } else {
        refuse(request, path, 404, "there is no such path");
    }
}

static void observe(void *arg, const struct http_request *request, const char *peer, int code, const char *why)
{
    struct rest_server *server = arg;
    int64_t duration = request == NULL ? 0 : clock_monotonic() - request->start;
    struct metrics_request counted = {
        .scheme = server->tls == NULL ? "http" : "https",
        .method = request == NULL ? "_OTHER" : request->method,
        .route = request == NULL ? "other" : request->route,
        .code = code,
    };
    if (server->options.metrics != NULL && code == 0)
        metrics_turned_away(server->options.metrics);
    else if (server->options.metrics != NULL)
        metrics_http(server->options.metrics, &counted, duration);
    if (why != NULL) /* refused before it was a request */
        log_write(LOG_LEVEL_INFO, "http_refused", "peer", peer, "code", log_number(code).text, "message", why, NULL);
    else if (request != NULL && request->data == NULL) /* no call came of it */
        log_write(code < 400 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "http_request", "method", request->method, "route",
                  request->route, "peer", peer, "code", log_number(code).text, "microseconds",
                  log_number(duration).text, NULL);
}

/* The `handle` of the metrics' own port: on a loop. */
static void serve_metrics(void *arg, struct http_request *request)
{
    struct rest_server *server = arg;
    size_t len = 0;
    bool is_get = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    char *text =
        is_get && strcmp(request->path, "/metrics") == 0 ? metrics_format(server->options.metrics, &len) : NULL;
    if (text == NULL) {
        answer_text(request, 404, "only GET /metrics is here\n");
    } else {
        answer_text(request, 200, text);
        request->answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
    }
    free(text);
    http_reply(request);
}

/* The `observe` of the metrics' own port: on a loop. */
static void ignore(void *arg, const struct http_request *request, const char *peer, int code, const char *why)
{
    (void)arg, (void)request, (void)peer, (void)code, (void)why;
}

static int64_t milliseconds(int64_t value, int64_t otherwise)
{
    return (value == 0 ? otherwise : value) * 1000;
}

static struct http_options make_options(const struct rest_options *options)
{
    return (struct http_options){
        .address = options->address,
        .listen_fd = options->listen_fd,
        .threads = options->threads == 0 ? 2 : options->threads,
        .max_connections = options->max_connections == 0 ? 4096 : options->max_connections,
        .max_connections_per_address =
            options->max_connections_per_address == 0 ? 512 : options->max_connections_per_address,
        .limits = {.max_header_bytes = options->max_header_bytes == 0 ? 8192 : options->max_header_bytes,
                   .max_headers = options->max_headers == 0 ? 64 : options->max_headers,
                   .max_body_bytes = options->max_body_bytes == 0 ? 65536 : options->max_body_bytes},
        .request_timeout_us = milliseconds(options->request_timeout_ms, 10000),
        .answer_timeout_us = milliseconds(options->answer_timeout_ms, 10000),
        .write_timeout_us = milliseconds(options->write_timeout_ms, 10000),
        .keep_alive_us = milliseconds(options->keep_alive_ms, 60000),
        .handle = handle,
        .refusal = refusal,
        .observe = observe,
    };
}

static struct forwarded trust(struct rest_server *server, char error[static 256])
{
    const char *const *proxies = server->options.trusted_proxies;
    struct forwarded forwarded = {.is_rfc7239 = server->options.is_forwarded_rfc7239};
    size_t count = 0;
    while (proxies != NULL && proxies[count] != NULL)
        count++;
    server->trusted = calloc(count + 1, sizeof *server->trusted);
    if (server->trusted == NULL)
        snprintf(error, 256, "out of memory");
    for (size_t i = 0; i < count && error[0] == '\0'; i++) {
        if (strcmp(proxies[i], "unix") == 0)
            forwarded.is_unix_trusted = true;
        else if (!network_parse(proxies[i], &server->trusted[forwarded.trusted_count++]))
            snprintf(error, 256, "trusted_proxies: \"%s\" is neither an IP address nor a network", proxies[i]);
    }
    forwarded.trusted = server->trusted;
    return forwarded;
}

struct rest_server *rest_server_new(const struct rest_options *options, char error[static 256])
{
    struct rest_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    json_set_alloc_funcs(malloc, wiping_free); /* JSON holds secrets on its way */
    server->options = *options;
    server->contract = options->admin == NULL ? NULL : contract_new(options->admin->descriptor);
    server->options.admin_contract = server->contract;
    server->options.openapi = server->openapi = openapi_new(&server->options);
    struct http_options http = make_options(options), metrics_http = make_options(options);
    http.arg = metrics_http.arg = server;
    error[0] = '\0';
    http.forwarded = trust(server, error);
    if (error[0] == '\0' && options->tls_cert_file != NULL)
        http.tls = server->tls = tls_new(options->tls_cert_file, options->tls_key_file, error, 256);
    metrics_http.address = options->metrics_address;
    metrics_http.listen_fd = options->metrics_listen_fd;
    metrics_http.threads = 1;
    metrics_http.forwarded = (struct forwarded){.trusted_count = 0};
    metrics_http.handle = serve_metrics;
    metrics_http.observe = ignore;
    if (error[0] == '\0' && server->openapi != NULL)
        server->http = http_server_new(&http);
    if (options->metrics_address != NULL && server->http != NULL)
        server->metrics_http = http_server_new(&metrics_http);
    if (server->http != NULL && (options->metrics_address == NULL || server->metrics_http != NULL))
        return server;
    if (error[0] == '\0')
        snprintf(error, 256, "out of memory");
    rest_server_free(server);
    return NULL;
}

enum status rest_server_start(struct rest_server *server)
{
    TRY(http_server_start(server->http));
    return server->metrics_http == NULL ? STATUS_OK : http_server_start(server->metrics_http);
}

int rest_server_port(const struct rest_server *server)
{
    return http_server_port(server->http);
}

int rest_server_metrics_port(const struct rest_server *server)
{
    return server->metrics_http == NULL ? 0 : http_server_port(server->metrics_http);
}

void rest_server_reload(struct rest_server *server)
{
    if (server->tls != NULL)
        tls_reload(server->tls);
}

bool rest_server_is_turning(const struct rest_server *server, int64_t limit_ms)
{
    return http_server_is_turning(server->http, limit_ms * 1000) &&
           (server->metrics_http == NULL || http_server_is_turning(server->metrics_http, limit_ms * 1000));
}

void rest_server_stop(struct rest_server *server, int64_t grace_ms)
{
    http_server_stop(server->http, grace_ms);
    if (server->metrics_http != NULL)
        http_server_stop(server->metrics_http, 0);
}

void rest_server_free(struct rest_server *server)
{
    if (server == NULL)
        return;
    if (server->http != NULL)
        http_server_free(server->http);
    if (server->metrics_http != NULL)
        http_server_free(server->metrics_http);
    tls_free(server->tls);
    free(server->trusted);
    contract_free(server->contract);
    openapi_free(server->openapi);
    free(server);
}
