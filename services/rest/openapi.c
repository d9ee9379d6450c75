/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /openapi.json: OpenAPI 3.1 of everything that is served, made from what serves it: the JSON API from its table
 * of routes and the messages' descriptors, the OAuth endpoints from the table here.
 */
#include "json_special.h"
#include "routes.h"

#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>
#include <stdio.h>
#include <string.h>

/* A field's name, with ! where it is required. */
struct form_endpoint {
    const char *path, *id, *summary;
    const char *fields[8], *answer[12];
};

static const struct form_endpoint form_endpoints[] = {
    {"/OAuth/Token",
     "IssueToken",
     "A bearer token for a client ID and secret key, in the form or by HTTP Basic (RFC 6749, 4.4)",
     {"grant_type!", "client_id", "client_secret", "scope"},
     {"access_token!", "token_type!", "expires_in!", "scope!"}},
    {"/OAuth/Introspect",
     "Introspect",
     "Is a token live, and what may its bearer do (RFC 7662)? The caller needs resource_server",
     {"token!", "token_type_hint", "api", "client_id", "client_secret"},
     {"active!", "scope", "client_id", "client_name", "token_type", "exp", "iat", "sub"}},
    {"/OAuth/Revoke",
     "Revoke",
     "Ends a token (RFC 7009)",
     {"token!", "token_type_hint", "client_id", "client_secret"},
     {NULL}},
};

static json_t *reference(const char *name)
{
    return json_pack("{s:s+}", "$ref", "#/components/schemas/", name);
}

static json_t *of_type(const char *type)
{
    return json_pack("{s:s}", "type", type);
}

static void describe(struct scratch *scratch, json_t *schemas, const ProtobufCMessageDescriptor *descriptor);

static json_t *enumeration(const ProtobufCEnumDescriptor *descriptor)
{
    json_t *names = json_array();
    for (unsigned i = 0; i < descriptor->n_values; i++)
        json_array_append_new(names, json_string(descriptor->values[i].name));
    return json_pack("{s:s, s:o}", "type", "string", "enum", names);
}

static json_t *special(const ProtobufCMessageDescriptor *descriptor)
{
    if (descriptor == &google__protobuf__timestamp__descriptor)
        return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
    if (descriptor == &google__protobuf__duration__descriptor)
        return json_pack("{s:s, s:s, s:s}", "type", "string", "pattern", "^-?[0-9]{1,12}([.][0-9]{1,9})?s$",
                         "description", "Seconds, such as \"90s\" or \"1.5s\"");
    return json_pack("{s:s, s:s}", "type", "string", "description", "Names of fields with commas between them");
}

static json_t *element(struct scratch *scratch, json_t *schemas, const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return of_type("string");
    case PROTOBUF_C_TYPE_BOOL:
        return of_type("boolean");
    case PROTOBUF_C_TYPE_INT32:
        return json_pack("{s:s, s:s}", "type", "integer", "format", "int32");
    case PROTOBUF_C_TYPE_INT64:
        return json_pack("{s:s, s:s, s:s}", "type", "string", "format", "int64", "pattern", "^-?[0-9]{1,19}$");
    case PROTOBUF_C_TYPE_ENUM:
        return enumeration(field->descriptor);
    case PROTOBUF_C_TYPE_MESSAGE:
        if (json_is_special(field->descriptor))
            return special(field->descriptor);
        describe(scratch, schemas, field->descriptor);
        return reference(((const ProtobufCMessageDescriptor *)field->descriptor)->short_name);
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_BYTES:
        break; /* json.c reads none of these */
    }
    return json_object();
}

static json_t *of_field(struct scratch *scratch, json_t *schemas, const ProtobufCFieldDescriptor *field)
{
    json_t *schema = element(scratch, schemas, field);
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return schema;
    return json_pack("{s:s, s:o}", "type", "array", "items", schema);
}

