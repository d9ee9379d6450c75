/* SPDX-License-Identifier: Apache-2.0 */
/* AuthService: each method checks its request, asks the domain, and answers at once or from a thread of the store. */
#include "api/internal.h"
#include "base/must.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    REQUIRED_MAX = 32,
    BATCH_MAX = 100,
    USE_COUNT_MAX = 1000000,
};

/* Introspect */

struct introspect_answer {
    Gatehouse__V1__IntrospectResponse message;
    Google__Protobuf__Timestamp issue_time;
    Google__Protobuf__Timestamp expire_time;
    Google__Protobuf__Duration idle_timeout;
    char accessor[TOKEN_ACCESSOR_LEN + 1];
    char *missing[REQUIRED_MAX];
    char *roles[ROLES_MAX];
};

static enum status read_used_ago(struct api *api, struct call *call, const Gatehouse__V1__IntrospectRequest *request,
                                 struct introspection *question)
{
    struct settings settings = memory_settings(api->domain->memory);
    return check_duration(call, "used_ago", request->used_ago, 0, settings.idle_timeout, 0, &question->used_ago);
}

static bool has_client(const Gatehouse__V1__IntrospectRequest *request)
{
    return request->client_id[0] != '\0' || request->client_secret[0] != '\0';
}

static enum status read_introspect(struct api *api, struct call *call, const Gatehouse__V1__IntrospectRequest *request,
                                   bool is_batch, struct introspection *question)
{
    TRY(check_text(call, "api", request->api, API_MAX));
    if (is_batch && has_client(request))
        return call_fail_field(call, "client_id", "INVALID_FIELD", "in a batch the caller authenticates by metadata");
    if (request->token[0] == '\0')
        return call_fail_field(call, "token", "INVALID_FIELD", "token is empty");
    if (request->n_required_roles > REQUIRED_MAX)
        return call_fail_field(call, "required_roles", "INVALID_FIELD", "more than %d required roles", REQUIRED_MAX);
    if (request->use_count < 0 || request->use_count > USE_COUNT_MAX)
        return call_fail_field(call, "use_count", "INVALID_FIELD", "use_count must be from 0 to %d", USE_COUNT_MAX);
    if (request->used_ago != NULL)
        TRY(read_used_ago(api, call, request, question));
    for (size_t i = 0; i < request->n_required_roles; i++) {
        TRY(check_length(call, "required_roles", request->required_roles[i], ROLE_ID_MAX));
        int role = directory_role_number(api->domain->memory->directory, request->required_roles[i]);
        if (role < 0)
            question->requires_unknown = true;
        else
            role_set_add(&question->required, role);
    }
    question->is_token = token_text_parse(request->token, &question->key);
    question->api = request->api;
    question->is_use = !request->no_touch;
    question->use_count = request->use_count == 0 ? 1 : request->use_count;
    return STATUS_OK;
}

static void list_missing(struct directory *directory, const struct introspection *introspection,
                         const Gatehouse__V1__IntrospectRequest *request, struct introspect_answer *answer)
{
    for (size_t i = 0; i < request->n_required_roles; i++) {
        int role = directory_role_number(directory, request->required_roles[i]);
        if (role < 0 || !role_set_has(&introspection->roles, role))
            answer->missing[answer->message.n_missing_roles++] = request->required_roles[i];
    }
    answer->message.missing_roles = answer->missing;
}

static void make_answer(struct directory *directory, const struct introspection *introspection,
                        const Gatehouse__V1__IntrospectRequest *request, struct introspect_answer *answer)
{
    Gatehouse__V1__IntrospectResponse *message = &answer->message;
    gatehouse__v1__introspect_response__init(message);
    message->active = introspection->is_active;
    if (!introspection->is_active)
        return;
    message->allowed = introspection->is_allowed;
    message->client_id = (char *)(uintptr_t)introspection->client_id;
    message->credential_name = (char *)(uintptr_t)introspection->name;
    message->owner = (char *)(uintptr_t)introspection->owner;
    message->n_roles = answer_roles(directory, &introspection->roles, answer->roles);
    message->roles = answer->roles;
    list_missing(directory, introspection, request, answer);
    message->issue_time = answer_time(&answer->issue_time, introspection->issued);
    message->expire_time = answer_time(&answer->expire_time, introspection->expires);
    message->idle_timeout = answer_duration(&answer->idle_timeout, introspection->idle_timeout);
    message->revision = introspection->revision;
    token_key_format(&introspection->key, answer->accessor);
    message->accessor = answer->accessor;
}

