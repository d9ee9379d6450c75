/* SPDX-License-Identifier: Apache-2.0 */
#include "calls.h"

#include "facts.h"
#include "own.h"
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNER "owner"

const char *const sim_role_names[SIM_ROLES] = {"work_creator", "work_assigner", "team_leader"};

static const char *const names[CALL_KINDS] = {
    "IssueToken",       "IssueToken(old)",  "Introspect",         "Introspect(look)",  "Revoke",
    "EndToken",         "EndTokens",        "GrantRoles",         "RevokeRoles",       "SetUserRoles",
    "DeleteUser",       "DeleteCredential", "UndeleteCredential", "SuspendCredential", "ResumeCredential",
    "UpdateCredential", "RegenerateSecret", "UpdateSettings",     "CreateCredential",  "UpdateCredential",
    "UpdateCredential"};

const char *call_name(enum call_kind kind)
{
    return names[kind];
}

static char *text(struct sim_call *call, const char *from)
{
    return arena_text(&call->arena, from);
}

#define REQUEST(type, init) \
    type *request = arena_new(&call->arena, type); \
    init(request)

static Google__Protobuf__FieldMask *mask(struct sim_call *call, const char *path)
{
    Google__Protobuf__FieldMask *made = arena_new(&call->arena, Google__Protobuf__FieldMask);
    google__protobuf__field_mask__init(made);
    made->paths = arena_array(&call->arena, char *, 1);
    made->paths[0] = text(call, path);
    made->n_paths = 1;
    return made;
}

static char **roles_of(struct sim_call *call, int set, size_t *ret_count)
{
    char **roles = arena_array(&call->arena, char *, SIM_ROLES);
    *ret_count = 0;
    for (int i = 0; i < SIM_ROLES; i++)
        if ((set >> i & 1) != 0)
            roles[(*ret_count)++] = text(call, sim_role_names[i]);
    return roles;
}

static Google__Protobuf__Duration *duration(struct sim_call *call, int64_t microseconds)
{
    Google__Protobuf__Duration *made = arena_new(&call->arena, Google__Protobuf__Duration);
    google__protobuf__duration__init(made);
    made->seconds = microseconds / CLOCK_SECOND;
    return made;
}

static Google__Protobuf__Timestamp *timestamp(struct sim_call *call, int64_t time)
{
    Google__Protobuf__Timestamp *made = arena_new(&call->arena, Google__Protobuf__Timestamp);
    google__protobuf__timestamp__init(made);
    made->seconds = time / CLOCK_SECOND;
    made->nanos = (int32_t)(time % CLOCK_SECOND * 1000);
    return made;
}

static ProtobufCMessage *make_auth(struct sim_call *call)
{
    const struct model *model = &call->world->model;
    if (call->kind == CALL_ISSUE || call->kind == CALL_ISSUE_OLD) {
        const struct sim_credential *credential = &model->credentials[call->credential];
        REQUEST(Gatehouse__V1__IssueTokenRequest, gatehouse__v1__issue_token_request__init);
        request->client_id = text(call, credential->client_id);
        request->client_secret = text(call, call->kind == CALL_ISSUE ? credential->secret : credential->old_secret);
        return &request->base;
    }
    if (call->kind == CALL_REVOKE) {
        REQUEST(Gatehouse__V1__RevokeRequest, gatehouse__v1__revoke_request__init);
        request->token = text(call, model->tokens[call->token].text);
        request->everywhere = call->is_everywhere;
        return &request->base;
    }
    REQUEST(Gatehouse__V1__IntrospectRequest, gatehouse__v1__introspect_request__init);
    request->token = text(call, model->tokens[call->token].text);
    request->api = text(call, "GET /");
    request->no_touch = call->kind == CALL_LOOK;
    if (call->peer != NULL)
        request->peer = text(call, call->peer);
    return &request->base;
}

