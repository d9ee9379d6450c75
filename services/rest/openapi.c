/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /openapi.json: OpenAPI 3.1 of everything that is served. What the standards fix is written in openapi.json; the
 * JSON API is made from the contract and the comments of the .proto files. Made once, when the server is made.
 */
#include "openapi.h"

#include "base/crypto.h"
#include "contract/comments.h"
#include "contract/json_field.h"
#include "contract/json_special.h"
#include "routes.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char openapi_fixed[], openapi_fixed_end[];

/* What the document is made of. */
struct making {
    struct arena arena;
    struct comments *comments;
    const struct contract *admin;
    json_t *document, *schemas;
};

/* Adds "description", and where `says_summary` its first sentence as "summary". */
static void add_comment(struct making *making, json_t *to, const char *full_name, bool says_summary)
{
    const char *text = comments_of(making->comments, full_name), *end = strstr(text, ". ");
    size_t len = strcspn(text, "\n");
    if (end != NULL && (size_t)(end - text) < len)
        len = (size_t)(end - text);
    else if (len > 0 && text[len - 1] == '.')
        len--;
    if (says_summary)
        json_object_set_new(to, "summary", json_stringn(text, len));
    if (text[0] != '\0')
        json_object_set_new(to, "description", json_string(text));
}

static json_t *reference(const char *name)
{
    return json_pack("{s:s+}", "$ref", "#/components/schemas/", name);
}

static json_t *of_kind(const char *kind, const char *name)
{
    return json_pack("{s:s++}", "$ref", "#/components/", kind, name);
}

static void add_number(json_t *schema, const char *name, int64_t number)
{
    if (number != 0)
        json_object_set_new(schema, name, json_integer(number));
}

static void describe(struct making *making, const ProtobufCMessageDescriptor *descriptor,
                     const struct contract_message *rules);

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
        return json_pack("{s:s, s:s}", "type", "string", "pattern", "^-?[0-9]{1,12}([.][0-9]{1,9})?s$");
    return json_pack("{s:s}", "type", "string");
}

static json_t *of_text(const struct contract_field *rules)
{
    json_t *schema = json_pack("{s:s}", "type", "string");
    if (rules == NULL)
        return schema;
    add_number(schema, "minLength", rules->min_len);
    add_number(schema, "maxLength", rules->max_len != 0 ? rules->max_len : rules->max_bytes);
    if (rules->pattern != NULL)
        json_object_set_new(schema, "pattern", json_string(rules->pattern));
    return schema;
}

static json_t *of_integer(const struct contract_field *rules)
{
    json_t *schema = json_pack("{s:s, s:s}", "type", "integer", "format", "int32");
    if (rules == NULL || !rules->has_range)
        return schema;
    json_object_set_new(schema, "minimum", json_integer(rules->least));
    if (rules->most != INT32_MAX)
        json_object_set_new(schema, "maximum", json_integer(rules->most));
    return schema;
}

/* One value. rules: NULL in an answer. */
static json_t *element(struct making *making, const ProtobufCFieldDescriptor *field, const struct contract_field *rules)
{
    switch ((int)field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return of_text(rules);
    case PROTOBUF_C_TYPE_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case PROTOBUF_C_TYPE_INT32:
        return of_integer(rules);
    case PROTOBUF_C_TYPE_INT64:
        return json_pack("{s:s, s:s, s:s}", "type", "string", "format", "int64", "pattern", "^-?[0-9]{1,19}$");
    case PROTOBUF_C_TYPE_ENUM:
        return enumeration(field->descriptor);
    case PROTOBUF_C_TYPE_MESSAGE:
        if (json_is_special(field->descriptor))
            return special(field->descriptor);
        describe(making, field->descriptor, rules == NULL ? NULL : rules->message);
        return reference(((const ProtobufCMessageDescriptor *)field->descriptor)->short_name);
    default:
        return json_object(); /* json_reader.c reads none of these */
    }
}

/* An object whose names are anybody's. */
static json_t *of_map(struct making *making, const ProtobufCFieldDescriptor *map, const struct contract_field *rules)
{
    const ProtobufCMessageDescriptor *entry = map->descriptor;
    const struct contract_field *of = rules == NULL || rules->message == NULL ? NULL : rules->message->fields;
    json_t *schema = json_pack("{s:s, s:o}", "type", "object", "additionalProperties",
                               element(making, &entry->fields[1], of == NULL ? NULL : &of[1]));
    if (of != NULL)
        json_object_set_new(schema, "propertyNames", of_text(&of[0]));
    add_number(schema, "maxProperties", rules == NULL ? 0 : rules->max_items);
    return schema;
}

