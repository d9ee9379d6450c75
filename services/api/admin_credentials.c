/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: credentials, their secret keys and roles. */
#include "api/admin.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum status name_taken(struct admin_call *admin, enum status status)
{
    if (status == STATUS_ALREADY_EXISTS)
        return call_fail(admin_fails(admin), status, "NAME_TAKEN", "another credential has this name");
    return status;
}

static enum status read_new(struct admin_call *admin, const Gatehouse__V1__CreateCredentialRequest *request,
                            struct credential *credential, struct role_set *roles)
{
    struct call *call = admin_fails(admin);
    const Gatehouse__V1__Credential *wanted = request->credential;
    credential->expires = read_time(wanted->expire_time, 0);
    if (wanted->expire_time != NULL && credential->expires <= admin->work.now)
        return call_fail_field(call, "credential.expire_time", "INVALID_FIELD", "the expiry date is in the past");
    TRY(admin_read_roles(admin, request->n_roles, request->roles, true, roles));
    credential->name = wanted->name;
    credential->owner = wanted->owner;
    return STATUS_OK;
}

enum status create_credential(struct admin_call *admin)
{
    const Gatehouse__V1__CreateCredentialRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__CreateCredentialResponse, gatehouse__v1__create_credential_response__init);
    struct credential *credential = arena_new(&admin->arena, struct credential);
    const char *made_before = NULL;
    struct role_set roles;
    TRY(admin_find_request(admin, request->request_id, &made_before));
    if (made_before != NULL) {
        admin->is_replay = true;
        TRY(admin_load(admin, made_before, &credential));
        response->credential = admin_credential(admin, credential);
        return STATUS_OK;
    }
    TRY(read_new(admin, request, credential, &roles));
    char *secret = arena_alloc(&admin->arena, SECRET_TEXT_LEN + 1);
    TRY(name_taken(admin, credential_create(&admin->work, credential, &roles, secret)));
    TRY(admin_remember_request(admin, request->request_id, credential->client_id));
    admin->is_dry = request->validate_only;
    admin->subject = arena_text(&admin->arena, credential->client_id);
    admin->detail = arena_format(&admin->arena, "name: %s; roles: %s", credential->name,
                                 admin_join(admin, request->n_roles, request->roles));
    response->credential = admin_credential(admin, credential);
    if (!admin->is_dry)
        response->secret_key = secret;
    return STATUS_OK;
}

enum status get_credential(struct admin_call *admin)
{
    const Gatehouse__V1__GetCredentialRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__GetCredentialResponse, gatehouse__v1__get_credential_response__init);
    struct credential *credential = NULL;
    TRY(admin_load(admin, request->client_id, &credential));
    response->credential = admin_credential(admin, credential);
    return STATUS_OK;
}

/* ListCredentials: chosen and sorted in memory, where all of them are; the page is read from the store. */

enum order { BY_NAME, BY_CREATED, BY_EXPIRES, BY_LAST_USED };

struct selection {
    const struct filter *filter;
    struct directory *directory;
    int64_t now;
    enum order order;
    bool is_descending;
    int64_t *values; /* sort keys of BY_CREATED and so on */
    struct selected {
        const char *name;
        int64_t value;
        int64_t id;
    } *items;
    struct arena *arena;
    size_t count, size;
};

static bool has_status(const struct credential_facts *facts, const char *status, int64_t now)
{
    enum credential_state state = credential_state(facts->deleted, facts->expires, now);
    if (strcmp(status, "any") == 0)
        return true;
    if (strcmp(status, "deleted") == 0)
        return state == CREDENTIAL_DELETED;
    return state == (strcmp(status, "expired") == 0 ? CREDENTIAL_EXPIRED : CREDENTIAL_LIVE);
}

static bool matches(const struct selection *selection, const struct credential_facts *facts,
                    const struct filter_term *term)
{
    int64_t time = 0;
    if (strcmp(term->field, "name") == 0)
        return utf8_contains(facts->name, term->value);
    if (strcmp(term->field, "owner") == 0)
        return strcmp(facts->owner, term->value) == 0;
    if (strcmp(term->field, "client_id") == 0)
        return strcasecmp(facts->client_id, term->value) == 0;
    if (strcmp(term->field, "status") == 0)
        return has_status(facts, term->value, selection->now);
    if (strcmp(term->field, "expires") == 0)
        return filter_time(term->value, &time) && facts->expires != 0 && facts->expires < time;
    int role = directory_role_number(selection->directory, term->value);
    const struct role_set *roles = strcmp(term->field, "role") == 0 ? &facts->effective : &facts->granted;
    return role >= 0 && role_set_has(roles, role);
}