static ProtobufCMessage *make_of_roles(struct sim_call *call, char *client_id)
{
    if (call->kind == CALL_GRANT) {
        REQUEST(Gatehouse__V1__GrantRolesRequest, gatehouse__v1__grant_roles_request__init);
        request->everywhere = call->is_everywhere;
        request->client_id = client_id;
        request->roles = roles_of(call, 1 << call->role, &request->n_roles);
        return &request->base;
    }
    if (call->kind == CALL_REVOKE_ROLES) {
        REQUEST(Gatehouse__V1__RevokeRolesRequest, gatehouse__v1__revoke_roles_request__init);
        request->everywhere = call->is_everywhere;
        request->client_id = client_id;
        request->roles = roles_of(call, 1 << call->role, &request->n_roles);
        return &request->base;
    }
    if (call->kind == CALL_SET_USER) {
        REQUEST(Gatehouse__V1__SetUserRolesRequest, gatehouse__v1__set_user_roles_request__init);
        request->everywhere = call->is_everywhere;
        request->user = text(call, OWNER);
        request->roles = roles_of(call, call->role, &request->n_roles);
        return &request->base;
    }
    REQUEST(Gatehouse__V1__DeleteUserRequest, gatehouse__v1__delete_user_request__init);
    request->everywhere = call->is_everywhere;
    request->user = text(call, OWNER);
    return &request->base;
}

static ProtobufCMessage *make_of_credential(struct sim_call *call, char *client_id)
{
    if (call->kind == CALL_END_TOKENS) {
        REQUEST(Gatehouse__V1__EndTokensRequest, gatehouse__v1__end_tokens_request__init);
        request->everywhere = call->is_everywhere;
        request->client_id = client_id;
        return &request->base;
    }
    if (call->kind == CALL_DELETE) {
        REQUEST(Gatehouse__V1__DeleteCredentialRequest, gatehouse__v1__delete_credential_request__init);
        request->everywhere = call->is_everywhere;
        request->client_id = client_id;
        return &request->base;
    }
    if (call->kind == CALL_UNDELETE) {
        REQUEST(Gatehouse__V1__UndeleteCredentialRequest, gatehouse__v1__undelete_credential_request__init);
        request->client_id = client_id;
        return &request->base;
    }
    if (call->kind == CALL_SUSPEND) {
        REQUEST(Gatehouse__V1__SuspendCredentialRequest, gatehouse__v1__suspend_credential_request__init);
        request->everywhere = call->is_everywhere;
        request->client_id = client_id;
        return &request->base;
    }
    if (call->kind == CALL_RESUME) {
        REQUEST(Gatehouse__V1__ResumeCredentialRequest, gatehouse__v1__resume_credential_request__init);
        request->client_id = client_id;
        return &request->base;
    }
    if (call->kind == CALL_REGENERATE) {
        REQUEST(Gatehouse__V1__RegenerateSecretRequest, gatehouse__v1__regenerate_secret_request__init);
        request->everywhere = call->is_everywhere;
        request->client_id = client_id;
        return &request->base;
    }
    REQUEST(Gatehouse__V1__UpdateCredentialRequest, gatehouse__v1__update_credential_request__init);
    request->everywhere = call->is_everywhere;
    request->credential = arena_new(&call->arena, Gatehouse__V1__Credential);
    gatehouse__v1__credential__init(request->credential);
    request->credential->client_id = client_id;
    if (call->kind == CALL_LIMITS)
        request->credential->limits = own_limits_message(call);
    else if (call->kind == CALL_NETWORKS)
        request->credential->addresses = own_networks_message(call);
    else if (call->value != 0)
        request->credential->expire_time = timestamp(call, call->value);
    request->update_mask = mask(call, call->kind == CALL_LIMITS     ? "limits"
                                      : call->kind == CALL_NETWORKS ? "addresses"
                                                                    : "expire_time");
    return &request->base;
}

static ProtobufCMessage *make_create(struct sim_call *call)
{
    REQUEST(Gatehouse__V1__CreateCredentialRequest, gatehouse__v1__create_credential_request__init);
    request->credential = arena_new(&call->arena, Gatehouse__V1__Credential);
    gatehouse__v1__credential__init(request->credential);
    request->credential->name = arena_format(&call->arena, "credential %d", call->credential);
    if (call->world->model.credentials[call->credential].is_owned)
        request->credential->owner = text(call, OWNER);
    request->roles = roles_of(call, (1 << SIM_ROLES) - 1, &request->n_roles);
    return &request->base;
}