static json_t *of_field(struct making *making, const ProtobufCMessageDescriptor *message,
                        const ProtobufCFieldDescriptor *field, const struct contract_field *rules)
{
    bool is_map = json_is_map(field);
    json_t *schema = is_map ? of_map(making, field, rules) : element(making, field, rules);
    if (field->label == PROTOBUF_C_LABEL_REPEATED && !is_map) {
        schema = json_pack("{s:s, s:o}", "type", "array", "items", schema);
        add_number(schema, "minItems", rules == NULL ? 0 : rules->min_items);
        add_number(schema, "maxItems", rules == NULL ? 0 : rules->max_items);
    }
    if (rules != NULL && rules->is_output)
        json_object_set_new(schema, "readOnly", json_true());
    char *name = arena_format(&making->arena, "%s.%s", message->name, field->name);
    if (name != NULL)
        add_comment(making, schema, name, false);
    return schema;
}

/* Adds a message's schema, and those of the messages in it. rules: NULL of an answer. */
static void describe(struct making *making, const ProtobufCMessageDescriptor *descriptor,
                     const struct contract_message *rules)
{
    if (json_object_get(making->schemas, descriptor->short_name) != NULL)
        return;
    json_t *properties = json_object();
    json_t *schema = json_pack("{s:s, s:o}", "type", "object", "properties", properties);
    json_object_set_new(making->schemas, descriptor->short_name, schema);
    add_comment(making, schema, descriptor->name, false);
    for (unsigned i = 0; i < descriptor->n_fields; i++)
        json_object_set_new(
            properties, json_camel(&making->arena, descriptor->fields[i].name),
            of_field(making, descriptor, &descriptor->fields[i], rules == NULL ? NULL : &rules->fields[i]));
}

/* Is it in the path, by itself? */
static bool is_in_path(struct making *making, const struct contract_method *method, const char *field)
{
    char *place = arena_format(&making->arena, "{%s}", field);
    return place != NULL && strstr(method->path, place) != NULL;
}

/* The body: the request, without what the path says already; and what must be in it. */
static void add_body(struct making *making, const struct contract_method *method, json_t *operation)
{
    const struct contract_message *input = method->input;
    json_t *schema = json_object_get(making->schemas, input->descriptor->short_name);
    json_t *required = json_array();
    for (size_t i = 0; i < input->count; i++) {
        const char *name = json_camel(&making->arena, input->fields[i].field->name);
        if (is_in_path(making, method, input->fields[i].field->name))
            json_object_del(json_object_get(schema, "properties"), name);
        else if (input->fields[i].is_required || input->fields[i].min_items > 0)
            json_array_append_new(required, json_string(name));
    }
    if (json_array_size(required) > 0)
        json_object_set(schema, "required", required);
    json_object_set_new(operation, "requestBody",
                        json_pack("{s:b, s:{s:{s:o}}}", "required", json_array_size(required) > 0, "content",
                                  "application/json", "schema", reference(input->descriptor->short_name)));
    json_decref(required);
}

static json_t *parameter(struct making *making, const struct contract_message *message,
                         const struct contract_field *field, const char *name, bool is_path)
{
    json_t *schema = of_field(making, message->descriptor, field->field, field);
    json_t *description = json_object_get(schema, "description");
    json_t *result = json_pack("{s:s, s:s, s:b, s:O*, s:o}", "name", name, "in", is_path ? "path" : "query", "required",
                               is_path || field->is_required, "description", description, "schema", schema);
    json_object_del(schema, "description");
    return result;
}

/* The field that "credential.client_id" leads to; *ret_message is where it lies. */
static const struct contract_field *find_field(const struct contract_message **ret_message, const char *path,
                                               size_t len)
{
    const struct contract_message *message = *ret_message;
    size_t part = strcspn(path, ".}");
    for (size_t i = 0; i < message->count; i++) {
        const struct contract_field *field = &message->fields[i];
        if (strlen(field->field->name) != part || strncmp(field->field->name, path, part) != 0)
            continue;
        *ret_message = message;
        if (part == len)
            return field;
        *ret_message = field->message;
        return find_field(ret_message, path + part + 1, len - part - 1);
    }
    abort(); /* a route that names no field of its request: the first start of it says so */
}

