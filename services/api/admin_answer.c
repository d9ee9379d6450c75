/* SPDX-License-Identifier: Apache-2.0 */
/* What answers are made of. */
#include "api/admin.h"
#include "domain/disuse.h"

#include <stdlib.h>
#include <string.h>

#define RECENT (30 * 24 * 3600 * CLOCK_SECOND)
enum { RECENT_ROWS = 20 };

char **admin_role_ids(struct admin_call *admin, const struct role_set *roles, size_t *ret_count)
{
    char *ids[ROLES_MAX];
    *ret_count = answer_roles(admin->calling.api->domain->memory->directory, roles, ids);
    char **copy = arena_array(&admin->arena, char *, *ret_count + 1);
    for (size_t i = 0; i < *ret_count; i++)
        copy[i] = ids[i];
    return copy;
}

char *admin_join(struct admin_call *admin, size_t count, char **words)
{
    char *text = arena_text(&admin->arena, count == 0 ? "none" : words[0]);
    for (size_t i = 1; i < count; i++)
        text = arena_format(&admin->arena, "%s, %s", text, words[i]);
    return text;
}

Google__Protobuf__Timestamp *admin_time(struct admin_call *admin, int64_t time)
{
    return time == 0 ? NULL : answer_time(arena_new(&admin->arena, Google__Protobuf__Timestamp), time);
}

Google__Protobuf__Duration *admin_duration(struct admin_call *admin, int64_t microseconds)
{
    return answer_duration(arena_new(&admin->arena, Google__Protobuf__Duration), microseconds);
}

/* One role of a credential, and what became of it. */
static Gatehouse__V1__GrantedRole *make_grant(struct admin_call *admin, const struct credential *credential,
                                              const struct credential_grant *grant)
{
    Gatehouse__V1__GrantedRole *message = arena_new(&admin->arena, Gatehouse__V1__GrantedRole);
    gatehouse__v1__granted_role__init(message);
    message->role =
        arena_text(&admin->arena, directory_role_id(admin->calling.api->domain->memory->directory, grant->role));
    message->grant_time = admin_time(admin, grant->granted);
    message->granted_by = arena_text(&admin->arena, grant->granted_by);
    if (grant->revoked != 0) {
        message->state = GATEHOUSE__V1__GRANTED_ROLE_STATE__GRANTED_ROLE_STATE_REVOKED;
        message->revoke_time = admin_time(admin, grant->revoked);
        message->revoked_by = arena_text(&admin->arena, grant->revoked_by);
    } else if (role_set_has(&credential->effective, grant->role)) {
        message->state = GATEHOUSE__V1__GRANTED_ROLE_STATE__GRANTED_ROLE_STATE_GRANTED;
    } else if (role_set_has(&credential->owner_had, grant->role)) {
        message->state = GATEHOUSE__V1__GRANTED_ROLE_STATE__GRANTED_ROLE_STATE_REVOKED_FROM_OWNER;
        message->revoke_time = admin_time(admin, credential->owner_revoked[grant->role]);
    } else {
        message->state = GATEHOUSE__V1__GRANTED_ROLE_STATE__GRANTED_ROLE_STATE_NOT_HELD_BY_OWNER;
    }
    return message;
}

/* For qsort: by the roles' ids. */
static int by_role(const void *a, const void *b)
{
    const Gatehouse__V1__GrantedRole *const *left = a, *const *right = b;
    return strcmp((*left)->role, (*right)->role);
}

static Gatehouse__V1__SecretInfo *make_secret(struct admin_call *admin, const struct credential_secret *secret)
{
    Gatehouse__V1__SecretInfo *message = arena_new(&admin->arena, Gatehouse__V1__SecretInfo);
    gatehouse__v1__secret_info__init(message);
    message->secret_id = secret->id;
    message->hint = arena_text(&admin->arena, secret->hint);
    message->create_time = admin_time(admin, secret->created);
    message->expire_time = admin_time(admin, secret->ends);
    message->last_use_time = admin_time(admin, secret->last_used);
    return message;
}

