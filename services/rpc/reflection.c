/* SPDX-License-Identifier: Apache-2.0 */
/* Reflection, v1 and v1alpha: the same messages under two names. A request gets one answer, so that to this handler it
 * looks unary; outbox.c makes a stream of it. */
#include "rpc/reflection.h"

#include "rpc/transport.h"

#include <google/protobuf/descriptor.pb-c.h>
#include <grpc/reflection/v1/reflection.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;
typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;

struct rpc_reflection {
    ProtobufCService v1, v1alpha; /* what the stubs are invoked on */
    const struct rpc_registry *registry;
    const struct rpc_files *files;
    ProtobufCServiceDescriptor v1alpha_descriptor;
};

/* If `path` begins with `name` as a whole component: what follows ("" or "rest"), else NULL. */
static const char *after(const char *path, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(path, name, len) != 0 || (path[len] != '.' && path[len] != '\0'))
        return NULL;
    return path[len] == '.' ? path + len + 1 : path + len;
}

static bool enum_has(const Google__Protobuf__EnumDescriptorProto *type, const char *symbol)
{
    const char *rest = after(symbol, type->name);
    return rest != NULL && *rest == '\0';
}

static bool fields_have(field_proto *const *fields, size_t count, const char *symbol)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i]->name, symbol) == 0)
            return true;
    return false;
}

/* protoc bounds how deep messages nest, and the set is our own. */
static bool message_has(const message_proto *message, const char *symbol)
{
    const char *rest = after(symbol, message->name);
    if (rest == NULL)
        return false;
    if (*rest == '\0' || fields_have(message->field, message->n_field, rest) ||
        fields_have(message->extension, message->n_extension, rest))
        return true;
    for (size_t i = 0; i < message->n_enum_type; i++)
        if (enum_has(message->enum_type[i], rest))
            return true;
    for (size_t i = 0; i < message->n_nested_type; i++)
        if (message_has(message->nested_type[i], rest))
            return true;
    return false;
}

static bool service_has(const Google__Protobuf__ServiceDescriptorProto *service, const char *symbol)
{
    const char *rest = after(symbol, service->name);
    if (rest == NULL || *rest == '\0')
        return rest != NULL;
    for (size_t i = 0; i < service->n_method; i++)
        if (strcmp(service->method[i]->name, rest) == 0)
            return true;
    return false;
}

static bool file_has(const file_proto *file, const char *symbol)
{
    const char *rest = file->package == NULL || file->package[0] == '\0' ? symbol : after(symbol, file->package);
    if (rest == NULL || *rest == '\0')
        return false;
    for (size_t i = 0; i < file->n_service; i++)
        if (service_has(file->service[i], rest))
            return true;
    for (size_t i = 0; i < file->n_message_type; i++)
        if (message_has(file->message_type[i], rest))
            return true;
    for (size_t i = 0; i < file->n_enum_type; i++)
        if (enum_has(file->enum_type[i], rest))
            return true;
    return fields_have(file->extension, file->n_extension, rest);
}

/* Extensions at a file's top level, which is where options are declared. */
static const field_proto *find_extension(const file_proto *file, const char *type, size_t *at)
{
    while (*at < file->n_extension) {
        const field_proto *field = file->extension[(*at)++];
        if (field->extendee != NULL && strcmp(field->extendee + (field->extendee[0] == '.'), type) == 0)
            return field;
    }
    return NULL;
}

static size_t find_by_name(const struct rpc_files *files, const char *name)
{
    size_t i = 0;
    while (i < files->count && strcmp(files->files[i].parsed->name, name) != 0)
        i++;
    return i;
}

static size_t find_by_symbol(const struct rpc_files *files, const char *symbol)
{
    size_t i = 0;
    while (i < files->count && !file_has(files->files[i].parsed, symbol))
        i++;
    return i;
}

static size_t find_by_extension(const struct rpc_files *files, const Grpc__Reflection__V1__ExtensionRequest *request)
{
    size_t i = 0;
    for (; i < files->count; i++) {
        size_t at = 0;
        const field_proto *field;
        while ((field = find_extension(files->files[i].parsed, request->containing_type, &at)) != NULL)
            if (field->number == request->extension_number)
                return i;
    }
    return i;
}

/* What an answer is built in. */
struct answer {
    reflection_response response;
    Grpc__Reflection__V1__FileDescriptorResponse files;
    Grpc__Reflection__V1__ListServiceResponse list;
    Grpc__Reflection__V1__ExtensionNumberResponse numbers;
    Grpc__Reflection__V1__ErrorResponse error;
};

static void set_error(struct answer *answer, enum status status, const char *message)
{
    grpc__reflection__v1__error_response__init(&answer->error);
    answer->error.error_code = (int32_t)status;
    answer->error.error_message = (char *)(uintptr_t)message;
    answer->response.message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    answer->response.error_response = &answer->error;
}

/* The file and whatever it imports, each once. */
static void add_file(const struct rpc_files *files, size_t index, bool *is_added, ProtobufCBinaryData *data,
                     size_t *count)
{
    if (index == files->count || is_added[index])
        return;
    is_added[index] = true;
    const struct rpc_file *file = &files->files[index];
    data[(*count)++] = (ProtobufCBinaryData){.len = file->len, .data = (uint8_t *)(uintptr_t)file->bytes};
    for (size_t i = 0; i < file->parsed->n_dependency; i++)
        add_file(files, find_by_name(files, file->parsed->dependency[i]), is_added, data, count);
}

