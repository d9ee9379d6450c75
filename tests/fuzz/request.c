/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf requests: the first byte chooses the message, the rest is checked and unpacked as the server does it, then
 * packed and unpacked again. */
#include "rpc/strings.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdlib.h>

static const ProtobufCMessageDescriptor *choose(uint8_t number)
{
    const ProtobufCServiceDescriptor *auth = &gatehouse__v1__auth_service__descriptor;
    const ProtobufCServiceDescriptor *admin = &gatehouse__v1__credential_admin__descriptor;
    unsigned index = number % (auth->n_methods + admin->n_methods);
    return index < auth->n_methods ? auth->methods[index].input : admin->methods[index - auth->n_methods].input;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const ProtobufCMessageDescriptor *descriptor = choose(data[0]);
    if (!strings_are_valid(descriptor, data + 1, size - 1))
        return 0;
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, NULL, size - 1, data + 1);
    if (message == NULL)
        return 0;
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = malloc(len + 1);
    if (packed != NULL && protobuf_c_message_pack(message, packed) != len)
        abort();
    ProtobufCMessage *again = protobuf_c_message_unpack(descriptor, NULL, len, packed);
    if (again == NULL)
        abort();
    protobuf_c_message_free_unpacked(again, NULL);
    protobuf_c_message_free_unpacked(message, NULL);
    free(packed);
    return 0;
}
