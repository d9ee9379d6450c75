/* SPDX-License-Identifier: Apache-2.0 */
/* A service that the ports can be given before there is anybody to serve them, or while whoever serves changes. */
#ifndef CALL_DOOR_H
#define CALL_DOOR_H

#include <protobuf-c/protobuf-c.h>

struct door {
    ProtobufCService service; /* first: what the ports call */
    _Atomic(ProtobufCService *) inside;
};

/* Closed: each call fails with UNAVAILABLE STORE_UNAVAILABLE, and may be tried again. */
void door_init(struct door *door, const ProtobufCServiceDescriptor *descriptor);

/* From now on calls go to `inside`, which is borrowed. Calls that began earlier end where they are. */
void door_lead(struct door *door, ProtobufCService *inside);

#endif