static void select_one(const struct credential_facts *facts, int64_t last_used, void *arg)
{
    struct selection *selection = arg;
    bool names_status = false;
    for (size_t i = 0; i < selection->filter->count; i++) {
        const struct filter_term *term = &selection->filter->terms[i];
        names_status |= strcmp(term->field, "status") == 0;
        if (!matches(selection, facts, term))
            return;
    }
    if (!names_status && facts->deleted != 0)
        return;
    if (selection->count == selection->size) {
        size_t size = selection->size == 0 ? 256 : selection->size * 2;
        struct selected *items = arena_array(selection->arena, struct selected, size);
        if (selection->count > 0)
            memcpy(items, selection->items, selection->count * sizeof *items);
        selection->items = items;
        selection->size = size;
    }
    int64_t values[] = {0, facts->created, facts->expires == 0 ? INT64_MAX : facts->expires, last_used};
    selection->items[selection->count++] = (struct selected){
        .name = selection->order == BY_NAME ? arena_text(selection->arena, facts->name) : "",
        .value = values[selection->order],
        .id = facts->id,
    };
}

static int compare(const void *a, const void *b, void *arg)
{
    const struct selection *selection = arg;
    const struct selected *left = a, *right = b;
    int order = strcasecmp(left->name, right->name);
    if (order == 0)
        order = (left->value > right->value) - (left->value < right->value);
    if (order == 0)
        order = (left->id > right->id) - (left->id < right->id);
    return selection->is_descending ? -order : order;
}

static enum status read_order(struct call *call, const char *text, struct selection *selection)
{
    static const char *const names[] = {"name", "create_time", "expire_time", "last_use_time"};
    if (text[0] == '\0')
        return STATUS_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t len = strlen(names[i]);
        if (strncmp(text, names[i], len) != 0)
            continue;
        selection->order = (enum order)i;
        selection->is_descending = strcmp(text + len, " desc") == 0;
        if (text[len] == '\0' || selection->is_descending)
            return STATUS_OK;
    }
    return call_fail_field(call, "order_by", "INVALID_FIELD",
                           "order_by is name, create_time, expire_time or last_use_time, and ' desc' if wanted");
}

static enum status check_filter_values(struct call *call, const struct filter *filter)
{
    int64_t time = 0;
    for (size_t i = 0; i < filter->count; i++) {
        const struct filter_term *term = &filter->terms[i];
        if (strcmp(term->field, "expires") == 0 && !filter_time(term->value, &time))
            return call_fail_field(call, "filter", "INVALID_FIELD", "filter: expires wants a time of RFC 3339");
        if (strcmp(term->field, "status") == 0 && strcmp(term->value, "active") != 0 &&
            strcmp(term->value, "expired") != 0 && strcmp(term->value, "deleted") != 0 &&
            strcmp(term->value, "any") != 0)
            return call_fail_field(call, "filter", "INVALID_FIELD",
                                   "filter: a status is active, expired, deleted or any");
    }
    return STATUS_OK;
}

/* The first item after the cursor: the sort key and id of the last one before it, "value:id:name". */
static size_t find_start(struct selection *selection, const char *cursor)
{
    if (cursor[0] == '\0')
        return 0;
    char *end = NULL;
    struct selected last = {.value = strtoll(cursor, &end, 10)};
    last.id = *end == ':' ? strtoll(end + 1, &end, 10) : 0;
    last.name = *end == ':' ? end + 1 : "";
    size_t at = 0;
    while (at < selection->count && compare(&selection->items[at], &last, selection) <= 0)
        at++;
    return at;
}

static enum status load_page(struct admin_call *admin, const struct selection *selection, size_t start, size_t size,
                             Gatehouse__V1__ListCredentialsResponse *response)
{
    size_t end = selection->count - start < size ? selection->count : start + size;
    response->credentials = arena_array(&admin->arena, Gatehouse__V1__Credential *, size);
    for (size_t i = start; i < end; i++) {
        struct arena arena = {0};
        struct credential *credential = NULL;
        enum status status =
            credential_load_id(admin->work.tx, &arena, selection->items[i].id, admin->work.now, &credential);
        if (status == STATUS_OK)
            response->credentials[response->n_credentials++] = admin_credential(admin, credential);
        arena_done(&arena);
        if (status != STATUS_NOT_FOUND) /* purged meanwhile */
            TRY(status);
    }
    return STATUS_OK;
}