/* One Introspect, or a batch, on its way. */
struct introspecting {
    struct calling calling; /* first: it is what caller_resolve gives back */
    ProtobufCClosure closure;
    const ProtobufCMessage *request;
    bool is_batch;
    size_t count;
    _Atomic size_t waiting;
    _Atomic int failure;
    struct introspection *questions;
    struct introspection single;
};

static struct introspecting *introspecting_new(struct api *api)
{
    struct introspecting *introspecting = atomic_exchange(&api->spare, NULL);
    if (introspecting == NULL)
        introspecting = must(malloc(sizeof *introspecting));
    introspecting->failure = STATUS_OK;
    return introspecting;
}

static void introspecting_free(struct introspecting *introspecting)
{
    if (introspecting->questions != &introspecting->single)
        free(introspecting->questions);
    free(atomic_exchange(&introspecting->calling.api->spare, introspecting));
}

static const Gatehouse__V1__IntrospectRequest *request_at(const struct introspecting *introspecting, size_t i)
{
    if (introspecting->is_batch)
        return ((const Gatehouse__V1__BatchIntrospectRequest *)introspecting->request)->requests[i];
    return (const Gatehouse__V1__IntrospectRequest *)introspecting->request;
}

static void answer_batch(struct introspecting *introspecting)
{
    Gatehouse__V1__BatchIntrospectResponse response = GATEHOUSE__V1__BATCH_INTROSPECT_RESPONSE__INIT;
    struct directory *directory = introspecting->calling.api->domain->memory->directory;
    size_t count = introspecting->count;
    struct introspect_answer *answers = must(calloc(count, sizeof *answers));
    Gatehouse__V1__IntrospectResponse *messages[BATCH_MAX];
    for (size_t i = 0; i < count; i++) {
        make_answer(directory, &introspecting->questions[i], request_at(introspecting, i), &answers[i]);
        messages[i] = &answers[i].message;
    }
    response.n_responses = count;
    response.responses = messages;
    introspecting->closure(&response.base, introspecting->calling.call);
    free(answers);
}

static void answer_introspecting(struct introspecting *introspecting)
{
    struct call *call = introspecting->calling.call;
    if (introspecting->failure != STATUS_OK) {
        answer_failure(call, (enum status)introspecting->failure);
        introspecting->closure(NULL, call);
    } else if (introspecting->is_batch) {
        answer_batch(introspecting);
    } else {
        struct introspect_answer answer;
        answer.message.n_missing_roles = 0;
        make_answer(introspecting->calling.api->domain->memory->directory, &introspecting->single,
                    request_at(introspecting, 0), &answer);
        introspecting->closure(&answer.message.base, call);
    }
    introspecting_free(introspecting);
}

static void one_loaded(enum status status, struct introspection *question)
{
    struct introspecting *introspecting = question->arg;
    if (status != STATUS_OK)
        introspecting->failure = (int)status;
    if (--introspecting->waiting == 0)
        answer_introspecting(introspecting);
}

static enum status check_introspecting(struct introspecting *introspecting)
{
    struct calling *calling = &introspecting->calling;
    TRY(caller_check(calling->api, calling->call, &calling->caller, CALLER_MAY_INTROSPECT));
    for (size_t i = 0; i < introspecting->count; i++)
        TRY(read_introspect(calling->api, calling->call, request_at(introspecting, i), introspecting->is_batch,
                            &introspecting->questions[i]));
    return STATUS_OK;
}

static void ask_questions(struct introspecting *introspecting)
{
    struct domain *domain = introspecting->calling.api->domain;
    struct introspection *missing[BATCH_MAX];
    size_t missing_count = 0;
    for (size_t i = 0; i < introspecting->count; i++)
        if (!introspect_in_memory(&domain->introspect, &introspecting->questions[i], introspecting->calling.now))
            missing[missing_count++] = &introspecting->questions[i];
    introspecting->waiting = missing_count;
    if (missing_count == 0) {
        answer_introspecting(introspecting);
        return;
    }
    for (size_t i = 0; i < missing_count; i++) {
        missing[i]->waits = call_waits;
        missing[i]->waiter = introspecting->calling.call;
        missing[i]->arg = introspecting;
        introspect_in_store(&domain->introspect, missing[i], one_loaded);
    }
}