static json_t *parameters(struct making *making, const struct contract_method *method)
{
    json_t *list = json_array();
    for (const char *at = method->path; (at = strchr(at, '{')) != NULL; at++) {
        const struct contract_message *message = method->input;
        const struct contract_field *field = find_field(&message, at + 1, strcspn(at + 1, "}"));
        json_array_append_new(list, parameter(making, message, field, field->field->name, true));
    }
    for (size_t i = 0; i < method->input->count && !method->has_body; i++) {
        const struct contract_field *field = &method->input->fields[i];
        if (!is_in_path(making, method, field->field->name))
            json_array_append_new(
                list, parameter(making, method->input, field, json_camel(&making->arena, field->field->name), false));
    }
    return list;
}

/* "{credential.client_id}" is "{client_id}" here: two templates that differ in a name only are one to OpenAPI. */
static char *template(struct arena *arena, const char *path)
{
    char *result = arena_copy(arena, path, strlen(path));
    char *brace = result == NULL ? NULL : strchr(result, '{');
    char *dot = brace == NULL ? NULL : strchr(brace, '.');
    if (dot != NULL)
        memmove(brace + 1, dot + 1, strlen(dot + 1) + 1);
    return result;
}

static bool has_etag(const ProtobufCMessageDescriptor *descriptor)
{
    bool has = protobuf_c_message_descriptor_get_field_by_name(descriptor, "etag") != NULL;
    for (unsigned i = 0; !has && i < descriptor->n_fields; i++)
        has = descriptor->fields[i].type == PROTOBUF_C_TYPE_MESSAGE &&
              descriptor->fields[i].label != PROTOBUF_C_LABEL_REPEATED &&
              protobuf_c_message_descriptor_get_field_by_name(descriptor->fields[i].descriptor, "etag") != NULL;
    return has;
}

static json_t *answers(const ProtobufCMessageDescriptor *output)
{
    json_t *done = json_pack("{s:s, s:{s:{s:o}}}", "description", "Done", "content", "application/json", "schema",
                             reference(output->short_name));
    if (has_etag(output))
        json_object_set_new(done, "headers", json_pack("{s:o}", "ETag", of_kind("headers/", "ETag")));
    return json_pack("{s:o, s:o, s:o}", "200", done, "4XX", of_kind("responses/", "Error"), "5XX",
                     of_kind("responses/", "Error"));
}

static void add_operation(struct making *making, size_t index)
{
    const struct contract_method *method = &making->admin->methods[index];
    const ProtobufCMessageDescriptor *output = making->admin->service->methods[index].output;
    json_t *paths = json_object_get(making->document, "paths");
    char *path = template(&making->arena, method->path), *verb = arena_format(&making->arena, "%s", method->verb);
    for (char *c = verb; c != NULL && *c != '\0'; c++)
        *c = (char)(*c | 0x20);
    if (path == NULL || verb == NULL)
        return;
    json_t *operation = json_pack("{s:s, s:[s], s:[{s:[]}]}", "operationId", method->name, "tags",
                                  making->admin->service->short_name, "security", "bearer");
    char *name = arena_format(&making->arena, "%s.%s", making->admin->service->name, method->name);
    if (name != NULL)
        add_comment(making, operation, name, true);
    json_t *list = parameters(making, method);
    if (method->is_read ? has_etag(output)
                        : admin_etag_field(&making->arena, method, method->input->descriptor) != NULL)
        json_array_append_new(list, of_kind("parameters/", "IfMatch"));
    json_object_set_new(operation, "parameters", list);
    if (method->has_body)
        add_body(making, method, operation);
    describe(making, output, NULL);
    json_object_set_new(operation, "responses", answers(output));
    if (json_object_get(paths, path) == NULL)
        json_object_set_new(paths, path, json_object());
    json_object_set_new(json_object_get(paths, path), verb, operation);
}