enum status list_credentials(struct admin_call *admin)
{
    static const char *const allowed[] = {
        "name:", "role=", "granted=", "owner=", "client_id=", "status=", "expires<", NULL};
    const Gatehouse__V1__ListCredentialsRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__ListCredentialsResponse, gatehouse__v1__list_credentials_response__init);
    struct call *call = admin_fails(admin);
    struct directory *directory = admin->calling.api->domain->memory->directory;
    struct filter filter;
    const char *cursor = NULL;
    int size = 0;
    struct selection selection = {
        .filter = &filter, .directory = directory, .now = admin->work.now, .arena = &admin->arena};
    size = page_size(request->page_size);
    TRY(filter_parse(call, &admin->arena, request->filter, allowed, &filter));
    TRY(check_filter_values(call, &filter));
    TRY(read_order(call, request->order_by, &selection));
    const char *query = arena_format(&admin->arena, "%s\n%s", request->filter, request->order_by);
    TRY(page_read(admin, request->page_token, query, &cursor));
    directory_lock(directory);
    directory_each(directory, select_one, &selection);
    directory_unlock(directory);
    if (selection.count > 0)
        qsort_r(selection.items, selection.count, sizeof *selection.items, compare, &selection);
    size_t start = find_start(&selection, cursor);
    TRY(load_page(admin, &selection, start, (size_t)size, response));
    response->total_size = (int64_t)selection.count;
    if (start + (size_t)size < selection.count) {
        const struct selected *last = &selection.items[start + (size_t)size - 1];
        response->next_page_token = page_make(
            admin, query, arena_format(&admin->arena, "%" PRId64 ":%" PRId64 ":%s", last->value, last->id, last->name));
    }
    return STATUS_OK;
}

static void read_update(const Gatehouse__V1__UpdateCredentialRequest *request, struct credential *credential)
{
    const Gatehouse__V1__Credential *wanted = request->credential;
    if (admin_mask_has(request->update_mask, "name"))
        credential->name = wanted->name;
    if (admin_mask_has(request->update_mask, "owner"))
        credential->owner = wanted->owner;
    if (admin_mask_has(request->update_mask, "expire_time")) {
        credential->expires = read_time(wanted->expire_time, 0);
        if (wanted->expire_time != NULL && credential->expires == 0) /* 1970 is in the past; 0 would mean never */
            credential->expires = 1;
    }
}

enum status update_credential(struct admin_call *admin)
{
    const Gatehouse__V1__UpdateCredentialRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__UpdateCredentialResponse, gatehouse__v1__update_credential_response__init);
    struct credential *credential = NULL;
    TRY(admin_load_living(admin, request->credential->client_id, request->credential->etag, &credential));
    struct credential before = *credential;
    read_update(request, credential);
    admin_tell_text(admin, "name", before.name, credential->name);
    admin_tell_text(admin, "owner", before.owner, credential->owner);
    admin_tell_time(admin, "expires", before.expires, credential->expires);
    if (admin->detail[0] != '\0')
        TRY(name_taken(admin, credential_update(&admin->work, credential)));
    TRY(admin_keep_administrator(admin));
    admin->is_dry = request->validate_only;
    admin_tell_ended(admin);
    response->credential = admin_credential(admin, credential);
    return admin_impact(admin, credential->id, &response->impact);
}

enum status delete_credential(struct admin_call *admin)
{
    const Gatehouse__V1__DeleteCredentialRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__DeleteCredentialResponse, gatehouse__v1__delete_credential_response__init);
    struct credential *credential = NULL;
    TRY(admin_load_living(admin, request->client_id, request->etag, &credential));
    TRY(credential_delete(&admin->work, credential));
    TRY(admin_keep_administrator(admin));
    admin->is_dry = request->validate_only;
    admin->detail =
        arena_format(&admin->arena, "name: %s; tokens ended: %" PRId64, credential->name, admin->work.tokens_ended);
    response->credential = admin_credential(admin, credential);
    return admin_impact(admin, credential->id, &response->impact);
}

