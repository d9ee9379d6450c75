/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is signed in at the console: GET, POST, DELETE /console/session. Either the cookie says so, which holds the
 * bearer token where no script can read it, or a sign-on proxy in front, which vouches for a person.
 *
 * A browser sends the cookie by itself, and signs on by itself, also when another site has made it ask. So both count
 * only where the console's own page asks: by a header that no other origin may send (X-Gatehouse-Console: it is not
 * among those that a preflight allows), and with what the browser says of where the request comes from. Below /OAuth/
 * they never count.
 */
#include "base/log.h"
#include "base/utf8.h"
#include "basic.h"
#include "form.h"
#include "routes.h"

#include <ctype.h>
#include <gatehouse/v1/auth.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CLIENT_ID_CHARACTERS = 36, USER_BYTES_MAX = 256 };

/* What the cookie says ("CLIENT_ID.TOKEN"), or the person, who needs no token. */
struct session {
    const char *client_id, *token, *user;
};

/* The cookie */

static bool is_secure(const struct exchange *exchange)
{
    const char *url = exchange->options->public_url;
    return exchange->request->is_tls || (url != NULL && strncmp(url, "https://", 8) == 0);
}

/* As the browser knows it; without a public_url that is the prefix, in the letters in which it was asked for. */
static const char *cookie_path(const struct exchange *exchange)
{
    const char *url = exchange->options->public_url, *prefix = exchange->options->path_prefix, *path = "";
    struct http_request *request = exchange->request;
    if (url != NULL)
        path = strchr(strstr(url, "://") + 3, '/');
    else if (prefix != NULL)
        path = arena_copy(&request->arena, request->path, strlen(prefix));
    return path == NULL || path[0] == '\0' ? "/" : path;
}

/* A browser takes these prefixes only of who could have set the cookie: nobody next door. */
static const char *cookie_name(const struct exchange *exchange)
{
    if (!is_secure(exchange))
        return "gatehouse";
    return strcmp(cookie_path(exchange), "/") == 0 ? "__Host-gatehouse" : "__Secure-gatehouse";
}

static void set_cookie(struct exchange *exchange, const char *value, const char *more)
{
    struct http_request *request = exchange->request;
    http_answer_header(request, "Set-Cookie",
                       arena_format(&request->arena, "%s=%s; Path=%s; HttpOnly; SameSite=Strict%s%s",
                                    cookie_name(exchange), value, cookie_path(exchange),
                                    is_secure(exchange) ? "; Secure" : "", more));
}

/* NULL: there is none, or there are two: somebody else has set one of them. */
static char *find_cookie(struct http_request *request, const char *name)
{
    const char *at = http_header(request, "Cookie");
    char *found = NULL;
    size_t len = strlen(name), pair;
    for (; at != NULL && *at != '\0'; at += pair) {
        at += strspn(at, "; ");
        pair = strcspn(at, ";");
        if (pair <= len || strncmp(at, name, len) != 0 || at[len] != '=')
            continue;
        if (found != NULL)
            return NULL;
        found = arena_copy(&request->arena, at + len + 1, pair - len - 1);
    }
    return found;
}

static bool read_cookie(const struct exchange *exchange, struct session *ret_session)
{
    char *value = find_cookie(exchange->request, cookie_name(exchange));
    if (value == NULL || strcspn(value, ".") != CLIENT_ID_CHARACTERS || value[CLIENT_ID_CHARACTERS] != '.')
        return false;
    value[CLIENT_ID_CHARACTERS] = '\0';
    *ret_session = (struct session){.client_id = value, .token = value + CLIENT_ID_CHARACTERS + 1};
    return true;
}

/* The sign-in is done, whether or not this succeeds: it is logged as any call, and what stays ends when it is idle. */
static void ignore_answer(struct exchange *exchange, const ProtobufCMessage *message)
{
    (void)exchange;
    (void)message;
}

static void end_token(struct exchange *exchange, const char *token, exchange_answer_fn *answer)
{
    struct arena *arena = &exchange->request->arena;
    Gatehouse__V1__RevokeRequest *message = arena_new(arena, Gatehouse__V1__RevokeRequest);
    gatehouse__v1__revoke_request__init(message);
    message->token = (char *)(uintptr_t)token;
    exchange->call.authorization = arena_format(arena, "Bearer %s", token);
    exchange_invoke(exchange, exchange->options->auth, "Revoke", &message->base, answer);
}

/* An exchange_then_fn, after a sign-in: on the thread that answered it. */
static void end_replaced(struct exchange *exchange)
{
    end_token(exchange, exchange->replaced, ignore_answer);
}

