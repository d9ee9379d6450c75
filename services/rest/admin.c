/* SPDX-License-Identifier: Apache-2.0 */
/* JSON for every CredentialAdmin method: the routes are the contract's, and one converter is for all messages. The body
 * of POST, PATCH and PUT is the request; its fields may also stand in the query, where they must not contradict it. */
#include "base/utf8.h"
#include "basic.h"
#include "contract/json.h"
#include "contract/json_reader.h"
#include "form.h"
#include "path.h"
#include "routes.h"

#include <stdio.h>
#include <string.h>

static const struct contract_method *find(const struct contract *contract, struct http_request *request,
                                          const char *path, struct path_captured *captured, char allow[static 64])
{
    allow[0] = '\0';
    for (size_t i = 0; i < contract->count; i++) {
        const struct contract_method *method = &contract->methods[i];
        if (method->path == NULL || !path_fits(&request->arena, method->path, path, captured))
            continue;
        bool is_get = strcmp(method->verb, "GET") == 0;
        if (strcmp(method->verb, request->method) == 0 || (is_get && strcmp(request->method, "HEAD") == 0))
            return method;
        size_t len = strlen(allow);
        snprintf(allow + len, 64 - len, "%s%s", len == 0 ? "" : ", ", is_get ? "GET, HEAD" : method->verb);
    }
    return NULL;
}

static void answer_bad(struct http_request *request, const char *why)
{
    struct call_error error = {.status = STATUS_INVALID_ARGUMENT, .reason = "INVALID_FIELD"};
    const char *colon = strstr(why, ": "); /* "credential.expireTime: is not …" */
    utf8_copy(error.message, sizeof error.message, why);
    if (colon != NULL && strcspn(why, " ") > (size_t)(colon - why))
        snprintf(error.field, sizeof error.field, "%.*s", (int)(colon - why), why);
    utf8_trim(error.field);
    answer_status(request, &error);
}

static ProtobufCMessage *read_body(struct http_request *request, const ProtobufCMessageDescriptor *descriptor,
                                   char why[static JSON_WHY_MAX])
{
    json_error_t error;
    if (request->body_len == 0)
        return json_new_message(&request->arena, descriptor);
    json_t *json = json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        bool is_double = json_error_code(&error) == json_error_duplicate_key;
        snprintf(why, JSON_WHY_MAX, "%s: line %d, column %d",
                 is_double ? "the body has a name twice in one object" : "the body is not JSON", error.line,
                 error.column);
        return NULL;
    }
    ProtobufCMessage *message = json_to_message(&request->arena, descriptor, json, why);
    json_decref(json);
    return message;
}

/* As json_reader.c words it; answer_bad finds the field in it. */
static bool fail_field(const char *field, const char *fault, char why[static JSON_WHY_MAX])
{
    snprintf(why, JSON_WHY_MAX, "%.*s: %s", (int)utf8_fitting(field, CALL_FIELD_MAX), field, fault);
    return false;
}

static bool read_query(struct http_request *request, ProtobufCMessage *message, char why[static JSON_WHY_MAX])
{
    const char *broken = "";
    struct form *form = arena_alloc(&request->arena, sizeof *form);
    if (!form_parse_any(form, request->query, strlen(request->query), &broken)) {
        snprintf(why, JSON_WHY_MAX, "query: %s", broken);
        return false;
    }
    for (size_t i = 0; i < form->count; i++)
        if (form->fields[i].fault != NULL)
            return fail_field(form->fields[i].name, form->fields[i].fault, why);
        else if (!json_set_text(&request->arena, message, form->fields[i].name, form->fields[i].value, why))
            return false;
    return true;
}

static bool set_captured(struct http_request *request, struct path_captured *captured, ProtobufCMessage *message,
                         char why[static JSON_WHY_MAX])
{
    for (size_t i = 0; i < captured->count; i++) {
        if (!path_decode(captured->values[i]))
            return fail_field(captured->fields[i], "is not well encoded, or has a control character", why);
        if (!json_set_text(&request->arena, message, captured->fields[i], captured->values[i], why))
            return false;
    }
    return true;
}

/* If-Match (RFC 9110, section 13.1.1) */

enum { TAG_MAX = 66 }; /* as long as an etag may be, in its quotes */

static bool fail_precondition(struct call_error *error)
{
    *error = (struct call_error){.status = STATUS_ABORTED, .reason = "STALE_ETAG"};
    utf8_copy(error->message, sizeof error->message, "If-Match names no entity tag that this has now");
    return false;
}

const char *admin_etag_field(struct arena *arena, const struct contract_method *route,
                             const ProtobufCMessageDescriptor *descriptor)
{
    if (strchr(route->path, '{') == NULL && strcmp(route->verb, "POST") == 0)
        return NULL; /* what is to be created has no tag yet */
    if (protobuf_c_message_descriptor_get_field_by_name(descriptor, "etag") != NULL)
        return "etag";
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->type == PROTOBUF_C_TYPE_MESSAGE &&
            protobuf_c_message_descriptor_get_field_by_name(field->descriptor, "etag") != NULL)
            return arena_format(arena, "%s.etag", field->name);
    }
    return NULL;
}