static Gatehouse__V1__CredentialStatus status_of(const struct credential *credential, int64_t now)
{
    switch (credential_state(credential->deleted, credential->suspended, credential->expires, now)) {
    case CREDENTIAL_DELETED:
        return GATEHOUSE__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_DELETED;
    case CREDENTIAL_EXPIRED:
        return GATEHOUSE__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_EXPIRED;
    case CREDENTIAL_SUSPENDED:
        return GATEHOUSE__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_SUSPENDED;
    case CREDENTIAL_LIVE:
        break;
    }
    return GATEHOUSE__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_ACTIVE;
}

static Gatehouse__V1__SourceAddresses *make_addresses(struct admin_call *admin, const struct source_rule *sources)
{
    if (sources->count == 0)
        return NULL;
    Gatehouse__V1__SourceAddresses *message = arena_new(&admin->arena, Gatehouse__V1__SourceAddresses);
    gatehouse__v1__source_addresses__init(message);
    message->n_networks = (size_t)sources->count;
    message->networks = arena_array(&admin->arena, char *, message->n_networks);
    for (size_t i = 0; i < message->n_networks; i++) {
        message->networks[i] = arena_alloc(&admin->arena, NETWORK_TEXT_MAX);
        network_format(&sources->networks[i], message->networks[i]);
    }
    message->observe_only = sources->is_observed;
    return message;
}

static void add_roles(struct admin_call *admin, const struct credential *credential, Gatehouse__V1__Credential *message)
{
    message->n_roles = (size_t)credential->grant_count;
    message->roles = arena_array(&admin->arena, Gatehouse__V1__GrantedRole *, message->n_roles + 1);
    for (size_t i = 0; i < message->n_roles; i++)
        message->roles[i] = make_grant(admin, credential, &credential->grants[i]);
    qsort(message->roles, message->n_roles, sizeof message->roles[0], by_role);
    message->effective_roles = admin_role_ids(admin, &credential->effective, &message->n_effective_roles);
}

Gatehouse__V1__Credential *admin_credential(struct admin_call *admin, const struct credential *credential)
{
    Gatehouse__V1__Credential *message = arena_new(&admin->arena, Gatehouse__V1__Credential);
    gatehouse__v1__credential__init(message);
    message->client_id = arena_text(&admin->arena, credential->client_id);
    message->name = arena_text(&admin->arena, credential->name);
    message->owner = arena_text(&admin->arena, credential->owner);
    message->created_by = arena_text(&admin->arena, credential->created_by);
    message->etag = admin_etag(admin, credential->version);
    message->status = status_of(credential, admin->work.now);
    message->expire_time = admin_time(admin, credential->expires);
    message->create_time = admin_time(admin, credential->created);
    message->update_time = admin_time(admin, credential->updated);
    message->delete_time = admin_time(admin, credential->deleted);
    message->last_use_time = admin_time(admin, credential->last_used);
    message->self_rotation = credential->self_rotation;
    message->contact = arena_text(&admin->arena, credential->contact);
    message->labels = admin_labels(admin, credential->labels, &message->n_labels);
    message->limits = admin_limits(admin, credential);
    message->addresses = make_addresses(admin, &credential->sources);
    message->last_use_from = arena_text(&admin->arena, credential->last_from);
    struct settings settings = memory_settings(admin->calling.api->domain->memory);
    if (credential->deleted != 0)
        message->purge_time = admin_time(admin, credential->deleted + settings.deletion_retention);
    message->suspend_time = admin_time(admin, credential->suspended);
    if (message->status == GATEHOUSE__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_ACTIVE)
        message->unused_suspend_time = admin_time(admin, disuse_suspends_at(credential, &settings));
    add_roles(admin, credential, message);
    message->secrets = arena_array(&admin->arena, Gatehouse__V1__SecretInfo *, SECRETS_MAX);
    for (int i = 0; i < credential->secret_count; i++)
        if (!secret_has_ended(credential->secrets[i].ends, admin->work.now))
            message->secrets[message->n_secrets++] = make_secret(admin, &credential->secrets[i]);
    return message;
}