/* {"x-field": "IntrospectRequest.token"}: that field's schema, so that its limits stand in one place. */
static json_t *field_of(struct making *making, const struct contract *auth, const char *wanted)
{
    for (size_t i = 0; i < auth->count; i++) {
        const ProtobufCMessageDescriptor *sides[] = {auth->methods[i].input->descriptor,
                                                     auth->service->methods[i].output};
        for (int side = 0; side < 2; side++) {
            const char *short_name = sides[side]->short_name;
            size_t len = strlen(short_name);
            const ProtobufCFieldDescriptor *field =
                strncmp(wanted, short_name, len) != 0 || wanted[len] != '.'
                    ? NULL
                    : protobuf_c_message_descriptor_get_field_by_name(sides[side], wanted + len + 1);
            if (field != NULL)
                return of_field(making, sides[side], field,
                                side == 0 ? &auth->methods[i].input->fields[field - sides[side]->fields] : NULL);
        }
    }
    abort(); /* openapi.json names a field that does not exist: the first start of it says so */
}

static void fill_in(struct making *making, const struct contract *auth, json_t *node)
{
    const char *key;
    json_t *member;
    size_t i;
    void *next;
    json_object_foreach_safe(node, next, key, member)
    {
        const char *field = json_string_value(json_object_get(member, "x-field"));
        if (field != NULL)
            json_object_set_new(node, key, field_of(making, auth, field));
        else
            fill_in(making, auth, member);
    }
    json_array_foreach(node, i, member) fill_in(making, auth, member);
}

static void make(struct making *making, const struct rest_options *options)
{
    const char *url = options->public_url != NULL ? options->public_url : options->path_prefix;
    struct contract *auth = contract_new(&gatehouse__v1__auth_service__descriptor);
    making->document = json_loadb(openapi_fixed, (size_t)(openapi_fixed_end - openapi_fixed), 0, NULL);
    making->schemas = json_object_get(json_object_get(making->document, "components"), "schemas");
    fill_in(making, auth, json_object_get(making->document, "paths"));
    contract_free(auth);
    json_object_set_new(json_object_get(making->document, "info"), "version", json_string(GATEHOUSE_VERSION));
    json_array_append_new(json_object_get(making->document, "servers"),
                          json_pack("{s:s}", "url", url == NULL || url[0] == '\0' ? "/" : url));
    /* Requests first: a thing is described with its limits then, and answers refer to it. */
    for (size_t i = 0; making->admin != NULL && i < making->admin->count; i++)
        if (making->admin->methods[i].has_body)
            describe(making, making->admin->methods[i].input->descriptor, making->admin->methods[i].input);
    for (size_t i = 0; making->admin != NULL && i < making->admin->count; i++)
        add_operation(making, i);
}

struct openapi *openapi_new(const struct rest_options *options)
{
    struct openapi *openapi = calloc(1, sizeof *openapi);
    struct making making = {.comments = comments_new(), .admin = options->admin_contract};
    uint8_t digest[SHA256_BYTES];
    make(&making, options);
    if (openapi != NULL)
        openapi->text = json_dumps(making.document, JSON_COMPACT);
    json_decref(making.document);
    comments_free(making.comments);
    arena_done(&making.arena);
    if (openapi == NULL || openapi->text == NULL) {
        openapi_free(openapi);
        return NULL;
    }
    openapi->len = strlen(openapi->text);
    crypto_sha256(openapi->text, openapi->len, digest);
    snprintf(openapi->etag, sizeof openapi->etag, "\"%02x%02x%02x%02x%02x%02x%02x%02x\"", digest[0], digest[1],
             digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]);
    return openapi;
}

void openapi_free(struct openapi *openapi)
{
    if (openapi == NULL)
        return;
    free(openapi->text);
    free(openapi);
}

void openapi_describe(const struct rest_options *options, struct http_request *request)
{
    const struct openapi *openapi = options->openapi;
    const char *known = http_header(request, "If-None-Match");
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        answer_method_not_allowed(request, "GET, HEAD");
        http_reply(request);
        return;
    }
    http_answer_header(request, "ETag", openapi->etag);
    http_answer_header(request, "Cache-Control", "no-cache"); /* may be kept, but is asked for each time */
    request->answer.code =
        known != NULL && (strcmp(known, "*") == 0 || strstr(known, openapi->etag) != NULL) ? 304 : 200;
    if (request->answer.code == 200) {
        request->answer.content_type = "application/json";
        request->answer.body = openapi->text;
        request->answer.body_len = openapi->len;
    }
    http_reply(request);
}