static void introspect_caller_known(enum status status, struct calling *calling)
{
    struct introspecting *introspecting = (struct introspecting *)calling;
    if (status == STATUS_OK)
        status = check_introspecting(introspecting);
    if (status == STATUS_OK) {
        ask_questions(introspecting);
    } else {
        introspecting->failure = (int)status;
        answer_introspecting(introspecting);
    }
}

static enum status introspect(struct api *api, struct call *call, const ProtobufCMessage *request, bool is_batch,
                              ProtobufCClosure closure)
{
    size_t count = is_batch ? ((const Gatehouse__V1__BatchIntrospectRequest *)request)->n_requests : 1;
    if (count == 0 || count > BATCH_MAX)
        return call_fail_field(call, "requests", "INVALID_FIELD", "a batch holds 1 to %d requests", BATCH_MAX);
    struct introspecting *introspecting = introspecting_new(api);
    introspecting->closure = closure;
    introspecting->request = request;
    introspecting->is_batch = is_batch;
    introspecting->count = count;
    introspecting->questions =
        is_batch ? must(malloc(count * sizeof *introspecting->questions)) : &introspecting->single;
    for (size_t i = 0; i < count; i++)
        introspection_init(&introspecting->questions[i]);
    const Gatehouse__V1__IntrospectRequest *first = request_at(introspecting, 0);
    struct calling *calling = &introspecting->calling;
    if (!is_batch && has_client(first))
        introspect_caller_known(caller_authenticate(calling, api, call, first->client_id, first->client_secret),
                                calling);
    else
        caller_resolve(calling, api, call, introspect_caller_known);
    return STATUS_OK;
}

/* Which method is which follows from their order in the .proto. */
enum { METHOD_ISSUE_TOKEN, METHOD_INTROSPECT, METHOD_BATCH_INTROSPECT, METHOD_REVOKE };

static void invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                   ProtobufCClosure closure, void *closure_data)
{
    struct api *api = (struct api *)((char *)service - offsetof(struct api, auth));
    struct call *call = closure_data;
    enum status status = STATUS_UNIMPLEMENTED;
    switch (method) {
    case METHOD_ISSUE_TOKEN:
        status = auth_issue_token(api, call, (const Gatehouse__V1__IssueTokenRequest *)request, closure);
        break;
    case METHOD_INTROSPECT:
        status = introspect(api, call, request, false, closure);
        break;
    case METHOD_BATCH_INTROSPECT:
        status = introspect(api, call, request, true, closure);
        break;
    case METHOD_REVOKE:
        status = auth_revoke(api, call, (const Gatehouse__V1__RevokeRequest *)request, closure);
        break;
    }
    if (status != STATUS_OK) /* it was refused before anything was started */
        closure(NULL, call);
}

/* Does a client show its secret key, and is it wrong as far as is known here? Another replica may just have made it. */
static bool is_of_unknown_client(struct api *api, unsigned method, const ProtobufCMessage *request)
{
    const char *client_id = "", *secret = "";
    if (api->domain->follow == NULL)
        return false;
    if (method == METHOD_ISSUE_TOKEN) {
        const Gatehouse__V1__IssueTokenRequest *issue = (const Gatehouse__V1__IssueTokenRequest *)request;
        client_id = issue->client_id;
        secret = issue->client_secret;
    } else if (method == METHOD_REVOKE) {
        const Gatehouse__V1__RevokeRequest *revoke_request = (const Gatehouse__V1__RevokeRequest *)request;
        client_id = revoke_request->client_id;
        secret = revoke_request->client_secret;
    } else if (method == METHOD_INTROSPECT) {
        const Gatehouse__V1__IntrospectRequest *introspect_request = (const Gatehouse__V1__IntrospectRequest *)request;
        client_id = introspect_request->client_id;
        secret = introspect_request->client_secret;
    }
    return client_id[0] != '\0' && !client_is_known(api, client_id, secret);
}

void auth_invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request, ProtobufCClosure closure,
                 void *closure_data)
{
    struct api *api = (struct api *)((char *)service - offsetof(struct api, auth));
    if (method == METHOD_ISSUE_TOKEN)
        call_watch(closure_data);
    peer_resolve(api, closure_data);
    current_invoke(api, is_of_unknown_client(api, method, request), invoke, service, method, request, closure,
                   closure_data);
}
