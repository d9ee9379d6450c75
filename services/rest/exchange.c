/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "call/gateway.h"
#include "contract/json_special.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PARAMETER_MAX = 64, USUAL_JSON = 1024 };

/* The call's: from any thread, until it is answered. */
static bool is_cancelled(const struct call *call)
{
    return http_is_gone(((const struct exchange *)call)->request);
}

/* The caller's x-request-id if it is harmless, else one of ours. */
static void set_request_id(struct call *call, const char *given, uint64_t number)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = given == NULL ? 0 : strspn(given, allowed);
    if (len > 0 && len < sizeof call->request_id && given[len] == '\0') {
        snprintf(call->request_id, sizeof call->request_id, "%s", given);
        return;
    }
    enum { DIGITS = 2 * sizeof number };
    for (int i = DIGITS - 1; i >= 0; i--, number >>= 4)
        call->request_id[i] = "0123456789abcdef"[number & 15];
    call->request_id[DIGITS] = '\0';
}

static bool is_traceparent(const char *text)
{
    static const char form[] = "hh-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";
    if (text == NULL || strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == '-' ? text[i] != '-' : strchr("0123456789abcdef", text[i]) == NULL)
            return false;
    return true;
}

struct exchange *exchange_new(const struct rest_options *options, struct http_request *request)
{
    static const char *const nobody[] = {NULL};
    struct exchange *exchange = arena_alloc(&request->arena, sizeof *exchange);
    exchange->options = options;
    exchange->request = request;
    pthread_mutex_init(&exchange->lock, NULL);
    exchange->call.authorization = http_header_copy(request, "Authorization");
    if (is_traceparent(http_header(request, "traceparent")))
        exchange->call.traceparent = http_header_copy(request, "traceparent");
    exchange->call.peer = request->peer;
    exchange->call.identities = nobody;
    exchange->call.deadline = request->deadline;
    exchange->call.is_cancelled = is_cancelled;
    exchange->call.method = "";
    set_request_id(&exchange->call, http_header(request, "x-request-id"), request->number);
    http_answer_header(request, "X-Request-Id", exchange->call.request_id);
    return exchange;
}

static void note(struct exchange *exchange)
{
    const struct call *call = &exchange->call;
    int64_t duration = clock_monotonic() - exchange->request->start;
    if (exchange->options->metrics != NULL)
        metrics_rpc(exchange->options->metrics, "rest", call->method, call->error.status, duration);
    bool is_frequent = call->error.status == STATUS_OK && strstr(call->method, "Introspect") != NULL;
    log_write(is_frequent ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "http_call", "request_id", call->request_id, "method",
              call->method, "route", exchange->request->route, "peer", call->peer, "status",
              status_name(call->error.status), "reason", call->error.reason[0] == '\0' ? NULL : call->error.reason,
              "microseconds", log_number(duration).text, "traceparent", call->traceparent, NULL);
}

/* An on_gone. What a handler put into the call it did on this thread, before it returned; once the call is answered,
 * the next one's handler may be at it on another. */
static void on_gone(struct http_request *request)
{
    struct exchange *exchange = request->data;
    pthread_mutex_lock(&exchange->lock);
    if (!exchange->is_answered && exchange->call.on_cancel != NULL)
        exchange->call.on_cancel(&exchange->call);
    pthread_mutex_unlock(&exchange->lock);
}

/* The closure of every call that an exchange makes: on any thread, once for each. After it the exchange is gone, unless
 * `then` makes one more call. */
static void answered(const ProtobufCMessage *response, void *closure_data)
{
    struct exchange *exchange = closure_data;
    pthread_mutex_lock(&exchange->lock);
    exchange->is_answered = true;
    pthread_mutex_unlock(&exchange->lock);
    if (response == NULL && exchange->call.error.status == STATUS_OK)
        (void)!call_fail(&exchange->call, STATUS_INTERNAL, "INTERNAL", "an internal error");
    exchange->answer(exchange, response);
    note(exchange);
    exchange_then_fn *then = exchange->then;
    exchange->then = NULL;
    if (then != NULL)
        then(exchange);
    else
        http_reply(exchange->request); /* the exchange is gone with it */
}

void exchange_invoke(struct exchange *exchange, ProtobufCService *service, const char *method,
                     const ProtobufCMessage *message, exchange_answer_fn *answer)
{
    const ProtobufCServiceDescriptor *descriptor = service->descriptor;
    const ProtobufCMethodDescriptor *found = protobuf_c_service_descriptor_get_method_by_name(descriptor, method);
    if (found == NULL)
        abort(); /* a route that names no method of ours */
    char *path = arena_alloc(&exchange->request->arena, strlen(descriptor->name) + strlen(method) + 3);
    stpcpy(stpcpy(stpcpy(stpcpy(path, "/"), descriptor->name), "/"), method);
    exchange->call.method = path;
    exchange->call.on_cancel = NULL; /* of a call before this one */
    exchange->call.handler_data = NULL;
    exchange->answer = answer;
    if (exchange->request->data == NULL) {
        exchange->request->data = exchange; /* it is logged as a call */
        exchange->request->on_gone = on_gone;
    }
    service->invoke(service, (unsigned)(found - descriptor->methods), message, answered, &exchange->call);
}

