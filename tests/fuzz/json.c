/* SPDX-License-Identifier: Apache-2.0 */
/* JSON bodies: the first byte chooses the message. What is read can be written, and then says the same again. */
#include "contract/json.h"
#include "contract/json_reader.h"

#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdlib.h>
#include <string.h>

static char *format(const ProtobufCMessage *message)
{
    json_t *json = json_from_message(message);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static ProtobufCMessage *read(struct arena *arena, const ProtobufCMessageDescriptor *descriptor, const char *text,
                              size_t len)
{
    char why[JSON_WHY_MAX];
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    ProtobufCMessage *message = json == NULL ? NULL : json_to_message(arena, descriptor, json, why);
    json_decref(json);
    return message;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCServiceDescriptor *admin = &gatehouse__v1__credential_admin__descriptor;
    struct arena arena = {0};
    if (size == 0)
        return 0;
    const ProtobufCMessageDescriptor *descriptor = admin->methods[data[0] % admin->n_methods].input;
    ProtobufCMessage *message = read(&arena, descriptor, (const char *)data + 1, size - 1);
    char *text = message == NULL ? NULL : format(message);
    if (text != NULL) {
        ProtobufCMessage *again = read(&arena, descriptor, text, strlen(text));
        char *text_again = again == NULL ? NULL : format(again);
        if (text_again == NULL || strcmp(text, text_again) != 0)
            abort();
        free(text_again);
    }
    free(text);
    arena_done(&arena);
    return 0;
}