static ProtobufCMessage *make_admin(struct sim_call *call)
{
    struct model *model = &call->world->model;
    char *client_id = call->credential < 0 ? NULL : text(call, model->credentials[call->credential].client_id);
    if (call->kind == CALL_END_TOKEN) {
        REQUEST(Gatehouse__V1__EndTokenRequest, gatehouse__v1__end_token_request__init);
        request->everywhere = call->is_everywhere;
        request->accessor = text(call, model->tokens[call->token].accessor);
        return &request->base;
    }
    if (call->kind == CALL_SETTINGS) {
        REQUEST(Gatehouse__V1__UpdateSettingsRequest, gatehouse__v1__update_settings_request__init);
        request->settings = arena_new(&call->arena, Gatehouse__V1__Settings);
        gatehouse__v1__settings__init(request->settings);
        request->settings->idle_session_timeout = duration(call, call->value);
        request->update_mask = mask(call, "idle_session_timeout");
        return &request->base;
    }
    if (call->kind == CALL_CREATE)
        return make_create(call);
    if (call->kind == CALL_GRANT || call->kind == CALL_REVOKE_ROLES || call->kind == CALL_SET_USER ||
        call->kind == CALL_DELETE_USER)
        return make_of_roles(call, client_id);
    return make_of_credential(call, client_id);
}

/* Answers */

static void keep_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

static void read_answer(struct sim_call *call, const ProtobufCMessage *message)
{
    if (call->kind == CALL_ISSUE || call->kind == CALL_ISSUE_OLD) {
        const Gatehouse__V1__IssueTokenResponse *response = (const void *)message;
        keep_text(call->text, sizeof call->text, response->access_token);
        keep_text(call->accessor, sizeof call->accessor, response->accessor);
    } else if (call->kind == CALL_USE || call->kind == CALL_LOOK) {
        const Gatehouse__V1__IntrospectResponse *response = (const void *)message;
        call->is_active = response->active;
        call->revision = response->position == NULL ? 0 : response->position->revision;
        for (size_t i = 0; i < response->n_roles; i++)
            for (int role = 0; role < SIM_ROLES; role++)
                call->roles |= (strcmp(response->roles[i], sim_role_names[role]) == 0) << role;
        if (response->expire_time != NULL)
            call->expire_time = response->expire_time->seconds * CLOCK_SECOND + response->expire_time->nanos / 1000;
    } else if (call->kind == CALL_CREATE) {
        const Gatehouse__V1__CreateCredentialResponse *response = (const void *)message;
        keep_text(call->client_id, sizeof call->client_id, response->credential->client_id);
        keep_text(call->text, sizeof call->text, response->secret_key);
    } else if (call->kind == CALL_REGENERATE) {
        const Gatehouse__V1__RegenerateSecretResponse *response = (const void *)message;
        keep_text(call->text, sizeof call->text, response->secret_key);
    }
}

static void unlink_call(struct sim_call *call)
{
    struct sim_call **link = &call->world->calls;
    while (*link != call)
        link = &(*link)->next;
    *link = call->next;
}

static void answered(const ProtobufCMessage *message, void *closure_data)
{
    struct sim_call *call = closure_data;
    struct world *world = call->world;
    call->status = message != NULL ? STATUS_OK : call->call.error.status;
    if (call->is_dropped)
        call->status = STATUS_UNAVAILABLE;
    else if (message != NULL)
        read_answer(call, message);
    if (call->with != NULL && call->status == STATUS_OK)
        call->with(call, message);
    unlink_call(call);
    world->order++;
    world_note(world, (uint64_t)call->kind << 8 | (uint64_t)call->status << 1 | call->is_active);
    world_say(world, "%d %s #%llu token %d credential %d: %s%s%s", call->process->index, names[call->kind],
              (unsigned long long)call->begun, call->token, call->credential,
              call->is_dropped ? "lost" : status_name(call->status), call->is_active ? ", active" : "",
              call->status == STATUS_OK ? "" : call->call.error.reason);
    bool had_failed = world->has_failed;
    model_end(world, call);
    if (call->then != NULL)
        call->then(call);
    if (world->is_verbose && call->token >= 0 && (world->has_failed != had_failed || getenv("DESCRIBE") != NULL))
        facts_describe(world, call->token);
    arena_done(&call->arena);
    free(call);
}

