/* SPDX-License-Identifier: Apache-2.0 */
#include "call/door.h"

#include "call/call.h"

#include <stdatomic.h>

enum { RETRY_MS = 1000 };

/* The service, from any thread. */
static void invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                   ProtobufCClosure closure, void *closure_data)
{
    struct door *door = (struct door *)service;
    ProtobufCService *inside = atomic_load_explicit(&door->inside, memory_order_acquire);
    if (inside != NULL) {
        inside->invoke(inside, method, request, closure, closure_data);
        return;
    }
    (void)!call_fail_retry(closure_data, STATUS_UNAVAILABLE, "STORE_UNAVAILABLE", RETRY_MS,
                           "the server waits for its database");
    closure(NULL, closure_data);
}

/* The service's destroy. */
static void nothing(ProtobufCService *service)
{
    (void)service; /* it is part of its owner */
}

void door_init(struct door *door, const ProtobufCServiceDescriptor *descriptor)
{
    door->service = (ProtobufCService){descriptor, invoke, nothing};
    atomic_init(&door->inside, NULL);
}

void door_lead(struct door *door, ProtobufCService *inside)
{
    atomic_store_explicit(&door->inside, inside, memory_order_release);
}