/* Adds a message's schema, and those of the messages in it. */
static void describe(struct scratch *scratch, json_t *schemas, const ProtobufCMessageDescriptor *descriptor)
{
    if (json_object_get(schemas, descriptor->short_name) != NULL)
        return;
    json_t *properties = json_object();
    json_object_set_new(schemas, descriptor->short_name,
                        json_pack("{s:s, s:o}", "type", "object", "properties", properties));
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        char *name = json_camel(scratch, descriptor->fields[i].name);
        json_object_set_new(properties, name, of_field(scratch, schemas, &descriptor->fields[i]));
    }
}

static json_t *parameter(const char *name, size_t len, const char *where, json_t *schema)
{
    return json_pack("{s:s#, s:s, s:b, s:o}", "name", name, (int)len, "in", where, "required",
                     strcmp(where, "path") == 0, "schema", schema);
}

/* What stands in braces in the path; and, where there is no body, each other field that a query can say. */
static json_t *parameters(struct scratch *scratch, json_t *schemas, const char *path,
                          const ProtobufCMessageDescriptor *input, bool has_body)
{
    json_t *list = json_array();
    for (const char *at = path; (at = strchr(at, '{')) != NULL; at++)
        json_array_append_new(list, parameter(at + 1, strcspn(at + 1, "}"), "path", of_type("string")));
    for (unsigned i = 0; i < input->n_fields && !has_body; i++) {
        const ProtobufCFieldDescriptor *field = &input->fields[i];
        char *place = scratch_print(scratch, "{%s}", field->name), *name = json_camel(scratch, field->name);
        bool is_message = field->type == PROTOBUF_C_TYPE_MESSAGE && !json_is_special(field->descriptor);
        if (place != NULL && name != NULL && !is_message && strstr(path, place) == NULL)
            json_array_append_new(list, parameter(name, strlen(name), "query", of_field(scratch, schemas, field)));
    }
    return list;
}

static json_t *content(const char *type, json_t *schema)
{
    return json_pack("{s:{s:{s:o}}}", "content", type, "schema", schema);
}

static json_t *answers(json_t *schema, const char *error)
{
    json_t *success = schema == NULL ? json_object() : content("application/json", schema);
    json_t *failure = content("application/json", reference(error));
    json_object_set_new(success, "description", json_string("Done"));
    json_object_set_new(failure, "description", json_string("It failed"));
    return json_pack("{s:o, s:o}", "200", success, "default", failure);
}

static void add_operation(json_t *paths, const char *path, const char *method, json_t *operation)
{
    json_t *item = json_object_get(paths, path);
    char lower[8];
    snprintf(lower, sizeof lower, "%s", method);
    for (char *c = lower; *c != '\0'; c++)
        *c = (char)(*c | 0x20);
    if (item == NULL) {
        item = json_object();
        json_object_set_new(paths, path, item);
    }
    json_object_set_new(item, lower, operation);
}

/* "{credential.client_id}" is "{client_id}" here: two templates that differ in a name only are one to OpenAPI. */
static char *template(struct scratch *scratch, const char *path)
{
    char *result = scratch_copy(scratch, path, strlen(path));
    char *brace = result == NULL ? NULL : strchr(result, '{');
    char *dot = brace == NULL ? NULL : strchr(brace, '.');
    if (dot != NULL)
        memmove(brace + 1, dot + 1, strlen(dot + 1) + 1);
    return result;
}

static void add_admin(struct scratch *scratch, json_t *paths, json_t *schemas, const struct contract *contract)
{
    for (size_t i = 0; i < contract->count; i++) {
        const struct contract_method *route = &contract->methods[i];
        const ProtobufCMethodDescriptor *method = &contract->service->methods[i];
        char *path = template(scratch, route->path);
        if (path == NULL)
            return;
        describe(scratch, schemas, method->output);
        json_t *operation = json_pack("{s:s, s:[s], s:[{s:[]}], s:o, s:o}", "operationId", route->name, "tags",
                                      contract->service->short_name, "security", "bearer", "parameters",
                                      parameters(scratch, schemas, path, method->input, route->has_body), "responses",
                                      answers(reference(method->output->short_name), "Error"));
        if (route->has_body) {
            describe(scratch, schemas, method->input);
            json_object_set_new(operation, "requestBody",
                                content("application/json", reference(method->input->short_name)));
        }
        add_operation(paths, path, route->verb, operation);
    }
}