enum status undelete_credential(struct admin_call *admin)
{
    const Gatehouse__V1__UndeleteCredentialRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__UndeleteCredentialResponse, gatehouse__v1__undelete_credential_response__init);
    struct credential *credential = NULL;
    TRY(admin_load(admin, request->client_id, &credential));
    if (credential->deleted == 0)
        return call_fail(admin_fails(admin), STATUS_FAILED_PRECONDITION, "NOT_DELETED",
                         "the credential is not deleted");
    TRY(name_taken(admin, credential_undelete(&admin->work, credential)));
    response->credential = admin_credential(admin, credential);
    return STATUS_OK;
}

enum status regenerate_secret(struct admin_call *admin)
{
    const Gatehouse__V1__RegenerateSecretRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__RegenerateSecretResponse, gatehouse__v1__regenerate_secret_response__init);
    struct credential *credential = NULL;
    const char *made_before = NULL;
    int64_t overlap = read_duration(request->overlap, 0);
    TRY(admin_find_request(admin, request->request_id, &made_before));
    if (made_before != NULL) {
        admin->is_replay = true;
        TRY(admin_load(admin, made_before, &credential));
        response->credential = admin_credential(admin, credential);
        return STATUS_OK;
    }
    TRY(admin_load_living(admin, request->client_id, request->etag, &credential));
    char *secret = arena_alloc(&admin->arena, SECRET_TEXT_LEN + 1);
    struct credential before = *credential;
    TRY(credential_regenerate(&admin->work, credential, overlap, secret));
    TRY(admin_keep_administrator(admin));
    TRY(admin_remember_request(admin, request->request_id, credential->client_id));
    admin->is_dry = request->validate_only;
    admin_tell_secrets(admin, &before, credential);
    admin_tell_duration(admin, "overlap", 0, overlap);
    admin_tell_ended(admin);
    response->credential = admin_credential(admin, credential);
    if (!admin->is_dry)
        response->secret_key = secret;
    return admin_impact(admin, credential->id, &response->impact);
}

enum status end_secret(struct admin_call *admin)
{
    const Gatehouse__V1__EndSecretRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__EndSecretResponse, gatehouse__v1__end_secret_response__init);
    struct credential *credential = NULL;
    TRY(admin_load(admin, request->client_id, &credential));
    struct credential before = *credential;
    enum status status = credential_end_secret(&admin->work, credential, request->secret_id);
    if (status == STATUS_NOT_FOUND)
        return call_fail(admin_fails(admin), status, "NO_SUCH_SECRET", "the credential has no such secret key");
    TRY(status);
    TRY(admin_keep_administrator(admin));
    admin_tell_secrets(admin, &before, credential);
    response->credential = admin_credential(admin, credential);
    return STATUS_OK;
}

/* What GrantRoles and RevokeRoles do alike. */
static enum status change_roles(struct admin_call *admin, const char *client_id, const char *etag, size_t count,
                                char **ids, bool is_grant, struct credential **ret_credential)
{
    struct role_set roles, before, none = {0};
    TRY(admin_load_living(admin, client_id, etag, ret_credential));
    TRY(admin_read_roles(admin, count, ids, is_grant, &roles));
    before = (*ret_credential)->granted;
    TRY(credential_change_roles(&admin->work, *ret_credential, is_grant ? &roles : &none, is_grant ? &none : &roles));
    admin_tell_roles(admin, &before, &(*ret_credential)->granted);
    admin_tell_ended(admin);
    return STATUS_OK;
}

enum status grant_roles(struct admin_call *admin)
{
    const Gatehouse__V1__GrantRolesRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__GrantRolesResponse, gatehouse__v1__grant_roles_response__init);
    struct credential *credential = NULL;
    TRY(change_roles(admin, request->client_id, request->etag, request->n_roles, request->roles, true, &credential));
    admin->is_dry = request->validate_only;
    response->credential = admin_credential(admin, credential);
    return admin_impact(admin, credential->id, &response->impact);
}

enum status revoke_roles(struct admin_call *admin)
{
    const Gatehouse__V1__RevokeRolesRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__RevokeRolesResponse, gatehouse__v1__revoke_roles_response__init);
    struct credential *credential = NULL;
    TRY(change_roles(admin, request->client_id, request->etag, request->n_roles, request->roles, false, &credential));
    TRY(admin_keep_administrator(admin));
    admin->is_dry = request->validate_only;
    response->credential = admin_credential(admin, credential);
    return admin_impact(admin, credential->id, &response->impact);
}
