/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: credentials and their roles. */
#include "api/admin.h"

#include <inttypes.h>
#include <string.h>

static enum status name_taken(struct admin_call *admin, enum status status)
{
    if (status == STATUS_ALREADY_EXISTS)
        return call_fail(admin_fails(admin), status, "NAME_TAKEN", "another credential has this name");
    return status;
}

/* Nobody is to lock himself out by a slip. */
static enum status check_own_address(struct admin_call *admin, const struct credential *credential)
{
    const struct caller *caller = &admin->calling.caller;
    struct source source = source_of(admin->calling.call->peer);
    if (!caller->has_token || strcmp(caller->name, credential->client_id) != 0 ||
        source_judge(&credential->sources, &source) != SOURCE_REFUSED)
        return STATUS_OK;
    return call_fail(admin_fails(admin), STATUS_FAILED_PRECONDITION, "OWN_ADDRESS",
                     "after this you could not call any more: your address is in none of the networks");
}

static enum status read_network(struct admin_call *admin, const char *text, struct network *ret_network)
{
    static const char field[] = "credential.addresses.networks";
    char meant[NETWORK_TEXT_MAX];
    switch (network_read(text, ret_network)) {
    case NETWORK_IS_ONE:
        break;
    case NETWORK_HAS_HOST_BITS:
        network_format(ret_network, meant);
        return call_fail_field(admin_fails(admin), field, "INVALID_FIELD",
                               "%s: %s has bits behind its length; the network is %s, the address alone %.*s", field,
                               text, meant, (int)strcspn(text, "/"), text);
    case NETWORK_IS_NONE:
        return call_fail_field(admin_fails(admin), field, "INVALID_FIELD",
                               "%s: %s is neither a network nor an IP address", field, text);
    }
    return STATUS_OK;
}

static enum status read_addresses(struct admin_call *admin, const Gatehouse__V1__SourceAddresses *wanted,
                                  struct source_rule *ret_sources)
{
    *ret_sources = (struct source_rule){.count = 0};
    if (wanted == NULL)
        return STATUS_OK;
    if (wanted->observe_only && wanted->n_networks == 0)
        return call_fail_field(admin_fails(admin), "credential.addresses.observe_only", "INVALID_FIELD",
                               "credential.addresses.observe_only: there are no networks to be observed");
    ret_sources->networks = arena_array(&admin->arena, struct network, wanted->n_networks);
    for (size_t i = 0; i < wanted->n_networks; i++)
        TRY(read_network(admin, wanted->networks[i], &ret_sources->networks[i]));
    ret_sources->count = source_tidy(ret_sources->networks, (int)wanted->n_networks);
    ret_sources->is_observed = wanted->observe_only;
    return ret_sources->count == 0 || ret_sources->is_observed ? STATUS_OK : admin_check_programs(admin);
}

static const char *addresses_text(struct admin_call *admin, const struct source_rule *sources)
{
    char networks[SOURCE_TEXT_MAX];
    source_format(sources, networks);
    return sources->count == 0
               ? "anywhere"
               : arena_format(&admin->arena, "%s%s", networks, sources->is_observed ? " (observed)" : "");
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
    credential->self_rotation = wanted->self_rotation;
    credential->contact = wanted->contact;
    credential->labels = admin_read_labels(admin, wanted->n_labels, wanted->labels);
    TRY(admin_read_limits(admin, wanted->limits, &credential->limits));
    TRY(admin_check_limits(admin, &credential->limits));
    return read_addresses(admin, wanted->addresses, &credential->sources);
}

enum status create_credential(struct admin_call *admin)
{
    const Gatehouse__V1__CreateCredentialRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__CreateCredentialResponse, gatehouse__v1__create_credential_response__init);
    struct credential *credential = arena_new(&admin->arena, struct credential);
    struct role_set roles;
    if (admin->is_replay) {
        TRY(admin_load(admin, admin->made, &credential));
        response->credential = admin_credential(admin, credential);
        return STATUS_OK;
    }
    TRY(read_new(admin, request, credential, &roles));
    char *secret = arena_alloc(&admin->arena, SECRET_TEXT_LEN + 1);
    TRY(name_taken(admin, credential_create(&admin->work, credential, &roles, secret)));
    admin->subject = arena_text(&admin->arena, credential->client_id);
    admin->detail = arena_format(&admin->arena, "name: %s; roles: %s", credential->name,
                                 admin_join(admin, request->n_roles, request->roles));
    admin_tell(admin, "self rotation", "no", credential->self_rotation ? "yes" : "no");
    admin_tell_text(admin, "contact", "", credential->contact);
    admin_tell_labels(admin, "", credential->labels);
    admin_tell_limits(admin, &credential->limits_stored, &credential->limits);
    admin_tell(admin, "addresses", "anywhere", addresses_text(admin, &credential->sources));
    response->credential = admin_credential(admin, credential);
    if (!admin->is_dry) {
        response->secret_key = secret;
        return STATUS_OK;
    }
    response->credential->client_id = ""; /* neither is there after this */
    response->credential->n_secrets = 0;
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