/* An object with these fields, as they come by a form or in an answer of OAuth. */
static json_t *of_names(const char *const *names)
{
    json_t *properties = json_object(), *required = json_array();
    for (; *names != NULL; names++) {
        size_t len = strcspn(*names, "!");
        const char *type = "string";
        if (strncmp(*names, "exp", 3) == 0 || strcmp(*names, "iat") == 0)
            type = "integer";
        else if (strncmp(*names, "active", len) == 0)
            type = "boolean";
        json_object_setn_new(properties, *names, len, of_type(type));
        if ((*names)[len] == '!')
            json_array_append_new(required, json_stringn(*names, len));
    }
    return json_pack("{s:s, s:o, s:o}", "type", "object", "properties", properties, "required", required);
}

static void add_oauth(json_t *paths)
{
    for (size_t i = 0; i < sizeof form_endpoints / sizeof form_endpoints[0]; i++) {
        const struct form_endpoint *endpoint = &form_endpoints[i];
        json_t *answer = endpoint->answer[0] == NULL ? NULL : of_names(endpoint->answer);
        json_t *body = content("application/x-www-form-urlencoded", of_names(endpoint->fields));
        json_object_set_new(body, "required", json_true());
        add_operation(paths, endpoint->path, "POST",
                      json_pack("{s:s, s:s, s:[s], s:[{s:[]}, {s:[]}, {}], s:o, s:o}", "operationId", endpoint->id,
                                "summary", endpoint->summary, "tags", "OAuth", "security", "basic", "bearer",
                                "requestBody", body, "responses", answers(answer, "OAuthError")));
    }
    static const char *const probes[] = {"/livez", "/readyz"};
    for (size_t i = 0; i < 2; i++)
        add_operation(paths, probes[i], "GET",
                      json_pack("{s:s, s:{s:{s:s}, s:{s:s}}}", "operationId", probes[i] + 1, "responses", "200",
                                "description", "Yes", "503", "description", "No"));
}

static json_t *error_schemas(void)
{
    static const char *const oauth_error[] = {"error!", "error_description", NULL};
    return json_pack("{s:{s:s, s:{s:{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s, s:{s:s}}}, s:[s, s, s]}}}, s:o}",
                     "Error", "type", "object", "properties", "error", "type", "object", "properties", "code", "type",
                     "integer", "status", "type", "string", "message", "type", "string", "details", "type", "array",
                     "items", "type", "object", "required", "code", "status", "message", "OAuthError",
                     of_names(oauth_error));
}

static json_t *make_document(struct scratch *scratch, const struct rest_options *options)
{
    json_t *paths = json_object(), *schemas = error_schemas();
    const char *url = options->public_url != NULL ? options->public_url : options->path_prefix;
    if (url == NULL || url[0] == '\0')
        url = "/";
    add_oauth(paths);
    if (options->admin != NULL)
        add_admin(scratch, paths, schemas, options->admin_contract);
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:s}], s:o, s:{s:o, s:{s:{s:s, s:s}, s:{s:s, s:s}}}}", "openapi",
                     "3.1.0", "info", "title", "Gatehouse", "version", GATEHOUSE_VERSION, "description",
                     "Application credentials, bearer tokens, and what their bearers may do", "servers", "url", url,
                     "paths", paths, "components", "schemas", schemas, "securitySchemes", "bearer", "type", "http",
                     "scheme", "bearer", "basic", "type", "http", "scheme", "basic");
}

void openapi_describe(const struct rest_options *options, struct http_request *request)
{
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
        answer_method_not_allowed(request, "GET, HEAD");
    else
        answer_json(request, 200, make_document(&request->scratch, options));
    http_reply(request);
}