static void answer_files(struct answer *answer, const struct rpc_files *files, size_t index, ProtobufCClosure closure,
                         void *closure_data)
{
    ProtobufCBinaryData *data = calloc(files->count, sizeof *data);
    bool *is_added = calloc(files->count, sizeof *is_added);
    if (data == NULL || is_added == NULL) {
        set_error(answer, STATUS_RESOURCE_EXHAUSTED, "out of memory");
    } else if (index == files->count) {
        set_error(answer, STATUS_NOT_FOUND, "not found");
    } else {
        grpc__reflection__v1__file_descriptor_response__init(&answer->files);
        answer->files.file_descriptor_proto = data;
        add_file(files, index, is_added, data, &answer->files.n_file_descriptor_proto);
        answer->response.message_response_case =
            GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
        answer->response.file_descriptor_response = &answer->files;
    }
    closure(&answer->response.base, closure_data);
    free(is_added);
    free(data);
}

static void answer_services(struct answer *answer, const struct rpc_registry *registry, ProtobufCClosure closure,
                            void *closure_data)
{
    size_t count = 0;
    for (const struct rpc_method *method = registry->methods; method != NULL; method = method->next)
        count += method->index == 0;
    Grpc__Reflection__V1__ServiceResponse services[count + 1], *list[count + 1]; /* never of no size */
    size_t i = count; /* the list of methods is the latest first */
    for (const struct rpc_method *method = registry->methods; method != NULL; method = method->next)
        if (method->index == 0) {
            grpc__reflection__v1__service_response__init(&services[--i]);
            services[i].name = (char *)(uintptr_t)method->service->descriptor->name;
            list[i] = &services[i];
        }
    grpc__reflection__v1__list_service_response__init(&answer->list);
    answer->list.service = list;
    answer->list.n_service = count;
    answer->response.message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    answer->response.list_services_response = &answer->list;
    closure(&answer->response.base, closure_data);
}

enum { NUMBERS_MAX = 64 };

static void answer_numbers(struct answer *answer, const struct rpc_files *files, const char *type,
                           ProtobufCClosure closure, void *closure_data)
{
    int32_t numbers[NUMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < files->count; i++) {
        size_t at = 0;
        const field_proto *field;
        while (count < NUMBERS_MAX && (field = find_extension(files->files[i].parsed, type, &at)) != NULL)
            numbers[count++] = field->number;
    }
    if (find_by_symbol(files, type) == files->count) {
        set_error(answer, STATUS_NOT_FOUND, "not found");
    } else {
        grpc__reflection__v1__extension_number_response__init(&answer->numbers);
        answer->numbers.base_type_name = (char *)(uintptr_t)type;
        answer->numbers.extension_number = numbers;
        answer->numbers.n_extension_number = count;
        answer->response.message_response_case =
            GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
        answer->response.all_extension_numbers_response = &answer->numbers;
    }
    closure(&answer->response.base, closure_data);
}

static void answer_error(struct answer *answer, ProtobufCClosure closure, void *closure_data)
{
    set_error(answer, STATUS_INVALID_ARGUMENT, "the request asks for nothing");
    closure(&answer->response.base, closure_data);
}

static void reflect(const struct rpc_reflection *reflection, reflection_request *request, ProtobufCClosure closure,
                    void *closure_data)
{
    const struct rpc_files *files = reflection->files;
    struct answer answer = {.response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT};
    answer.response.valid_host = request->host;
    answer.response.original_request = request;
    switch (request->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        answer_files(&answer, files, find_by_name(files, request->file_by_filename), closure, closure_data);
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        answer_files(&answer, files, find_by_symbol(files, request->file_containing_symbol), closure, closure_data);
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
        answer_files(&answer, files, find_by_extension(files, request->file_containing_extension), closure,
                     closure_data);
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        answer_numbers(&answer, files, request->all_extension_numbers_of_type, closure, closure_data);
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        answer_services(&answer, reflection->registry, closure, closure_data);
        return;
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__NOT_SET:
    case _GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST__CASE_IS_INT_SIZE:
        break;
    }
    answer_error(&answer, closure, closure_data);
}

/* The service's: on the call's thread. It answers at once. */
static void invoke_v1(ProtobufCService *service, unsigned index, const ProtobufCMessage *request,
                      ProtobufCClosure closure, void *closure_data)
{
    (void)index;
    struct rpc_reflection *reflection = RPC_CONTAINER(service, struct rpc_reflection, v1);
    reflect(reflection, (reflection_request *)(uintptr_t)request, closure, closure_data);
}

/* The older service's, likewise: its messages are the same. */
static void invoke_v1alpha(ProtobufCService *service, unsigned index, const ProtobufCMessage *request,
                           ProtobufCClosure closure, void *closure_data)
{
    (void)index;
    struct rpc_reflection *reflection = RPC_CONTAINER(service, struct rpc_reflection, v1alpha);
    reflect(reflection, (reflection_request *)(uintptr_t)request, closure, closure_data);
}

struct rpc_reflection *rpc_reflection_new(const struct rpc_registry *registry, const struct rpc_files *files)
{
    struct rpc_reflection *reflection = calloc(1, sizeof *reflection);
    if (reflection == NULL)
        abort();
    reflection->registry = registry;
    reflection->files = files;
    reflection->v1alpha_descriptor = grpc__reflection__v1__server_reflection__descriptor;
    reflection->v1alpha_descriptor.name = "grpc.reflection.v1alpha.ServerReflection";
    reflection->v1 =
        (ProtobufCService){.descriptor = &grpc__reflection__v1__server_reflection__descriptor, .invoke = invoke_v1};
    reflection->v1alpha = (ProtobufCService){.descriptor = &reflection->v1alpha_descriptor, .invoke = invoke_v1alpha};
    return reflection;
}

ProtobufCService *rpc_reflection_service(struct rpc_reflection *reflection, bool alpha)
{
    return alpha ? &reflection->v1alpha : &reflection->v1;
}

void rpc_reflection_free(struct rpc_reflection *reflection)
{
    free(reflection);
}
