/* SPDX-License-Identifier: Apache-2.0 */
#include "contract/contract.h"
#include "base/must.h"

#include <gatehouse/v1/options.pb-c.h>
#include <google/api/field_behavior.pb-c.h>
#include <google/api/http.pb-c.h>
#include <google/protobuf/descriptor.pb-c.h>
#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/field_mask.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>

/* The extensions' numbers: protobuf-c makes nothing of them, and keeps what is set as unknown fields. */
enum {
    OPTION_HTTP = 72295728,
    OPTION_BEHAVIOR = 1052,
    OPTION_REQUIRES = 51001,
    OPTION_RULES = 51001,
    OPTION_CHANGED_BY = 51002,
    OPTION_OR_HOLDER = 51003
};

extern const unsigned char gatehouse_protoset[], gatehouse_protoset_end[];

typedef Google__Protobuf__FileDescriptorSet file_set;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Gatehouse__V1__FieldRules field_rules;

/* Reading options */

static const ProtobufCMessageUnknownField *find_option(const ProtobufCMessage *options, uint32_t number, unsigned from)
{
    for (unsigned i = from; options != NULL && i < options->n_unknown_fields; i++)
        if (options->unknown_fields[i].tag == number)
            return &options->unknown_fields[i];
    return NULL;
}

/* Varints of our own compiler's making. */
static uint64_t read_varint(const uint8_t **at, const uint8_t *end)
{
    uint64_t value = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            break;
    }
    return value;
}

/* The bytes of an option that is a message or a text: those behind their length. */
static const uint8_t *option_bytes(const ProtobufCMessageUnknownField *option, size_t *ret_len)
{
    const uint8_t *at = option->data, *end = at + option->len;
    *ret_len = (size_t)read_varint(&at, end);
    if (*ret_len != (size_t)(end - at))
        abort();
    return at;
}

static char *option_text(const ProtobufCMessage *options, uint32_t number)
{
    const ProtobufCMessageUnknownField *option = find_option(options, number, 0);
    size_t len = 0;
    const uint8_t *bytes = option == NULL ? NULL : option_bytes(option, &len);
    return bytes == NULL ? NULL : must(strndup((const char *)bytes, len));
}

static void *option_message(const ProtobufCMessage *options, uint32_t number,
                            const ProtobufCMessageDescriptor *descriptor)
{
    const ProtobufCMessageUnknownField *option = find_option(options, number, 0);
    size_t len = 0;
    const uint8_t *bytes = option == NULL ? NULL : option_bytes(option, &len);
    return bytes == NULL ? NULL : must(protobuf_c_message_unpack(descriptor, NULL, len, bytes));
}

