/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include "base/must.h"
#include "contract/contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void invoke(ProtobufCService *base, unsigned method, const ProtobufCMessage *request, ProtobufCClosure closure,
                   void *closure_data)
{
    struct service *service = (struct service *)base;
    service->start(service, method, request, closure, closure_data, closure_data, 0);
}

struct service gatehouse_service_of(const ProtobufCServiceDescriptor *descriptor, service_start_fn *start)
{
    return (struct service){.base = {.descriptor = descriptor, .invoke = invoke}, .start = start};
}

static void start(struct service *service, unsigned method, const ProtobufCMessage *request, ProtobufCClosure closure,
                  struct gatehouse_call *call, void *closure_data, unsigned how)
{
    gatehouse_invocation_start((struct remote_service *)service, method, request, closure, call, closure_data, how);
}

struct remote_service *gatehouse_remote_service_new(struct gatehouse *gatehouse,
                                                    const ProtobufCServiceDescriptor *descriptor)
{
    struct remote_service *service = calloc(1, sizeof *service + descriptor->n_methods * sizeof *service->methods);
    if (service == NULL)
        abort();
    service->service = gatehouse_service_of(descriptor, start);
    service->owner = gatehouse;
    struct contract *contract = contract_new(descriptor);
    for (unsigned i = 0; i < descriptor->n_methods; i++) {
        struct remote_method *method = &service->methods[i];
        const char *name = descriptor->methods[i].name;
        if (asprintf(&method->path, "/%s/%s", descriptor->name, name) < 0)
            abort();
        if (!gatehouse_process_is_forked())
            method->handle = grpc_channel_register_call(gatehouse->channel, method->path, NULL, NULL);
        method->is_idempotent = contract->methods[i].is_idempotent;
        method->is_issue = strcmp(method->path, "/gatehouse.v1.AuthService/IssueToken") == 0;
    }
    contract_free(contract);
    return service;
}

void gatehouse_remote_service_free(struct remote_service *service)
{
    if (service == NULL)
        return;
    for (unsigned i = 0; i < service->service.base.descriptor->n_methods; i++)
        free(service->methods[i].path);
    free(service);
}

/* gatehouse_invoke: a call that is waited for */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
    ProtobufCMessage *response;
};

static void on_answer(const ProtobufCMessage *response, void *data)
{
    struct waiter *waiter = data;
    pthread_mutex_lock(&waiter->lock);
    waiter->response = (ProtobufCMessage *)(uintptr_t)response;
    waiter->is_done = true;
    pthread_cond_signal(&waiter->changed);
    pthread_mutex_unlock(&waiter->lock);
}

ProtobufCMessage *gatehouse_invoke(ProtobufCService *base, const char *method, const ProtobufCMessage *request,
                                   struct gatehouse_call *call)
{
    struct service *service = (struct service *)base;
    struct gatehouse_call own = {.timeout_ms = 0};
    call = call != NULL ? call : &own;
    const ProtobufCMethodDescriptor *found = protobuf_c_service_descriptor_get_method_by_name(base->descriptor, method);
    if (base->invoke != invoke || found == NULL || found->input != request->descriptor) {
        gatehouse_error_set(call, GATEHOUSE_UNIMPLEMENTED, "no service of a connection with such a method");
        return NULL;
    }
    if (gatehouse_process_is_own_thread()) {
        gatehouse_error_set(call, GATEHOUSE_FAILED_PRECONDITION,
                            "a closure must not wait: its thread is the one that brings the answer");
        return NULL;
    }
    struct waiter waiter = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, NULL};
    unsigned index = (unsigned)(found - base->descriptor->methods);
    service->start(service, index, request, on_answer, call, &waiter, INVOKE_GIVES_RESPONSE);
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.is_done)
        pthread_cond_wait(&waiter.changed, &waiter.lock);
    pthread_mutex_unlock(&waiter.lock);
    pthread_mutex_destroy(&waiter.lock);
    pthread_cond_destroy(&waiter.changed);
    return waiter.response;
}

ProtobufCMessage *gatehouse_message_copy(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = must(malloc(size + 1));
    protobuf_c_message_pack(message, bytes);
    ProtobufCMessage *copy = must(protobuf_c_message_unpack(message->descriptor, NULL, size, bytes));
    explicit_bzero(bytes, size); /* there may be a token in it */
    free(bytes);
    return copy;
}

void gatehouse_timestamp_init(Google__Protobuf__Timestamp *timestamp)
{
    google__protobuf__timestamp__init(timestamp);
}

void gatehouse_duration_init(Google__Protobuf__Duration *duration)
{
    google__protobuf__duration__init(duration);
}

void gatehouse_field_mask_init(Google__Protobuf__FieldMask *mask)
{
    google__protobuf__field_mask__init(mask);
}
