/* SPDX-License-Identifier: Apache-2.0 */
#include "api/admin.h"
#include "api/everywhere.h"
#include "api/watch.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT = 0, LONG = 1 };

/* In the order of the .proto; api_new checks that it is. */
static const struct admin_method methods[] = {
    {"CreateCredential", create_credential, SHORT, AS_STORED, NULL},
    {"GetCredential", get_credential, SHORT, FRESH, NULL},
    {"ListCredentials", list_credentials, SHORT, FRESH, NULL},
    {"UpdateCredential", update_credential, SHORT, FRESH, NULL},
    {"DeleteCredential", delete_credential, SHORT, FRESH, NULL},
    {"UndeleteCredential", undelete_credential, SHORT, AS_STORED, NULL},
    {"SuspendCredential", suspend_credential, SHORT, FRESH, NULL},
    {"ResumeCredential", resume_credential, SHORT, AS_STORED, NULL},
    {"RegenerateSecret", regenerate_secret, SHORT, FRESH, NULL},
    {"EndSecret", end_secret, SHORT, AS_STORED, NULL},
    {"GrantRoles", grant_roles, SHORT, FRESH, NULL},
    {"RevokeRoles", revoke_roles, SHORT, FRESH, NULL},
    {"ListRoles", list_roles, SHORT, AS_STORED, NULL},
    {"CreateRole", create_role, SHORT, AS_STORED, NULL},
    {"UpdateRole", update_role, SHORT, AS_STORED, NULL},
    {"SetUserRoles", set_user_roles, SHORT, FRESH, NULL},
    {"GetUser", get_user, SHORT, AS_STORED, NULL},
    {"ListUsers", list_users, SHORT, AS_STORED, NULL},
    {"DeleteUser", delete_user, SHORT, FRESH, NULL},
    {"ListTokens", list_tokens, SHORT, FRESH, NULL},
    {"EndToken", end_token, SHORT, FRESH, NULL},
    {"EndTokens", end_tokens, SHORT, FRESH, NULL},
    {"GetSettings", get_settings, SHORT, AS_STORED, NULL},
    {"UpdateSettings", update_settings, SHORT, EXACT, look_at_settings},
    {"QueryUsage", query_usage, LONG, FRESH, NULL},
    {"ListAuditEvents", list_audit_events, SHORT, FRESH, NULL},
    {"VerifyAuditLog", verify_audit_log, LONG, FRESH, NULL},
    {"GetServerStatus", get_server_status, SHORT, AS_STORED, NULL},
    {"GetCaller", get_caller, SHORT, AS_STORED, NULL},
};
enum { METHOD_COUNT = sizeof methods / sizeof methods[0] };

/* A field that many messages have, by the same name and type; NULL: this one has not. */
static void *find_field(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
    return field == NULL ? NULL : (char *)(uintptr_t)message + field->offset;
}

static void add_position(struct admin_call *admin)
{
    Gatehouse__V1__Position **field = find_field(admin->response, "position");
    if (field != NULL && !admin->is_dry && admin->work.position.revision > 0)
        *field = answer_position(arena_new(&admin->arena, Gatehouse__V1__Position), admin->work.position);
}

static void answer(struct admin_call *admin, enum status status)
{
    struct call *call = admin->calling.call;
    if (status != STATUS_OK)
        answer_failure(call, status);
    else
        add_position(admin);
    admin->closure(status == STATUS_OK ? admin->response : NULL, call);
    work_reset(&admin->work);
    arena_done(&admin->arena);
    free(admin);
}

static struct audit_event describe(struct admin_call *admin, enum status outcome)
{
    return (struct audit_event){
        .at = admin->work.now,
        .actor = admin->work.actor,
        .action = admin->method->name,
        .subject = admin->subject,
        .peer = admin->calling.call->peer,
        .request_id = admin->calling.call->request_id,
        .outcome = status_name(outcome),
        .detail = admin->detail,
    };
}

/* What methods have in common has the same name in each of their requests. */
static const void *request_member(const ProtobufCMessage *request, const char *name)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(request->descriptor, name);
    return field == NULL ? NULL : (const char *)request + field->offset;
}

static bool has_flag(const ProtobufCMessage *request, const char *name)
{
    const protobuf_c_boolean *flag = request_member(request, name);
    return flag != NULL && *flag;
}

static const char *text_of(const ProtobufCMessage *request, const char *name)
{
    char *const *text = request_member(request, name);
    return text == NULL ? "" : *text;
}

/* What each transaction of a call begins with. */
static enum status begin_tx(struct admin_call *admin, struct store_tx *tx)
{
    memset(&admin->calling.call->error, 0, sizeof admin->calling.call->error); /* of an earlier try */
    work_begin(&admin->work, tx);
    admin->is_dry = has_flag(admin->request, "validate_only");
    admin->is_replay = admin->is_unchanged = false;
    admin->recent.count = 0;
    admin->subject = admin->detail = "";
    return admin_find_request(admin, text_of(admin->request, "request_id"));
}