/* A repeated enum, packed (with its length) or one number at a time. */
static bool has_behavior(const ProtobufCMessage *options, Google__Api__FieldBehavior wanted)
{
    const ProtobufCMessageUnknownField *option = find_option(options, OPTION_BEHAVIOR, 0);
    while (option != NULL) {
        const uint8_t *at = option->data, *end = at + option->len;
        if (option->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
            (void)read_varint(&at, end);
        while (at < end)
            if (read_varint(&at, end) == (uint64_t)wanted)
                return true;
        option = find_option(options, OPTION_BEHAVIOR, (unsigned)(option - options->unknown_fields) + 1);
    }
    return false;
}

/* Finding what is described */

/* What follows the package in "gatehouse.v1.Name"; NULL: of another package. */
static const char *below_package(const Google__Protobuf__FileDescriptorProto *file, const char *full_name)
{
    size_t len = file->package == NULL ? 0 : strlen(file->package);
    if (len == 0 || strncmp(full_name, file->package, len) != 0 || full_name[len] != '.')
        return NULL;
    return full_name + len + 1;
}

static const message_proto *find_message(const file_set *set, const char *full_name)
{
    for (size_t i = 0; i < set->n_file; i++) {
        const char *name = below_package(set->file[i], full_name);
        for (size_t j = 0; name != NULL && j < set->file[i]->n_message_type; j++)
            if (strcmp(set->file[i]->message_type[j]->name, name) == 0)
                return set->file[i]->message_type[j];
    }
    return NULL;
}

static const field_proto *find_field(const message_proto *message, const char *name)
{
    for (size_t i = 0; message != NULL && i < message->n_field; i++)
        if (strcmp(message->field[i]->name, name) == 0)
            return message->field[i];
    return NULL;
}

static const Google__Protobuf__ServiceDescriptorProto *find_service(const file_set *set, const char *full_name)
{
    for (size_t i = 0; i < set->n_file; i++) {
        const char *name = below_package(set->file[i], full_name);
        for (size_t j = 0; name != NULL && j < set->file[i]->n_service; j++)
            if (strcmp(set->file[i]->service[j]->name, name) == 0)
                return set->file[i]->service[j];
    }
    return NULL;
}

/* Rules */

static int64_t nanoseconds(const Google__Protobuf__Duration *duration)
{
    return duration->seconds * 1000000000 + duration->nanos;
}

static void set_range(struct contract_field *to, int64_t least, int64_t most)
{
    to->has_range = true;
    to->least = least;
    to->most = most;
}

static void set_pattern(struct contract_field *to, const char *pattern)
{
    to->pattern = must_copy(pattern);
    to->regex = must(calloc(1, sizeof *to->regex));
    if (regcomp(to->regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        abort();
}

static void set_rules(struct contract_field *to, const field_rules *rules)
{
    switch (rules->type_case) {
    case GATEHOUSE__V1__FIELD_RULES__TYPE_STRING:
        to->min_len = rules->string->min_len;
        to->max_len = rules->string->max_len;
        to->max_bytes = rules->string->max_bytes;
        to->is_one_line = rules->string->one_line;
        to->is_readable = rules->string->readable;
        if (rules->string->pattern != NULL)
            set_pattern(to, rules->string->pattern);
        return;
    case GATEHOUSE__V1__FIELD_RULES__TYPE_INT32:
        set_range(to, rules->int32->has_gte ? rules->int32->gte : INT32_MIN,
                  rules->int32->has_lte ? rules->int32->lte : INT32_MAX);
        return;
    case GATEHOUSE__V1__FIELD_RULES__TYPE_DURATION:
        set_range(to, rules->duration->gte == NULL ? 0 : nanoseconds(rules->duration->gte),
                  rules->duration->lte == NULL ? INT64_MAX : nanoseconds(rules->duration->lte));
        return;
    case GATEHOUSE__V1__FIELD_RULES__TYPE_ENUM:
        to->is_named = rules->enum_->defined_only;
        return;
    case GATEHOUSE__V1__FIELD_RULES__TYPE_REPEATED:
        to->min_items = rules->repeated->min_items;
        to->max_items = rules->repeated->max_items;
        to->is_apart = rules->repeated->apart;
        if (rules->repeated->items != NULL)
            set_rules(to, rules->repeated->items);
        return;
    case GATEHOUSE__V1__FIELD_RULES__TYPE_MAP:
        to->max_items = rules->map->max_pairs;
        return;
    case GATEHOUSE__V1__FIELD_RULES__TYPE__NOT_SET:
    case _GATEHOUSE__V1__FIELD_RULES__TYPE__CASE_IS_INT_SIZE:
        break;
    }
}

static bool is_free(const struct contract_field *field)
{
    if (field->is_output)
        return true;
    if (field->field->type == PROTOBUF_C_TYPE_MESSAGE || field->is_required || field->is_identifier)
        return false;
    return !field->is_one_line && !field->is_readable && !field->is_named && !field->has_range &&
           field->min_items == 0 && field->max_items == 0 && field->min_len == 0 && field->max_len == 0 &&
           field->max_bytes == 0 && field->regex == NULL;
}

static void read_field(struct contract_field *to, const field_proto *from)
{
    const ProtobufCMessage *options = from->options == NULL ? NULL : &from->options->base;
    to->is_required = has_behavior(options, GOOGLE__API__FIELD_BEHAVIOR__REQUIRED);
    to->is_output = has_behavior(options, GOOGLE__API__FIELD_BEHAVIOR__OUTPUT_ONLY);
    to->is_optional = has_behavior(options, GOOGLE__API__FIELD_BEHAVIOR__OPTIONAL);
    to->is_identifier = has_behavior(options, GOOGLE__API__FIELD_BEHAVIOR__IDENTIFIER);
    to->changed_by = option_text(options, OPTION_CHANGED_BY);
    field_rules *rules = option_message(options, OPTION_RULES, &gatehouse__v1__field_rules__descriptor);
    if (rules != NULL)
        set_rules(to, rules);
    protobuf_c_message_free_unpacked(rules == NULL ? NULL : &rules->base, NULL);
}

/* A map is a list of messages with a key and a value, whose rules stand with the map. */
static void read_entry(struct contract_message *entry, const field_proto *map)
{
    const ProtobufCMessage *options = map->options == NULL ? NULL : &map->options->base;
    field_rules *rules = option_message(options, OPTION_RULES, &gatehouse__v1__field_rules__descriptor);
    if (rules != NULL && rules->type_case == GATEHOUSE__V1__FIELD_RULES__TYPE_MAP) {
        const field_rules *of[] = {rules->map->keys, rules->map->values};
        for (size_t i = 0; i < entry->count; i++) {
            if (of[i] != NULL)
                set_rules(&entry->fields[i], of[i]);
            entry->fields[i].is_free = is_free(&entry->fields[i]);
        }
    }
    protobuf_c_message_free_unpacked(rules == NULL ? NULL : &rules->base, NULL);
}

/* Messages */

static bool has_fields(const ProtobufCMessageDescriptor *descriptor)
{
    return descriptor != &google__protobuf__timestamp__descriptor &&
           descriptor != &google__protobuf__duration__descriptor &&
           descriptor != &google__protobuf__field_mask__descriptor;
}

static void note_mask(struct contract_message *message)
{
    for (size_t i = 0; i < message->count; i++) {
        const struct contract_field *field = &message->fields[i];
        if (field->message != NULL && message->resource == NULL)
            message->resource = field;
        if (field->field->type == PROTOBUF_C_TYPE_MESSAGE &&
            field->field->descriptor == &google__protobuf__field_mask__descriptor)
            message->mask = field;
    }
    if (message->mask == NULL)
        message->resource = NULL;
}

static struct contract_message *add_message(struct contract *contract, const file_set *set,
                                            const ProtobufCMessageDescriptor *descriptor)
{
    for (struct contract_message *known = contract->messages; known != NULL; known = known->next)
        if (known->descriptor == descriptor)
            return known;
    struct contract_message *message =
        must(calloc(1, sizeof *message + descriptor->n_fields * sizeof message->fields[0]));
    const message_proto *described = find_message(set, descriptor->name);
    message->descriptor = descriptor;
    message->count = descriptor->n_fields;
    message->next = contract->messages;
    contract->messages = message; /* before its fields, which may be of the same kind */
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        struct contract_field *field = &message->fields[i];
        field->field = &descriptor->fields[i];
        const field_proto *from = find_field(described, field->field->name);
        if (from != NULL)
            read_field(field, from);
        if (field->field->type == PROTOBUF_C_TYPE_MESSAGE && !field->is_output && has_fields(field->field->descriptor))
            field->message = add_message(contract, set, field->field->descriptor);
        if (from != NULL && field->message != NULL)
            read_entry(field->message, from);
        field->is_free = is_free(field);
    }
    note_mask(message);
    return message;
}

/* Methods */

static void set_route(struct contract_method *method, const ProtobufCMessage *options)
{
    Google__Api__HttpRule *rule = option_message(options, OPTION_HTTP, &google__api__http_rule__descriptor);
    static const char *const verbs[] = {
        [GOOGLE__API__HTTP_RULE__PATTERN_GET] = "GET",     [GOOGLE__API__HTTP_RULE__PATTERN_PUT] = "PUT",
        [GOOGLE__API__HTTP_RULE__PATTERN_POST] = "POST",   [GOOGLE__API__HTTP_RULE__PATTERN_DELETE] = "DELETE",
        [GOOGLE__API__HTTP_RULE__PATTERN_PATCH] = "PATCH",
    };
    if (rule == NULL)
        return;
    method->verb = verbs[rule->pattern_case];
    method->path = must_copy(rule->get); /* a union's members: each is the path */
    method->has_body = strcmp(rule->body, "*") == 0;
    protobuf_c_message_free_unpacked(&rule->base, NULL);
}

static void read_method(struct contract_method *method, const Google__Protobuf__MethodDescriptorProto *described)
{
    if (described->options == NULL)
        return;
    const Google__Protobuf__MethodOptions__IdempotencyLevel level = described->options->idempotency_level;
    const ProtobufCMessage *options = &described->options->base;
    method->is_read = level == GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__NO_SIDE_EFFECTS;
    method->is_idempotent = method->is_read || level == GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__IDEMPOTENT;
    method->
        requires
    = option_text(options, OPTION_REQUIRES);
    method->or_holder = option_text(options, OPTION_OR_HOLDER);
    set_route(method, options);
}

struct contract *contract_new(const ProtobufCServiceDescriptor *service)
{
    struct contract *contract = must(calloc(1, sizeof *contract + service->n_methods * sizeof contract->methods[0]));
    file_set *set = must(google__protobuf__file_descriptor_set__unpack(
        NULL, (size_t)(gatehouse_protoset_end - gatehouse_protoset), gatehouse_protoset));
    const Google__Protobuf__ServiceDescriptorProto *described = find_service(set, service->name);
    contract->service = service;
    contract->count = service->n_methods;
    for (unsigned i = 0; i < service->n_methods; i++) {
        struct contract_method *method = &contract->methods[i];
        method->name = service->methods[i].name;
        method->input = add_message(contract, set, service->methods[i].input);
        if (described != NULL)
            read_method(method, described->method[i]);
    }
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
    return contract;
}

const struct contract_field *contract_field(const struct contract *contract,
                                            const ProtobufCMessageDescriptor *descriptor, const char *name)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(descriptor, name);
    for (const struct contract_message *message = contract->messages; field != NULL && message != NULL;
         message = message->next)
        if (message->descriptor == descriptor)
            return &message->fields[field - descriptor->fields];
    return NULL;
}

static void free_message(struct contract_message *message)
{
    for (size_t i = 0; i < message->count; i++) {
        struct contract_field *field = &message->fields[i];
        if (field->regex != NULL)
            regfree(field->regex);
        free(field->regex);
        free((char *)(uintptr_t)field->pattern);
        free((char *)(uintptr_t)field->changed_by);
    }
    free(message);
}

void contract_free(struct contract *contract)
{
    if (contract == NULL)
        return;
    for (size_t i = 0; i < contract->count; i++) {
        free((char *)(uintptr_t)contract->methods[i].path);
        free((char *)(uintptr_t)contract->methods[i].requires);
        free((char *)(uintptr_t)contract->methods[i].or_holder);
    }
    while (contract->messages != NULL) {
        struct contract_message *next = contract->messages->next;
        free_message(contract->messages);
        contract->messages = next;
    }
    free(contract);
}
