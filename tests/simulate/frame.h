/* SPDX-License-Identifier: Apache-2.0 */
/* Messages on their way between a cache and a process, packed, in the order in which they were sent. */
#ifndef SIMULATE_FRAME_H
#define SIMULATE_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

struct frame {
    uint8_t *bytes;
    size_t len;
    void *data; /* the sender's, malloc'd: goes with it; NULL: none */
    struct frame *next;
};

/* Puts it behind the others. */
struct frame *frame_add(struct frame **list, const ProtobufCMessage *message);

/* The caller frees it by protobuf_c_message_free_unpacked. */
ProtobufCMessage *frame_read(const struct frame *frame, const ProtobufCMessageDescriptor *descriptor);

/* Takes one out, or all; they are lost, or have come. */
void frame_drop(struct frame **link);
void frame_drop_all(struct frame **list);

#endif