static enum status run_tx(struct store_tx *tx, void *arg)
{
    struct admin_call *admin = arg;
    TRY(begin_tx(admin, tx));
    enum status status = admin->method->fn(admin);
    if (status == STATUS_OK && !admin->is_dry && !admin->is_replay)
        status = admin_remember_request(admin, text_of(admin->request, "request_id"));
    if (status != STATUS_OK || admin->contract->is_read || admin->is_replay || admin->is_unchanged)
        return status;
    if (admin->is_dry)
        return STATUS_CANCELLED; /* so that nothing of it remains; run_done knows */
    struct audit_event event = describe(admin, STATUS_OK);
    return audit_row_append(tx, &event);
}

static void submit(struct admin_call *admin, enum store_kind kind, store_fn *fn, store_done_fn *done)
{
    const struct store_job job = {
        .kind = kind, .fn = fn, .done = done, .arg = admin, .waits = call_waits, .waiter = admin->calling.call};
    store_submit(admin->calling.api->domain->store, &job);
}

static enum status recent_tx(struct store_tx *tx, void *arg)
{
    struct admin_call *admin = arg;
    admin->work.tx = tx;
    return admin_add_recent(admin);
}

static void recent_done(enum status status, void *arg)
{
    answer(arg, status);
}

/* everywhere */

static bool is_everywhere(const struct admin_call *admin)
{
    const protobuf_c_boolean *field = find_field(admin->request, "everywhere");
    return field != NULL && *field && !admin->is_dry;
}

/* What had ended before is to be obeyed everywhere, too. */
static struct position known_position(const struct admin_call *admin)
{
    return admin->work.position.revision > 0 ? admin->work.position
                                             : ring_position(admin->calling.api->domain->memory->ring);
}

/* An everywhere_done_fn, of everywhere_wait: on the watch's thread or one of the store's. */
static void obeyed_everywhere(enum status status, int64_t took, void *arg)
{
    struct admin_call *admin = arg;
    Google__Protobuf__Duration **field = find_field(admin->response, "everywhere_after");
    if (status == STATUS_OK && field != NULL)
        *field = admin_duration(admin, took);
    answer(admin, everywhere_check(admin->calling.call, status));
}

static void run_done(enum status status, void *arg)
{
    struct admin_call *admin = arg;
    struct call *call = admin->calling.call;
    if (status == STATUS_CANCELLED && admin->is_dry)
        status = STATUS_OK;
    else if (status == STATUS_OK)
        work_apply(&admin->work);
    if (status != STATUS_OK && !admin->contract->is_read) {
        struct audit_event event = describe(admin, call->error.status == STATUS_OK ? status : call->error.status);
        event.detail = call->error.message;
        if (event.at == 0) /* it was not begun */
            event.at = clock_now(admin->calling.api->domain->clock);
        audit_queue_add(admin->calling.api->domain->memory->audit, &event);
        memory_note_news(admin->calling.api->domain->memory);
    }
    if (status == STATUS_OK && admin->recent.count > 0)
        submit(admin, STORE_READ_ADMIN, recent_tx, recent_done);
    else if (status == STATUS_OK && is_everywhere(admin))
        everywhere_wait(admin->calling.api, known_position(admin), obeyed_everywhere, admin);
    else
        answer(admin, status);
}

static void submit_method(struct admin_call *admin)
{
    enum store_kind read = admin->method->is_long ? STORE_READ_LONG : STORE_READ_ADMIN;
    submit(admin, admin->contract->is_read ? read : STORE_WRITE, run_tx, run_done);
}

static enum status look_tx(struct store_tx *tx, void *arg)
{
    struct admin_call *admin = arg;
    TRY(begin_tx(admin, tx));
    return admin->is_replay ? STATUS_OK : admin->method->look(admin);
}

static void look_done(enum status status, void *arg)
{
    struct admin_call *admin = arg;
    if (status == STATUS_OK)
        submit_method(admin);
    else
        run_done(status, admin);
}

/* A store_done_fn, of flush_begin: on the caller's thread or one of the store's. */
static void run(enum status status, void *arg)
{
    struct admin_call *admin = arg;
    (void)status; /* of the flush: if it failed, a write most probably will too, and a list tells what is stored */
    if (admin->method->look != NULL)
        submit(admin, STORE_READ_LONG, look_tx, look_done);
    else
        submit_method(admin);
}

/* May the caller change each field that it names? */
static enum status check_fields(struct admin_call *admin)
{
    const struct contract_message *input = admin->contract->input;
    struct call *call = admin->calling.call;
    for (size_t i = 0; i < contract_mask_count(input, admin->request); i++) {
        const struct contract_field *field = contract_masked(input, admin->request, i);
        const char *by = field == NULL || field->changed_by == NULL ? ROLE_USER_MANAGER : field->changed_by;
        if (field == NULL || admin->calling.caller.grade >= role_grade(by)) /* NULL: check_request says so */
            continue;
        const char *thing = input->resource->field->name, *name = field->field->name;
        enum status status = call_fail(call, STATUS_PERMISSION_DENIED, "FIELD_NOT_ALLOWED",
                                       "%s.%s may be changed only by a caller with the role %s", thing, name, by);
        snprintf(call->error.field, sizeof call->error.field, "%s.%s", thing, name);
        return status;
    }
    return STATUS_OK;
}