/* Makes the call conditional. What cannot be checked is not done. */
static bool set_precondition(struct exchange *exchange, const struct contract_method *route, ProtobufCMessage *message,
                             struct call_error *error)
{
    struct http_request *request = exchange->request;
    char why[JSON_WHY_MAX];
    const char *given = http_header_copy(request, "If-Match");
    if (given == NULL)
        return true;
    exchange->if_match = given;
    size_t len = strlen(given);
    if (strcmp(given, "*") == 0)
        return true; /* what is not there is NOT_FOUND */
    if (len < 3 || len > TAG_MAX || given[0] != '"' || strchr(given + 1, '"') != given + len - 1)
        return fail_precondition(error); /* weak ones never match; of several we could ask for one only */
    const char *tag = exchange->if_match = arena_copy(&request->arena, given + 1, len - 2);
    if (strcmp(route->verb, "GET") == 0)
        return true; /* compared when it is there */
    const char *field = admin_etag_field(&request->arena, route, message->descriptor);
    return (field != NULL && json_set_text(&request->arena, message, field, tag, why)) || fail_precondition(error);
}

/* The entity tag of what is answered: its own, or of the one thing in it. */
static const char *etag_of(json_t *json)
{
    const char *key, *etag = json_string_value(json_object_get(json, "etag"));
    json_t *value;
    json_object_foreach(json, key, value)
    {
        if (etag == NULL)
            etag = json_string_value(json_object_get(value, "etag"));
    }
    return etag;
}

/* An exchange_answer_fn, of every method of CredentialAdmin: on any thread. */
static void answer_message(struct exchange *exchange, const ProtobufCMessage *response)
{
    struct http_request *request = exchange->request;
    json_t *json = response == NULL ? NULL : json_from_message(response);
    const char *etag = json == NULL ? NULL : etag_of(json);
    bool is_read = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (response != NULL && is_read && exchange->if_match != NULL && strcmp(exchange->if_match, "*") != 0 &&
        (etag == NULL || strcmp(etag, exchange->if_match) != 0)) {
        struct call_error error;
        (void)!fail_precondition(&error);
        answer_error(request, 412, &error);
        json_decref(json);
        return;
    }
    if (etag != NULL)
        http_answer_header(request, "ETag", arena_format(&request->arena, "\"%s\"", etag));
    if (response == NULL)
        answer_status(request, &exchange->call.error);
    else
        answer_json(request, 200, json);
}

static ProtobufCMessage *read_request(struct http_request *request, const ProtobufCMessageDescriptor *descriptor,
                                      struct path_captured *captured, char why[static JSON_WHY_MAX])
{
    ProtobufCMessage *message = read_body(request, descriptor, why);
    bool is_read =
        message != NULL && read_query(request, message, why) && set_captured(request, captured, message, why);
    return is_read ? message : NULL;
}

/* What HTTP refuses before there is a call. */
static void answer_not(struct http_request *request, int code, const char *reason, const char *why)
{
    struct call_error error = {.status = code == 405 ? STATUS_UNIMPLEMENTED : STATUS_INVALID_ARGUMENT};
    utf8_copy(error.reason, sizeof error.reason, reason);
    utf8_copy(error.message, sizeof error.message, why);
    answer_error(request, code, &error);
}

static void answer_unknown_caller(struct http_request *request)
{
    struct call_error error = {.status = STATUS_UNAUTHENTICATED, .reason = "CALLER_UNKNOWN"};
    utf8_copy(error.message, sizeof error.message, "a live bearer token is needed in the authorization header");
    answer_status(request, &error);
}

/* Who shows no token, and is vouched for by nobody, learns nothing of what is wrong with the request. */
static bool start(const struct rest_options *options, struct http_request *request, const struct contract_method *route,
                  struct path_captured *captured)
{
    char why[JSON_WHY_MAX] = "out of memory";
    const char *token = NULL;
    struct call_error error;
    const ProtobufCMessageDescriptor *descriptor = route->input->descriptor;
    struct exchange *exchange = exchange_new(options, request);
    if (exchange == NULL)
        return false;
    session_identify(exchange);
    bool is_somebody = exchange->call.user != NULL || basic_scheme_is(exchange->call.authorization, "Bearer", &token);
    bool is_json = request->body_len == 0 || content_type_is(request, "application/json");
    ProtobufCMessage *message = is_json ? read_request(request, descriptor, captured, why) : NULL;
    if (message != NULL && set_precondition(exchange, route, message, &error)) {
        exchange_invoke(exchange, options->admin, route->name, message, answer_message);
        return true;
    }
    if (!is_somebody)
        answer_unknown_caller(request);
    else if (!is_json)
        answer_not(request, 415, "UNSUPPORTED_CONTENT", "the body must be application/json");
    else if (message == NULL)
        answer_bad(request, why);
    else
        answer_error(request, 412, &error);
    return false;
}

bool admin_handle(const struct rest_options *options, struct http_request *request, const char *path)
{
    char allow[64];
    struct path_captured captured;
    if (options->admin == NULL)
        return false;
    const struct contract_method *route = find(options->admin_contract, request, path, &captured, allow);
    if (route == NULL && allow[0] == '\0')
        return false;
    if (route == NULL) {
        http_answer_header(request, "Allow", allow);
        answer_not(request, 405, "METHOD_NOT_ALLOWED", "this path has no such method");
        http_reply(request);
        return true;
    }
    request->route = route->path;
    if (!start(options, request, route, &captured))
        http_reply(request);
    return true;
}