const char *session_keep(struct exchange *exchange, const char *client_id, const char *token)
{
    struct arena *arena = &exchange->request->arena;
    char *spelled = arena_text(arena, client_id);
    for (char *c = spelled; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    set_cookie(exchange, arena_format(arena, "%s.%s", spelled, token), "");
    if (exchange->replaced != NULL)
        exchange->then = end_replaced;
    return spelled;
}

/* The person */

static bool is_named(const struct exchange *exchange)
{
    const char *header = exchange->options->user_header;
    const char *user = header == NULL ? NULL : http_header(exchange->request, header);
    return user != NULL && user[0] != '\0' && exchange->request->is_trusted;
}

/* False: it is no text, or there twice: one of the two the client has put in, past the proxy. */
static bool read_user(const struct exchange *exchange, struct session *ret_session)
{
    struct http_request *request = exchange->request;
    const char *lines[2];
    bool is_one = http_header_lines(request, exchange->options->user_header, lines, 2) == 1;
    size_t len = is_one ? strlen(lines[0]) : 0;
    if (!is_one || len > USER_BYTES_MAX || !utf8_is_text(lines[0], len))
        return false;
    *ret_session = (struct session){.user = arena_copy(&request->arena, lines[0], len)};
    return true;
}

void session_check(const struct rest_options *options, struct http_request *request)
{
    if (options->user_header == NULL || request->is_trusted || http_header(request, options->user_header) == NULL)
        return;
    log_write(LOG_LEVEL_WARN, "http_user_refused", "peer", request->peer, "message",
              "who is none of trusted_proxies named a user of the console", NULL);
    if (options->metrics != NULL)
        metrics_user_refused(options->metrics);
}

/* Whose request it is */

/* "https://auth.example.com:8443" as a browser writes it: the public URL's, or that of the Host which was asked. */
static bool is_own_origin(const struct exchange *exchange, const char *origin)
{
    const char *url = exchange->options->public_url, *host = http_header(exchange->request, "Host");
    const char *authority = strstr(origin, "://");
    size_t len = strlen(origin);
    if (authority == NULL)
        return false; /* "null" */
    if (url != NULL && strncasecmp(url, origin, len) == 0 && (url[len] == '\0' || url[len] == '/'))
        return true;
    return host != NULL && strcasecmp(authority + 3, host) == 0 &&
           (!exchange->request->is_tls || strncasecmp(origin, "https://", 8) == 0);
}

static bool is_read(const struct http_request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

/* A browser that is old, or asks over plain HTTP, sends no Sec-Fetch-Site; and an Origin only with what is no read. */
static bool is_own_page(const struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    const char *mark = http_header(request, "X-Gatehouse-Console");
    const char *site = http_header(request, "Sec-Fetch-Site"), *origin = http_header(request, "Origin");
    if (mark == NULL || strcmp(mark, "1") != 0)
        return false;
    if (site != NULL)
        return strcmp(site, "same-origin") == 0;
    return origin == NULL ? is_read(request) : is_own_origin(exchange, origin);
}

/* Another administrator may have signed in in another tab since: what a page asks for itself is not done as them. */
static bool find_session(const struct exchange *exchange, struct session *ret_session)
{
    char *as = (char *)(uintptr_t)http_header_copy(exchange->request, "X-Gatehouse-As");
    if (!is_own_page(exchange))
        return false;
    /* Whom the proxy vouches for it is, whatever cookie was left in that browser. */
    if (is_named(exchange) ? !read_user(exchange, ret_session) : !read_cookie(exchange, ret_session))
        return false;
    const char *who = ret_session->user != NULL ? ret_session->user : ret_session->client_id;
    return as == NULL || (form_decode(as, strlen(as), false) != NULL && strcmp(as, who) == 0);
}

void session_identify(struct exchange *exchange)
{
    struct session session;
    const char *token;
    if (basic_scheme_is(exchange->call.authorization, "Bearer", &token))
        return; /* it says itself who it is */
    if (!find_session(exchange, &session))
        return;
    exchange->call.user = session.user;
    exchange->call.authorization =
        session.user != NULL ? NULL : arena_format(&exchange->request->arena, "Bearer %s", session.token);
}

/* The endpoint */

static void tell(struct exchange *exchange)
{
    struct session session;
    bool is_in = find_session(exchange, &session), is_user = is_in && session.user != NULL;
    const char *who = is_user ? session.user : is_in ? session.client_id : NULL;
    answer_json(exchange->request, 200, json_pack("{s:s*}", is_user ? "user" : "client_id", who));
    http_reply(exchange->request);
}

/* An exchange_answer_fn, of the Revoke of a sign-out: on any thread. */
static void answer_signed_out(struct exchange *exchange, const ProtobufCMessage *message)
{
    set_cookie(exchange, "", "; Max-Age=0");
    if (message == NULL && exchange->call.error.status != STATUS_UNAUTHENTICATED) /* it has not ended by itself */
        answer_status(exchange->request, &exchange->call.error);
    else
        answer_empty(exchange->request, 204);
}

static void sign_out(struct exchange *exchange)
{
    struct session session;
    if (find_session(exchange, &session) && session.user == NULL) {
        end_token(exchange, session.token, answer_signed_out);
        return;
    }
    answer_empty(exchange->request, 204);
    http_reply(exchange->request);
}

/* Nobody could end the token any more whose cookie is overwritten, whoever signed in by it. */
static void sign_in(struct exchange *exchange)
{
    struct session session;
    exchange->replaced = read_cookie(exchange, &session) ? session.token : NULL;
    oauth_sign_in(exchange);
}

void session_handle(const struct rest_options *options, struct http_request *request)
{
    bool is_post = strcmp(request->method, "POST") == 0, is_delete = strcmp(request->method, "DELETE") == 0;
    struct exchange *exchange = exchange_new(options, request);
    if (!is_post && !is_delete && !is_read(request)) {
        answer_method_not_allowed(request, "GET, HEAD, POST, DELETE");
        http_reply(request);
    } else if (!is_own_page(exchange)) {
        answer_oauth_error(
            request, 403, "access_denied",
            "only the console's own page may ask here; is public_url the address that it was opened by?");
        http_reply(request);
    } else if (is_post && is_named(exchange)) {
        answer_oauth_error(request, 403, "access_denied", "the sign-on proxy in front says who is signed in");
        http_reply(request);
    } else if (is_post) {
        sign_in(exchange);
    } else if (is_delete) {
        sign_out(exchange);
    } else {
        tell(exchange);
    }
}