/* Does a credential ask for itself what its holder may ask for? Whether it does allow that, the method says. */
static bool is_own(const struct admin_call *admin)
{
    const struct caller *caller = &admin->calling.caller;
    char spelled[CLIENT_ID_TEXT_MAX + 1];
    if (admin->contract->or_holder == NULL || !caller->has_token || !caller->is_known ||
        caller->grade == GRADE_USER_MANAGER)
        return false;
    client_id_spell(text_of(admin->request, "client_id"), spelled);
    return strcmp(spelled, caller->name) == 0;
}

/* A caller_done_fn: on the call's thread, or one of the store's. The admin_call is its own from here on. */
static void caller_known(enum status status, struct calling *calling)
{
    struct admin_call *admin = (struct admin_call *)calling;
    admin->is_own = status == STATUS_OK && is_own(admin);
    if (status == STATUS_OK && !admin->is_own)
        status = caller_check(calling->api, calling->call, &calling->caller, admin->contract->requires);
    if (status != STATUS_OK) {
        answer(admin, status);
        return;
    }
    admin->work.actor = calling->caller.name;
    status = check_fields(admin);
    if (status == STATUS_OK)
        status = check_request(calling->call, admin->contract->input, admin->request);
    if (status != STATUS_OK) {
        run_done(status, admin);
        return;
    }
    struct flush *flush = admin->calling.api->domain->flush;
    const Google__Protobuf__FieldMask *const *mask = find_field(admin->request, "update_mask");
    bool has_limits = mask != NULL && *mask != NULL && admin_mask_has(*mask, "limits");
    if (admin->method->fresh == EXACT || has_limits) /* an idle timeout may change */
        flush_begin(flush, FLUSH_ALL, run, admin);
    else if (admin->method->fresh == FRESH)
        flush_begin(flush, admin->contract->is_read ? FLUSH_NEWS : FLUSH_NOTED, run, admin);
    else
        run(STATUS_OK, admin);
}

/* An invoke_fn, of current_invoke: the admin_call is made here, and is freed with the answer. */
static void invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                   ProtobufCClosure closure, void *closure_data)
{
    struct api *api = (struct api *)((char *)service - offsetof(struct api, admin));
    struct admin_call *admin = calloc(1, sizeof *admin);
    if (admin == NULL || method >= METHOD_COUNT)
        abort();
    admin->method = &methods[method];
    admin->contract = &api->admin_contract->methods[method];
    admin->request = request;
    admin->closure = closure;
    admin->work = domain_work(api->domain, &admin->arena, NULL);
    admin->calling.is_read = admin->contract->is_read;
    caller_resolve(&admin->calling, api, closure_data, caller_known);
}

void api_admin_invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                      ProtobufCClosure closure, void *closure_data)
{
    struct api *api = (struct api *)((char *)service - offsetof(struct api, admin));
    call_watch(closure_data);
    peer_resolve(&api->peer_trust, closure_data);
    current_invoke(api, true, invoke, service, method, request, closure, closure_data);
}

/* The composition of the services */

/* The services' destroy, which nobody calls. */
static void nothing(ProtobufCService *service)
{
    (void)service; /* api_free frees them */
}

struct api *api_new(const struct api_options *options)
{
    struct api *api = must(calloc(1, sizeof *api));
    api->auth = (ProtobufCService){&gatehouse__v1__auth_service__descriptor, api_auth_invoke, nothing};
    api->admin = (ProtobufCService){&gatehouse__v1__credential_admin__descriptor, api_admin_invoke, nothing};
    authorization_init(&api->authorization, &api->auth, options->gateway_identities);
    api->domain = options->domain;
    api->introspect_identities = options->introspect_identities;
    api->admin_identities = options->admin_identities;
    peer_trust_init(&api->peer_trust, options->peer_identities, options->trusted_proxies);
    api->auth_contract = contract_new(api->auth.descriptor);
    api->admin_contract = contract_new(api->admin.descriptor);
    crypto_random(&api->bearer_secret, sizeof api->bearer_secret);
    api->watch = watch_new(api, options->domain->cache_lease);
    for (unsigned i = 0; i < METHOD_COUNT; i++)
        if (api->admin.descriptor->n_methods != METHOD_COUNT ||
            strcmp(api->admin.descriptor->methods[i].name, methods[i].name) != 0)
            abort();
    return api;
}

void api_free(struct api *api)
{
    if (api == NULL)
        return;
    contract_free(api->auth_contract);
    contract_free(api->admin_contract);
    watch_free(api->watch);
    free(api->spare);
    peer_trust_done(&api->peer_trust);
    free(api);
}

ProtobufCService *api_auth_service(struct api *api)
{
    return &api->auth;
}

ProtobufCService *api_credential_admin(struct api *api)
{
    return &api->admin;
}

ProtobufCService *api_authorization(struct api *api)
{
    return &api->authorization.service;
}

uint64_t api_throttled(const struct api *api)
{
    return throttle_refused(api->domain->memory->throttle);
}

struct watch *api_watch(const struct api *api)
{
    return api->watch;
}