Gatehouse__V1__Credential *admin_credential_own(struct admin_call *admin, const struct credential *credential)
{
    const Gatehouse__V1__Credential *all = admin_credential(admin, credential);
    Gatehouse__V1__Credential *own = arena_new(&admin->arena, Gatehouse__V1__Credential);
    gatehouse__v1__credential__init(own);
    own->client_id = all->client_id;
    own->name = all->name;
    own->owner = all->owner;
    own->expire_time = all->expire_time;
    own->n_effective_roles = all->n_effective_roles;
    own->effective_roles = all->effective_roles;
    own->status = all->status;
    return own;
}

Gatehouse__V1__UsageRow *admin_usage_row(struct admin_call *admin, const struct usage_total *total)
{
    Gatehouse__V1__UsageRow *row = arena_new(&admin->arena, Gatehouse__V1__UsageRow);
    gatehouse__v1__usage_row__init(row);
    if (total->credential_id != 0) {
        struct directory *directory = admin->calling.api->domain->memory->directory;
        struct credential_facts facts;
        uint64_t turn;
        do {
            turn = directory_begin(directory);
            const struct credential_entry *entry = directory_find_id(directory, total->credential_id);
            row->client_id = arena_text(&admin->arena, entry == NULL ? "" : directory_client_id(entry));
            row->credential_name = arena_text(&admin->arena, entry == NULL ? "" : directory_facts(entry, &facts)->name);
        } while (!directory_end(directory, turn));
    }
    row->api = arena_text(&admin->arena, total->api);
    row->start_time = admin_time(admin, total->start);
    row->allowed = total->allowed;
    row->denied = total->denied;
    row->observed = total->observed;
    row->first_use_time = admin_time(admin, total->first_used);
    row->last_use_time = admin_time(admin, total->last_used);
    return row;
}

struct recent {
    struct admin_call *admin;
    Gatehouse__V1__Impact *impact;
};

/* A usage_each_fn, of admin_add_recent. */
static enum status add_recent(const struct usage_total *total, void *arg)
{
    struct recent *recent = arg;
    if (total->allowed + total->denied == 0) /* nothing but observed: no call that a token makes */
        return STATUS_OK;
    recent->impact->recent_usage[recent->impact->n_recent_usage++] = admin_usage_row(recent->admin, total);
    return STATUS_OK;
}

enum status admin_impact(struct admin_call *admin, int64_t credential_id, Gatehouse__V1__Impact **ret_impact)
{
    Gatehouse__V1__Impact *impact = arena_new(&admin->arena, Gatehouse__V1__Impact);
    gatehouse__v1__impact__init(impact);
    impact->tokens_ended = admin->work.tokens_ended;
    impact->credentials_affected = admin->work.credentials_affected;
    *ret_impact = admin->impact = impact;
    if (!admin->is_dry || admin->recent.count > 0)
        return STATUS_OK;
    admin->recent.ids = arena_array(&admin->arena, int64_t, credential_id == 0 ? RECENT_CREDENTIALS : 1);
    admin->recent.ids[0] = credential_id;
    admin->recent.count =
        credential_id == 0 ? work_credentials(&admin->work, admin->recent.ids, RECENT_CREDENTIALS) : 1;
    return STATUS_OK;
}

enum status admin_add_recent(struct admin_call *admin)
{
    Gatehouse__V1__Impact *impact = admin->impact;
    impact->n_recent_usage = 0;
    impact->recent_usage = arena_array(&admin->arena, Gatehouse__V1__UsageRow *, RECENT_ROWS);
    struct recent recent = {admin, impact};
    struct usage_query query = {
        .credentials = admin->recent.ids,
        .credential_count = admin->recent.count,
        .by_credential = admin->recent.count > 1,
        .api = "",
        .start = admin->work.now - RECENT,
        .end = admin->work.now,
        .by_api = true,
        .order = USAGE_BY_CALLS,
        .has_internal = true,
        .limit = RECENT_ROWS,
    };
    return usage_row_query(admin->work.tx, &query, add_recent, &recent);
}
