/* SPDX-License-Identifier: Apache-2.0 */
/* JSON for every CredentialAdmin method: one table from method and path to RPC, one converter for all messages. */
#include "form.h"
#include "json.h"
#include "path.h"
#include "routes.h"
#include "utf8.h"

#include <stdio.h>
#include <string.h>

/* {field} stands for one path segment and names the field of the request that takes it. The body of POST, PATCH and PUT
 * is the request; GET and DELETE take its fields from the query. */
static const struct admin_route routes[] = {
    {"GET", "/v1/credentials", "ListCredentials"},
    {"POST", "/v1/credentials", "CreateCredential"},
    {"GET", "/v1/credentials/{client_id}", "GetCredential"},
    {"PATCH", "/v1/credentials/{credential.client_id}", "UpdateCredential"},
    {"DELETE", "/v1/credentials/{client_id}", "DeleteCredential"},
    {"POST", "/v1/credentials/{client_id}:undelete", "UndeleteCredential"},
    {"POST", "/v1/credentials/{client_id}:regenerateSecret", "RegenerateSecret"},
    {"POST", "/v1/credentials/{client_id}:grantRoles", "GrantRoles"},
    {"POST", "/v1/credentials/{client_id}:revokeRoles", "RevokeRoles"},
    {"POST", "/v1/credentials/{client_id}:endTokens", "EndTokens"},
    {"DELETE", "/v1/credentials/{client_id}/secrets/{secret_id}", "EndSecret"},
    {"GET", "/v1/credentials/{client_id}/tokens", "ListTokens"},
    {"POST", "/v1/tokens/{accessor}:end", "EndToken"},
    {"GET", "/v1/roles", "ListRoles"},
    {"POST", "/v1/roles", "CreateRole"},
    {"PATCH", "/v1/roles/{role.role_id}", "UpdateRole"},
    {"GET", "/v1/users", "ListUsers"},
    {"GET", "/v1/users/{user}", "GetUser"},
    {"PUT", "/v1/users/{user}/roles", "SetUserRoles"},
    {"DELETE", "/v1/users/{user}", "DeleteUser"},
    {"GET", "/v1/settings", "GetSettings"},
    {"PATCH", "/v1/settings", "UpdateSettings"},
    {"GET", "/v1/usage", "QueryUsage"},
    {"GET", "/v1/audit", "ListAuditEvents"},
    {"GET", "/v1/audit:verify", "VerifyAuditLog"},
};
enum { ROUTE_COUNT = sizeof routes / sizeof routes[0] };

const struct admin_route *admin_routes(size_t *ret_count)
{
    *ret_count = ROUTE_COUNT;
    return routes;
}

static const struct admin_route *find(struct http_request *request, const char *path, struct path_captured *captured,
                                      char allow[static 64])
{
    allow[0] = '\0';
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (!path_fits(&request->scratch, routes[i].path, path, captured))
            continue;
        if (strcmp(routes[i].method, request->method) == 0)
            return &routes[i];
        size_t len = strlen(allow);
        snprintf(allow + len, 64 - len, "%s%s", len == 0 ? "" : ", ", routes[i].method);
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
        return json_new_message(&request->scratch, descriptor);
    json_t *json = json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        snprintf(why, JSON_WHY_MAX, "the body is no JSON: line %d, column %d", error.line, error.column);
        return NULL;
    }
    ProtobufCMessage *message = json_to_message(&request->scratch, descriptor, json, why);
    json_decref(json);
    return message;
}

static ProtobufCMessage *read_query(struct http_request *request, const ProtobufCMessageDescriptor *descriptor,
                                    char why[static JSON_WHY_MAX])
{
    const char *broken = "";
    struct form *form = scratch_alloc(&request->scratch, sizeof *form);
    ProtobufCMessage *message = json_new_message(&request->scratch, descriptor);
    if (form == NULL || message == NULL)
        return NULL;
    if (!form_parse(form, request->query, strlen(request->query), &broken)) {
        snprintf(why, JSON_WHY_MAX, "query: %s", broken);
        return NULL;
    }
    for (size_t i = 0; i < form->count; i++)
        if (!json_set_text(&request->scratch, message, form->fields[i].name, form->fields[i].value, why))
            return NULL;
    return message;
}

static bool set_captured(struct http_request *request, struct path_captured *captured, ProtobufCMessage *message,
                         char why[static JSON_WHY_MAX])
{
    for (size_t i = 0; i < captured->count; i++) {
        if (!path_decode(captured->values[i])) {
            snprintf(why, JSON_WHY_MAX, "the path is not well encoded");
            return false;
        }
        if (!json_set_text(&request->scratch, message, captured->fields[i], captured->values[i], why))
            return false;
    }
    return true;
}

static void answer_message(struct exchange *exchange, const ProtobufCMessage *response)
{
    if (response == NULL)
        answer_status(exchange->request, &exchange->call.error);
    else
        answer_json(exchange->request, 200, json_from_message(response));
}

static bool start(const struct rest_options *options, struct http_request *request, const struct admin_route *route,
                  struct path_captured *captured)
{
    char why[JSON_WHY_MAX] = "out of memory";
    bool has_body = strcmp(route->method, "GET") != 0 && strcmp(route->method, "DELETE") != 0;
    const ProtobufCMessageDescriptor *descriptor =
        protobuf_c_service_descriptor_get_method_by_name(options->admin->descriptor, route->rpc)->input;
    if (has_body && request->body_len > 0 && !content_type_is(request, "application/json")) {
        answer_oauth_error(request, 415, "invalid_request", "the body must be application/json");
        return false;
    }
    ProtobufCMessage *message = has_body ? read_body(request, descriptor, why) : read_query(request, descriptor, why);
    if (message == NULL || !set_captured(request, captured, message, why)) {
        answer_bad(request, why);
        return false;
    }
    struct exchange *exchange = exchange_new(options, request);
    if (exchange == NULL)
        return false;
    exchange_invoke(exchange, options->admin, route->rpc, message, answer_message);
    return true;
}

bool admin_handle(const struct rest_options *options, struct http_request *request, const char *path)
{
    char allow[64];
    struct path_captured captured;
    if (options->admin == NULL)
        return false;
    const struct admin_route *route = find(request, path, &captured, allow);
    if (route == NULL && allow[0] == '\0')
        return false;
    if (route == NULL) {
        answer_method_not_allowed(request, allow);
        http_reply(request);
        return true;
    }
    request->route = route->path;
    if (!start(options, request, route, &captured))
        http_reply(request);
    return true;
}