/* A call's is_cancelled. */
static bool has_left(const struct call *of)
{
    struct sim_call *call = (struct sim_call *)(uintptr_t)of;
    if (call->patience > 1)
        call->patience--;
    return call->patience == 1;
}

void call_asks_for_all(struct sim_call *call)
{
    static const bool can[CALL_KINDS] = {
        [CALL_REVOKE] = true,       [CALL_END_TOKEN] = true,  [CALL_END_TOKENS] = true,  [CALL_GRANT] = true,
        [CALL_REVOKE_ROLES] = true, [CALL_SET_USER] = true,   [CALL_DELETE_USER] = true, [CALL_DELETE] = true,
        [CALL_EXPIRY] = true,       [CALL_REGENERATE] = true, [CALL_SUSPEND] = true,
    };
    call->is_everywhere = can[call->kind];
}

void call_loses_patience(struct sim_call *call)
{
    call->patience = 1 + random_below(4);
}

struct sim_call *call_make(struct world *world, int process, enum call_kind kind, int token, int credential)
{
    static const char *const identities[] = {"simulator", NULL};
    if (!world->processes[process].is_up || world->processes[process].is_stopping)
        return NULL;
    struct sim_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        abort();
    call->call = (struct call){
        .method = names[kind], .peer = "", .identities = identities, .deadline = INT64_MAX, .is_cancelled = has_left};
    call->world = world;
    call->process = &world->processes[process];
    call->incarnation = call->process->incarnation;
    call->kind = kind;
    call->token = token;
    call->credential = credential;
    return call;
}

static unsigned method_of(const ProtobufCService *service, const char *name)
{
    for (unsigned i = 0; i < service->descriptor->n_methods; i++)
        if (strcmp(service->descriptor->methods[i].name, name) == 0)
            return i;
    abort();
}

void call_begin(struct sim_call *call)
{
    static const char *const auth_names[] = {"IssueToken", "IssueToken", "Introspect", "Introspect", "Revoke"};
    struct world *world = call->world;
    bool is_auth = call->kind <= CALL_REVOKE;
    ProtobufCService *service =
        is_auth ? api_auth_service(call->process->api) : api_credential_admin(call->process->api);
    call->begun = ++world->order;
    call->begun_at = world->time;
    call->clock = clock_now(call->process->clock);
    call->clock_steps = call->process->clock_steps;
    call->was_right = world_is_right(world);
    call->failovers = world->model.failovers;
    call->next = world->calls;
    world->calls = call;
    int64_t ahead = call->clock - call->begun_at;
    world_say(world, "%d %s #%llu token %d credential %d value %lld begins%s", call->process->index, names[call->kind],
              (unsigned long long)call->begun, call->token, call->credential, (long long)call->value,
              ahead > CLOCK_SECOND    ? ", ahead"
              : ahead < -CLOCK_SECOND ? ", behind"
                                      : "");
    model_begin(world, call);
    unsigned method = method_of(service, is_auth ? auth_names[call->kind] : names[call->kind]);
    service->invoke(service, method, is_auth ? make_auth(call) : make_admin(call), answered, call);
}

bool call_has_one_clock(const struct sim_call *call)
{
    return call->clock_steps == call->process->clock_steps;
}

int64_t call_earliest(const struct sim_call *call)
{
    int64_t now = clock_now(call->process->clock), then = call->clock < call->begun_at ? call->clock : call->begun_at;
    return now < then ? now : then;
}

int64_t call_latest(const struct sim_call *call)
{
    int64_t now = clock_now(call->process->clock);
    if (!call_has_one_clock(call))
        return INT64_MAX / 2;
    return now > call->clock ? now : call->clock;
}
