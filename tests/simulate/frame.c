/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include <stdlib.h>

struct frame *frame_add(struct frame **list, const ProtobufCMessage *message)
{
    struct frame *frame = calloc(1, sizeof *frame);
    if (frame == NULL)
        abort();
    frame->len = protobuf_c_message_get_packed_size(message);
    frame->bytes = malloc(frame->len + 1);
    if (frame->bytes == NULL)
        abort();
    protobuf_c_message_pack(message, frame->bytes);
    while (*list != NULL)
        list = &(*list)->next;
    return *list = frame;
}

ProtobufCMessage *frame_read(const struct frame *frame, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, NULL, frame->len, frame->bytes);
    if (message == NULL)
        abort();
    return message;
}

void frame_drop(struct frame **link)
{
    struct frame *frame = *link;
    *link = frame->next;
    free(frame->bytes);
    free(frame->data);
    free(frame);
}

void frame_drop_all(struct frame **list)
{
    while (*list != NULL)
        frame_drop(list);
}
