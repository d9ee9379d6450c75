/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/files.h"

#include <google/protobuf/descriptor.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One "repeated FileDescriptorProto file = 1" of the set: tag 0x0a, length, bytes. Returns what follows it, or NULL
 * where it is no such thing. The bytes are kept as they are, because reflection serves them as they are. */
static const uint8_t *next_file(const uint8_t *at, const uint8_t *end, const uint8_t **ret_bytes, size_t *ret_len)
{
    size_t len = 0;
    if (at == end || *at != 0x0a)
        return NULL;
    at++;
    for (unsigned shift = 0;; shift += 7) {
        if (at == end || shift > 28)
            return NULL;
        len |= (size_t)(*at & 0x7f) << shift;
        if ((*at++ & 0x80) == 0)
            break;
    }
    if (len > (size_t)(end - at))
        return NULL;
    *ret_bytes = at;
    *ret_len = len;
    return at + len;
}

static bool add_file(struct rpc_files *files, const uint8_t *bytes, size_t len)
{
    struct rpc_file *grown = realloc(files->files, (files->count + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    files->files = grown;
    Google__Protobuf__FileDescriptorProto *parsed = google__protobuf__file_descriptor_proto__unpack(NULL, len, bytes);
    if (parsed == NULL)
        return false;
    grown[files->count++] = (struct rpc_file){bytes, len, parsed};
    return parsed->name != NULL;
}

struct rpc_files *rpc_files_new(const void *descriptor_set, size_t len)
{
    struct rpc_files *files = calloc(1, sizeof *files);
    const uint8_t *at = descriptor_set, *end = at + len, *bytes;
    size_t bytes_len;
    while (files != NULL && at != end) {
        at = next_file(at, end, &bytes, &bytes_len);
        if (at == NULL || !add_file(files, bytes, bytes_len)) {
            rpc_files_free(files);
            return NULL;
        }
    }
    return files;
}

void rpc_files_free(struct rpc_files *files)
{
    if (files == NULL)
        return;
    for (size_t i = 0; i < files->count; i++)
        google__protobuf__file_descriptor_proto__free_unpacked(files->files[i].parsed, NULL);
    free(files->files);
    free(files);
}

static const Google__Protobuf__ServiceDescriptorProto *find_service(const struct rpc_files *files,
                                                                    const char *full_name)
{
    for (size_t i = 0; i < files->count; i++) {
        const Google__Protobuf__FileDescriptorProto *file = files->files[i].parsed;
        const char *package = file->package != NULL ? file->package : "";
        size_t len = strlen(package);
        if (strncmp(full_name, package, len) != 0 || (len > 0 && full_name[len] != '.'))
            continue;
        for (size_t k = 0; k < file->n_service; k++)
            if (strcmp(file->service[k]->name, full_name + len + (len > 0)) == 0)
                return file->service[k];
    }
    return NULL;
}

void rpc_files_streaming(const struct rpc_files *files, const char *service, const char *method, bool *ret_client,
                         bool *ret_server)
{
    *ret_client = *ret_server = false;
    const Google__Protobuf__ServiceDescriptorProto *found = find_service(files, service);
    for (size_t i = 0; found != NULL && i < found->n_method; i++)
        if (strcmp(found->method[i]->name, method) == 0) {
            *ret_client = found->method[i]->client_streaming;
            *ret_server = found->method[i]->server_streaming;
        }
}
