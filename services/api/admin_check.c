/* SPDX-License-Identifier: Apache-2.0 */
/* What a request must be before anything is done: etags, masks, roles, request ids. */
#include "api/admin.h"
#include "contract/json_field.h"
#include "domain/administrator.h"
#include "records/process.h"
#include "records/request.h"

#include <inttypes.h>
#include <string.h>

char *admin_etag(struct admin_call *admin, int64_t version)
{
    return arena_format(&admin->arena, "v%" PRId64, version);
}

enum status admin_check_etag(struct admin_call *admin, const char *etag, int64_t version)
{
    if (admin->is_replay) /* it was right when it was done */
        return STATUS_OK;
    if (etag[0] != '\0' && strcmp(etag, admin_etag(admin, version)) != 0)
        return call_fail(admin_fails(admin), STATUS_ABORTED, "STALE_ETAG", "it was changed since it was read");
    return STATUS_OK;
}

enum status admin_load(struct admin_call *admin, const char *client_id, struct credential **ret_credential)
{
    char *spelled = arena_alloc(&admin->arena, CLIENT_ID_TEXT_MAX + 1);
    client_id_spell(client_id, spelled);
    admin->subject = client_id = spelled;
    enum status status = credential_row_load(admin->work.tx, &admin->arena, client_id, admin->work.now, ret_credential);
    if (status == STATUS_NOT_FOUND)
        return call_fail(admin_fails(admin), status, "NO_SUCH_CREDENTIAL", "there is no such credential");
    TRY(status);
    return admin_check_touch(admin, *ret_credential);
}

enum status admin_check_touch(struct admin_call *admin, const struct credential *credential)
{
    if (admin->contract->is_read || admin->is_own)
        return STATUS_OK;
    return caller_check_touch(admin->calling.api, admin_fails(admin), &admin->calling.caller, &credential->granted);
}

enum status admin_load_living(struct admin_call *admin, const char *client_id, const char *etag,
                              struct credential **ret_credential)
{
    TRY(admin_load(admin, client_id, ret_credential));
    TRY(admin_check_etag(admin, etag, (*ret_credential)->version));
    if ((*ret_credential)->deleted != 0 && !admin->is_replay)
        return call_fail(admin_fails(admin), STATUS_FAILED_PRECONDITION, "CREDENTIAL_DELETED",
                         "the credential is deleted");
    return STATUS_OK;
}

enum status admin_read_roles(struct admin_call *admin, size_t count, char **ids, bool is_grant,
                             struct role_set *ret_roles)
{
    struct call *call = admin_fails(admin);
    struct directory *directory = admin->calling.api->domain->memory->directory;
    *ret_roles = (struct role_set){0};
    for (size_t i = 0; i < count; i++) {
        int number = directory_role_number(directory, ids[i]);
        if (number < 0)
            return call_fail(call, STATUS_NOT_FOUND, "NO_SUCH_ROLE", "there is no role %s", ids[i]);
        directory_lock(directory);
        bool is_retired = directory_role(directory, number)->is_retired;
        directory_unlock(directory);
        if (is_grant && is_retired)
            return call_fail(call, STATUS_FAILED_PRECONDITION, "ROLE_RETIRED", "the role %s is retired", ids[i]);
        role_set_add(ret_roles, number);
    }
    return STATUS_OK;
}

enum status admin_keep_administrator(struct admin_call *admin)
{
    enum status status = administrator_check(&admin->work);
    if (status == STATUS_FAILED_PRECONDITION)
        return call_fail(admin_fails(admin), status, "LAST_ADMINISTRATOR",
                         "after this nobody could get in with the role %s, or not for another day", ROLE_USER_MANAGER);
    return status;
}

enum status admin_check_programs(struct admin_call *admin)
{
    int64_t program = 0;
    TRY(process_row_oldest(admin->work.tx, &program));
    if (program < PROCESS_KNOWS_SUSPENSION)
        return call_fail(admin_fails(admin), STATUS_FAILED_PRECONDITION, "OLDER_SERVER",
                         "a server of an older version uses the database, which would serve what this refuses");
    return STATUS_OK;
}

bool admin_mask_has(const Google__Protobuf__FieldMask *mask, const char *field)
{
    for (size_t i = 0; i < mask->n_paths; i++)
        if (strcmp(mask->paths[i], field) == 0)
            return true;
    return false;
}

/* Repeated requests */

static const char *key_of(const ProtobufCMessage *entry)
{
    return *(char *const *)(const void *)((const char *)entry + entry->descriptor->fields[0].offset);
}

/* The order of a map's entries says nothing, and some programs send another each time. Those of one key stay as they
 * are: the last one counts. Of maps in a message within the request, as there are. */
static void sort_maps(const ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const char *member = (const char *)message + field->offset;
        if (json_is_map(field)) {
            const ProtobufCMessage **entries = *(const ProtobufCMessage ***)(uintptr_t)member;
            size_t count = *(const size_t *)(const void *)((const char *)message + field->quantifier_offset);
            for (size_t j = 1; j < count; j++)
                for (size_t k = j; k > 0 && strcmp(key_of(entries[k - 1]), key_of(entries[k])) > 0; k--) {
                    const ProtobufCMessage *entry = entries[k];
                    entries[k] = entries[k - 1];
                    entries[k - 1] = entry;
                }
        } else if (field->type == PROTOBUF_C_TYPE_MESSAGE && field->label != PROTOBUF_C_LABEL_REPEATED &&
                   *(const ProtobufCMessage *const *)(const void *)member != NULL) {
            sort_maps(*(const ProtobufCMessage *const *)(const void *)member);
        }
    }
}

static void request_digest(struct admin_call *admin, uint8_t digest[static SHA256_BYTES])
{
    sort_maps(admin->request);
    size_t len = protobuf_c_message_get_packed_size(admin->request);
    uint8_t *bytes = arena_alloc(&admin->arena, len + 1);
    protobuf_c_message_pack(admin->request, bytes);
    crypto_sha256(bytes, len, digest);
}

bool admin_is_answered(struct admin_call *admin, const struct credential *credential,
                       Gatehouse__V1__Credential **ret_message)
{
    if (admin->is_replay)
        *ret_message = admin_credential(admin, credential);
    return admin->is_replay;
}

enum status admin_find_request(struct admin_call *admin, const char *request_id)
{
    struct call *call = admin_fails(admin);
    if (request_id[0] == '\0')
        return STATUS_OK;
    uint8_t digest[SHA256_BYTES];
    request_digest(admin, digest);
    struct request_row row = {.id = request_id, .actor = admin->work.actor};
    enum status status = request_row_load(admin->work.tx, &admin->arena, &row);
    if (status != STATUS_OK)
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    if (strcmp(row.method, admin->method->name) != 0 || !crypto_equal(digest, row.digest, SHA256_BYTES))
        return call_fail(call, STATUS_ABORTED, "REQUEST_ID_REUSED", "this request_id came with another request before");
    admin->is_replay = true;
    admin->made = row.client_id;
    return STATUS_OK;
}

enum status admin_remember_request(struct admin_call *admin, const char *request_id)
{
    if (request_id[0] == '\0')
        return STATUS_OK;
    struct request_row row = {
        .id = request_id, .actor = admin->work.actor, .method = admin->method->name, .client_id = admin->subject};
    request_digest(admin, row.digest);
    return request_row_insert(admin->work.tx, &row, admin->work.now);
}
