/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/strings.h"

#include "base/utf8.h"

#include <string.h>

enum { DEPTH_MAX = 16 };

struct input {
    const uint8_t *at, *end;
};

static bool read_varint(struct input *input, uint64_t *ret_number)
{
    *ret_number = 0;
    for (int shift = 0; shift < 64 && input->at < input->end; shift += 7) {
        uint8_t byte = *input->at++;
        *ret_number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool skip(struct input *input, uint64_t len)
{
    if (len > (uint64_t)(input->end - input->at))
        return false;
    input->at += len;
    return true;
}

/* Eight bytes of ASCII without NUL? Each byte's upper bit is set in `word` or `less` where it is not. */
static bool is_ascii(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
    uint64_t less = word - UINT64_C(0x0101010101010101); /* only a NUL borrows, from ASCII */
    return ((word | less) & UINT64_C(0x8080808080808080)) == 0;
}

static bool is_text(const char *text, size_t len)
{
    for (; len >= sizeof(uint64_t) && is_ascii(text); len -= sizeof(uint64_t)) /* nearly all */
        text += sizeof(uint64_t);
    while (len > 0) {
        size_t step = *text == '\0' ? 0 : utf8_character(text, len);
        if (step == 0)
            return false;
        text += step;
        len -= step;
    }
    return true;
}

static bool check_message(const ProtobufCMessageDescriptor *type, struct input input, int depth);

static bool check_bytes(const ProtobufCFieldDescriptor *field, struct input *input, int depth)
{
    uint64_t len;
    const uint8_t *begin;
    if (!read_varint(input, &len) || (begin = input->at, !skip(input, len)))
        return false;
    if (field == NULL)
        return true;
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return is_text((const char *)begin, (size_t)len);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return check_message(field->descriptor, (struct input){begin, input->at}, depth + 1);
    return true;
}

static bool check_message(const ProtobufCMessageDescriptor *type, struct input input, int depth)
{
    enum { VARINT, FIXED64, BYTES, GROUP, GROUP_END, FIXED32 };
    uint64_t tag, number;
    while (input.at < input.end) {
        if (depth > DEPTH_MAX || !read_varint(&input, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
            return false;
        bool is_good = false;
        switch (tag & 7) {
        case VARINT:
            is_good = read_varint(&input, &number);
            break;
        case FIXED64:
            is_good = skip(&input, 8);
            break;
        case FIXED32:
            is_good = skip(&input, 4);
            break;
        case BYTES:
            is_good = check_bytes(protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3)), &input, depth);
            break;
        default: /* groups, which proto3 has none of */
            break;
        }
        if (!is_good)
            return false;
    }
    return true;
}

bool strings_are_valid(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len)
{
    return check_message(type, (struct input){data, data + len}, 0);
}
