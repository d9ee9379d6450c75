/* SPDX-License-Identifier: Apache-2.0 */
#include "asking.h"

#include "call/call.h"

struct asking {
    struct call call; /* first */
    struct api *api;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
    const ProtobufCMessageDescriptor *type;
    ProtobufCMessage *answer;
};

static void answered(const ProtobufCMessage *message, void *closure_data)
{
    struct asking *asking = closure_data;
    pthread_mutex_lock(&asking->lock);
    if (message != NULL) {
        size_t size = protobuf_c_message_get_packed_size(message);
        uint8_t *bytes = malloc(size + 1);
        protobuf_c_message_pack(message, bytes);
        asking->answer = protobuf_c_message_unpack(message->descriptor, NULL, size, bytes);
        free(bytes);
    }
    asking->is_done = true;
    pthread_cond_signal(&asking->changed);
    pthread_mutex_unlock(&asking->lock);
}

static const char *const identities[] = {"root", NULL};

struct api *api_of(const struct fixture *fixture)
{
    const struct api_options options = {
        .domain = fixture->domain, .admin_identities = identities, .introspect_identities = identities};
    return api_new(&options);
}

static void *ask(ProtobufCService *service, const char *method, const void *request, const char *authorization)
{
    struct asking asking = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    asking.call = (struct call){.method = method,
                                .peer = "",
                                .identities = authorization == NULL ? identities : &identities[1],
                                .authorization = authorization,
                                .deadline = INT64_MAX};
    const ProtobufCMethodDescriptor *found =
        protobuf_c_service_descriptor_get_method_by_name(service->descriptor, method);
    assert_non_null(found);
    service->invoke(service, (unsigned)(found - service->descriptor->methods), request, answered, &asking);
    pthread_mutex_lock(&asking.lock);
    while (!asking.is_done)
        pthread_cond_wait(&asking.changed, &asking.lock);
    pthread_mutex_unlock(&asking.lock);
    if (asking.answer == NULL)
        print_message("%s: %s\n", method, asking.call.error.message);
    return asking.answer;
}

void *ask_admin(struct api *api, const char *method, const void *request, const char *authorization)
{
    return ask(api_credential_admin(api), method, request, authorization);
}

void *ask_auth(struct api *api, const char *method, const void *request)
{
    return ask(api_auth_service(api), method, request, NULL);
}

void release(void *answer)
{
    assert_non_null(answer);
    protobuf_c_message_free_unpacked(answer, NULL);
}