/* Answers */

static void no_store(struct http_request *request)
{
    http_answer_header(request, "Cache-Control", "no-store");
}

void answer_empty(struct http_request *request, int code)
{
    request->answer.code = code;
    request->answer.content_type = NULL;
    request->answer.body_len = 0;
    no_store(request);
}

void answer_text(struct http_request *request, int code, const char *text)
{
    answer_empty(request, code);
    char *copy = arena_copy(&request->arena, text, strlen(text));
    request->answer.content_type = "text/plain; charset=utf-8";
    request->answer.body = copy;
    request->answer.body_len = strlen(copy);
}

/* Prints it once where it is not long, as most answers are. */
static char *print_json(struct arena *arena, const json_t *json, size_t *ret_len)
{
    size_t size = USUAL_JSON;
    char *text = arena_alloc(arena, size + 1);
    size_t len = json_dumpb(json, text, size, JSON_COMPACT);
    if (len > size) {
        size = len;
        text = arena_alloc(arena, size + 1);
        len = json_dumpb(json, text, size, JSON_COMPACT);
    }
    *ret_len = len;
    return len == 0 || len > size ? NULL : text;
}

void answer_json_text(struct http_request *request, int code, const char *text)
{
    answer_empty(request, text == NULL ? 500 : code);
    request->answer.content_type = "application/json";
    request->answer.body = text == NULL ? "{}" : text;
    request->answer.body_len = strlen(request->answer.body);
}

void answer_json(struct http_request *request, int code, json_t *json)
{
    size_t len = 0;
    char *text = json == NULL ? NULL : print_json(&request->arena, json, &len);
    json_decref(json);
    answer_json_text(request, code, text);
}

char *answer_quote(struct arena *arena, const char *text)
{
    size_t len = strlen(text);
    char *quoted = arena_alloc(arena, 6 * len + 3), *to = quoted;
    *to++ = '"';
    for (size_t i = 0, step; i < len; i += step) {
        unsigned char c = (unsigned char)text[i];
        step = c < 0x80 ? 1 : utf8_character(text + i, len - i);
        if (step == 0)
            return NULL;
        if (c == '"' || c == '\\')
            *to++ = '\\', *to++ = (char)c;
        else if (c < ' ')
            to += snprintf(to, 7, "\\u%04x", c);
        else if (step == 1)
            *to++ = (char)c;
        else
            to = mempcpy(to, text + i, step);
    }
    *to = '"';
    return quoted;
}

static bool has_answer_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->answer.header_count; i++)
        if (strcmp(request->answer.headers[i].name, name) == 0)
            return true;
    return false;
}

void answer_oauth_error(struct http_request *request, int code, const char *error, const char *description)
{
    char text[CALL_MESSAGE_MAX];
    utf8_copy(text, sizeof text, description);
    if (code == 401 && !has_answer_header(request, "WWW-Authenticate")) /* RFC 9110, section 15.5.2: always */
        http_answer_header(request, "WWW-Authenticate", "Basic realm=\"gatehouse\", charset=\"UTF-8\"");
    for (char *c = text; *c != '\0'; c++) /* RFC 6749, section 5.2, says which characters it may have */
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            *c = '\'';
    answer_json(request, code, json_pack("{s:s, s:s}", "error", error, "error_description", text));
}

void answer_method_not_allowed(struct http_request *request, const char *allow)
{
    http_answer_header(request, "Allow", allow);
    answer_oauth_error(request, 405, "invalid_request", "this path has no such method");
}

static int code_of(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return 200;
    case STATUS_INVALID_ARGUMENT:
        return 400;
    case STATUS_UNAUTHENTICATED:
        return 401;
    case STATUS_PERMISSION_DENIED:
        return 403;
    case STATUS_NOT_FOUND:
        return 404;
    case STATUS_ALREADY_EXISTS:
    case STATUS_ABORTED:
    case STATUS_FAILED_PRECONDITION:
        return 409;
    case STATUS_RESOURCE_EXHAUSTED:
        return 429;
    case STATUS_UNIMPLEMENTED:
        return 501;
    case STATUS_UNAVAILABLE:
        return 503;
    case STATUS_DEADLINE_EXCEEDED:
        return 504;
    case STATUS_CANCELLED:
    case STATUS_UNKNOWN:
    case STATUS_INTERNAL:
    case STATUS_CONFLICT:
        break;
    }
    return 500;
}

int answer_code_of(struct http_request *request, const struct call_error *error)
{
    int code = code_of(error->status);
    if (error->retry_after_ms > 0) {
        char seconds[24];
        snprintf(seconds, sizeof seconds, "%lld", (long long)(error->retry_after_ms + 999) / 1000);
        http_answer_header(request, "Retry-After", seconds);
    }
    return code;
}

