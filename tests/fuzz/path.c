/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the JSON API, and one parameter of a query. */
#include "rest/path.h"
#include "contract/json_reader.h"

#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdlib.h>
#include <string.h>

static const char *const patterns[] = {"/v1/credentials/{credential.client_id}", "/v1/credentials/{client_id}:undelete",
                                       "/v1/credentials/{client_id}/secrets/{secret_id}", "{a}{b}{c}{d}{e}"};

static void set(struct arena *arena, const ProtobufCServiceDescriptor *service, const char *field, const char *value)
{
    char why[JSON_WHY_MAX];
    for (unsigned i = 0; i < service->n_methods; i++)
        if (!json_set_text(arena, json_new_message(arena, service->methods[i].input), field, value, why) &&
            why[0] == '\0')
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct path_captured captured;
    char *path = arena_copy(&arena, (const char *)data, size);
    for (size_t i = 0; path != NULL && i < sizeof patterns / sizeof patterns[0]; i++) {
        if (!path_fits(&arena, patterns[i], path, &captured))
            continue;
        for (size_t j = 0; j < captured.count; j++)
            if (path_decode(captured.values[j]))
                set(&arena, &gatehouse__v1__credential_admin__descriptor, captured.fields[j], captured.values[j]);
    }
    char *equals = path == NULL ? NULL : strchr(path, '=');
    if (equals != NULL) {
        *equals = '\0';
        set(&arena, &gatehouse__v1__credential_admin__descriptor, path, equals + 1);
    }
    arena_done(&arena);
    return 0;
}