static enum status read_update(struct admin_call *admin, const Gatehouse__V1__UpdateCredentialRequest *request,
                               struct credential *credential)
{
    const Gatehouse__V1__Credential *wanted = request->credential;
    if (admin_mask_has(request->update_mask, "name"))
        credential->name = wanted->name;
    if (admin_mask_has(request->update_mask, "owner"))
        credential->owner = wanted->owner;
    if (admin_mask_has(request->update_mask, "self_rotation"))
        credential->self_rotation = wanted->self_rotation;
    if (admin_mask_has(request->update_mask, "contact"))
        credential->contact = wanted->contact;
    if (admin_mask_has(request->update_mask, "labels"))
        credential->labels = admin_read_labels(admin, wanted->n_labels, wanted->labels);
    if (admin_mask_has(request->update_mask, "expire_time")) {
        credential->expires = read_time(wanted->expire_time, 0);
        if (wanted->expire_time != NULL && credential->expires == 0) /* 1970 is in the past; 0 would mean never */
            credential->expires = 1;
    }
    if (admin_mask_has(request->update_mask, "limits")) {
        TRY(admin_read_limits(admin, wanted->limits, &credential->limits));
        TRY(admin_check_limits(admin, &credential->limits));
    }
    if (!admin_mask_has(request->update_mask, "addresses"))
        return STATUS_OK;
    TRY(read_addresses(admin, wanted->addresses, &credential->sources));
    return check_own_address(admin, credential);
}

enum status update_credential(struct admin_call *admin)
{
    const Gatehouse__V1__UpdateCredentialRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__UpdateCredentialResponse, gatehouse__v1__update_credential_response__init);
    struct credential *credential = NULL;
    TRY(admin_load_living(admin, request->credential->client_id, request->credential->etag, &credential));
    if (admin_is_answered(admin, credential, &response->credential))
        return STATUS_OK;
    struct credential before = *credential;
    TRY(read_update(admin, request, credential));
    admin_tell_text(admin, "name", before.name, credential->name);
    admin_tell_text(admin, "owner", before.owner, credential->owner);
    admin_tell_time(admin, "expires", before.expires, credential->expires);
    admin_tell(admin, "self rotation", before.self_rotation ? "yes" : "no", credential->self_rotation ? "yes" : "no");
    admin_tell_text(admin, "contact", before.contact, credential->contact);
    admin_tell_labels(admin, before.labels, credential->labels);
    admin_tell_limits(admin, &before.limits, &credential->limits);
    admin_tell(admin, "addresses", addresses_text(admin, &before.sources), addresses_text(admin, &credential->sources));
    if (admin->detail[0] != '\0')
        TRY(name_taken(admin, credential_update(&admin->work, credential)));
    TRY(admin_keep_administrator(admin));
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
    if (admin_is_answered(admin, credential, &response->credential))
        return STATUS_OK;
    TRY(credential_delete(&admin->work, credential));
    TRY(admin_keep_administrator(admin));
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
    TRY(admin_check_etag(admin, request->etag, credential->version));
    if (admin_is_answered(admin, credential, &response->credential))
        return STATUS_OK;
    if (credential->deleted == 0)
        return call_fail(admin_fails(admin), STATUS_FAILED_PRECONDITION, "NOT_DELETED",
                         "the credential is not deleted");
    TRY(name_taken(admin, credential_undelete(&admin->work, credential)));
    response->credential = admin_credential(admin, credential);
    return STATUS_OK;
}

/* What GrantRoles and RevokeRoles do alike. */
static enum status change_roles(struct admin_call *admin, const char *client_id, const char *etag, size_t count,
                                char **ids, bool is_grant, struct credential **ret_credential)
{
    struct role_set roles, before, none = {0};
    TRY(admin_load_living(admin, client_id, etag, ret_credential));
    if (admin->is_replay)
        return STATUS_OK;
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
    response->credential = admin_credential(admin, credential);
    return admin_impact(admin, credential->id, &response->impact);
}
