/* SPDX-License-Identifier: Apache-2.0 */
#include "changes.h"

#include "base/must.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdlib.h>

/* A call that may change something. */
struct changing {
    struct memory *memory;
    ProtobufCClosure closure;
    void *closure_data;
};

/* The position that an answer tells of a change. NULL: it tells none. */
static const Gatehouse__V1__Position *position_in(const ProtobufCMessage *response)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(response->descriptor, "position");
    if (field == NULL || field->type != PROTOBUF_C_TYPE_MESSAGE ||
        field->descriptor != &gatehouse__v1__position__descriptor)
        return NULL;
    const void *place = (const char *)response + field->offset;
    return *(const Gatehouse__V1__Position *const *)place;
}

static void on_changed(const ProtobufCMessage *response, void *data)
{
    struct changing changing = *(struct changing *)data;
    free(data);
    const Gatehouse__V1__Position *position = response == NULL ? NULL : position_in(response);
    if (position != NULL)
        gatehouse_memory_require(changing.memory, &(struct position){position->revision, position->change_id});
    changing.closure(response, changing.closure_data);
}

static void start(struct service *service, unsigned method, const ProtobufCMessage *request, ProtobufCClosure closure,
                  struct gatehouse_call *call, void *closure_data, unsigned how)
{
    struct changes *changes = (struct changes *)service;
    struct changing *changing = must(malloc(sizeof *changing));
    *changing = (struct changing){changes->memory, closure, closure_data};
    gatehouse_invocation_start(changes->gatehouse->admin, method, request, on_changed, call, changing, how);
}

void gatehouse_changes_init(struct changes *changes, struct gatehouse *gatehouse, struct memory *memory)
{
    changes->service = gatehouse_service_of(&gatehouse__v1__credential_admin__descriptor, start);
    changes->gatehouse = gatehouse;
    changes->memory = memory;
}