static json_t *make_details(const struct call_error *error)
{
    json_t *details = json_array();
    if (error->reason[0] != '\0')
        json_array_append_new(details, json_pack("{s:s, s:s, s:s}", "@type", "type.googleapis.com/google.rpc.ErrorInfo",
                                                 "reason", error->reason, "domain", "gatehouse"));
    if (error->field[0] != '\0')
        json_array_append_new(details,
                              json_pack("{s:s, s:[{s:s, s:s}]}", "@type", "type.googleapis.com/google.rpc.BadRequest",
                                        "fieldViolations", "field", error->field, "description", error->message));
    if (error->retry_after_ms > 0) {
        char delay[32];
        snprintf(delay, sizeof delay, "%lld.%03llds", (long long)error->retry_after_ms / 1000,
                 (long long)error->retry_after_ms % 1000);
        json_array_append_new(
            details, json_pack("{s:s, s:s}", "@type", "type.googleapis.com/google.rpc.RetryInfo", "retryDelay", delay));
    }
    return details;
}

void answer_challenge(struct http_request *request, const char *error)
{
    char challenge[GATEWAY_CHALLENGE_SIZE];
    gateway_challenge(error, challenge);
    http_answer_header(request, "WWW-Authenticate", challenge);
}

/* Fields are called as JSON calls them: "credential.expireTime", and so at the beginning of the message. */
static struct call_error in_json(struct arena *arena, const struct call_error *error)
{
    struct call_error result = *error;
    size_t len = strlen(error->field);
    if (len == 0)
        return result;
    char *field = json_camel(arena, error->field);
    utf8_copy(result.field, sizeof result.field, field);
    if (strncmp(error->message, error->field, len) == 0) {
        char *message = arena_format(arena, "%s%s", field, error->message + len);
        utf8_copy(result.message, sizeof result.message, message);
    }
    return result;
}

void answer_error(struct http_request *request, int code, const struct call_error *given)
{
    const struct call_error in_names_of_json = in_json(&request->arena, given), *error = &in_names_of_json;
    answer_json(request, code,
                json_pack("{s:{s:i, s:s, s:s, s:o}}", "error", "code", code, "status", status_name(error->status),
                          "message", error->message, "details", make_details(error)));
}

void answer_status(struct http_request *request, const struct call_error *error)
{
    int code = answer_code_of(request, error);
    const struct exchange *exchange = request->data;
    if (exchange != NULL && exchange->if_match != NULL && strcmp(error->reason, "STALE_ETAG") == 0)
        code = 412; /* RFC 9110, section 13.1.1 */
    if (error->status == STATUS_UNAUTHENTICATED && (exchange == NULL || exchange->call.authorization == NULL))
        answer_challenge(request, NULL);
    else if (error->status == STATUS_UNAUTHENTICATED)
        answer_challenge(request, "invalid_token");
    else if (error->status == STATUS_PERMISSION_DENIED)
        answer_challenge(request, "insufficient_scope");
    answer_error(request, code, error);
}

static const char *skip_spaces(const char *at)
{
    return at + strspn(at, " \t");
}

/* The value of a parameter at `at`: a token or a quoted string. Its end; NULL: it is neither. */
static const char *read_value(const char *at, char value[static PARAMETER_MAX])
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t len = 0;
    bool is_quoted = *at == '"';
    at += is_quoted;
    while (*at != '\0' && (is_quoted ? *at != '"' : strchr(token, *at) != NULL)) {
        at += is_quoted && *at == '\\' && at[1] != '\0';
        if (len + 1 < PARAMETER_MAX)
            value[len++] = *at;
        at++;
    }
    value[len] = '\0';
    if (is_quoted)
        return *at == '"' ? at + 1 : NULL;
    return len > 0 ? at : NULL;
}

/* RFC 9110, section 5.6.6: *( OWS ";" OWS [ name "=" value ] ). Is it well formed, and the charset UTF-8 if it is told?
 */
static bool are_parameters_utf8(const char *at)
{
    char name[PARAMETER_MAX], value[PARAMETER_MAX];
    while (*(at = skip_spaces(at)) == ';') {
        at = skip_spaces(at + 1);
        if (*at == ';' || *at == '\0')
            continue;
        at = *at == '"' ? NULL : read_value(at, name);
        if (at == NULL || *at != '=' || (at = read_value(at + 1, value)) == NULL)
            return false;
        if (strcasecmp(name, "charset") == 0 && strcasecmp(value, "utf-8") != 0)
            return false;
    }
    return *at == '\0';
}

bool content_type_is(const struct http_request *request, const char *wanted)
{
    const char *type = http_header(request, "Content-Type");
    size_t len = strlen(wanted);
    return type != NULL && strncasecmp(type, wanted, len) == 0 && are_parameters_utf8(type + len);
}
