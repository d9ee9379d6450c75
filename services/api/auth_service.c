/* SPDX-License-Identifier: Apache-2.0 */
/* AuthService: each method checks its request, asks the domain, and answers at once or from a thread of the store. */
#include "api/internal.h"
#include "log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOKEN_MAX = 512,
    SCOPES_MAX = 64,
    REQUIRED_MAX = 32,
    BATCH_MAX = 100,
    USE_COUNT_MAX = 1000000,
};

static void *checked(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

/* IssueToken */

struct issuing {
    struct api *api;
    struct call *call;
    ProtobufCClosure closure;
    struct client client;
    struct token_row row;
    uint64_t generation;
    int64_t expires_in;
    int64_t max_tokens;
    struct token_limits limits;
    char text[TOKEN_TEXT_LEN + 1];
};

static enum status read_scopes(struct api *api, struct call *call, const Gatehouse__V1__IssueTokenRequest *request,
                               const struct client *client, struct token_row *row)
{
    if (request->n_scopes > SCOPES_MAX)
        return call_fail_field(call, "scopes", "INVALID_FIELD", "more than %d scopes", SCOPES_MAX);
    for (size_t i = 0; i < request->n_scopes; i++) {
        TRY(check_length(call, "scopes", request->scopes[i], ROLE_ID_MAX));
        int role = directory_role_number(api->domain->directory, request->scopes[i]);
        if (role < 0 || !role_set_has(&client->effective, role))
            return call_fail(call, STATUS_INVALID_ARGUMENT, "INVALID_SCOPE",
                             "a scope names a role that the credential does not hold");
        role_set_add(&row->roles, role);
    }
    row->is_narrowed = request->n_scopes > 0;
    return STATUS_OK;
}

static enum status insert_tx(struct store_tx *tx, void *arg)
{
    struct issuing *issuing = arg;
    const struct token_row *row = &issuing->row;
    if (issuing->max_tokens > 0) {
        int64_t live = 0;
        TRY(token_count_live(tx, row->credential_id, row->epoch, &issuing->limits, &live));
        if (live >= issuing->max_tokens)
            return STATUS_RESOURCE_EXHAUSTED;
    }
    return token_insert(tx, row);
}

static void answer_issued(struct issuing *issuing)
{
    Gatehouse__V1__IssueTokenResponse response = GATEHOUSE__V1__ISSUE_TOKEN_RESPONSE__INIT;
    Google__Protobuf__Duration expires_in;
    char accessor[TOKEN_ACCESSOR_LEN + 1], *scopes[ROLES_MAX];
    static char bearer[] = "Bearer";
    const struct role_set *roles = issuing->row.is_narrowed ? &issuing->row.roles : &issuing->client.effective;
    response.access_token = issuing->text;
    response.token_type = bearer;
    response.expires_in = answer_duration(&expires_in, issuing->expires_in);
    response.n_scopes = answer_roles(issuing->api->domain->directory, roles, scopes);
    response.scopes = scopes;
    token_key_format(&issuing->row.key, accessor);
    response.accessor = accessor;
    issuing->closure(&response.base, issuing->call);
}

static void insert_done(enum status status, void *arg)
{
    struct issuing *issuing = arg;
    if (status == STATUS_OK) {
        struct token_facts facts = {
            .key = issuing->row.key,
            .credential = issuing->client.facts,
            .last_used = issuing->row.last_used,
            .epoch = issuing->row.epoch,
            .is_narrowed = issuing->row.is_narrowed,
            .roles = issuing->row.roles,
        };
        token_table_put(issuing->api->domain->tokens, &facts, issuing->generation, false, 0);
        answer_issued(issuing);
    } else {
        if (status == STATUS_RESOURCE_EXHAUSTED)
            status = call_fail_retry(issuing->call, status, "TOO_MANY_TOKENS", 60000,
                                     "the credential has as many live tokens as it may have");
        answer_failure(issuing->call, status);
        issuing->closure(NULL, issuing->call);
    }
    crypto_wipe(issuing->text, sizeof issuing->text);
    free(issuing);
}

static enum status issue_token(struct api *api, struct call *call, const Gatehouse__V1__IssueTokenRequest *request,
                               ProtobufCClosure closure)
{
    struct client client;
    struct token_row row = {.is_narrowed = false};
    TRY(client_authenticate(api, call, request->client_id, request->client_secret, &client));
    TRY(read_scopes(api, call, request, &client, &row));
    struct domain *domain = api->domain;
    struct issuing *issuing = checked(calloc(1, sizeof *issuing));
    int64_t now = clock_now(domain->clock);
    issuing->api = api;
    issuing->call = call;
    issuing->closure = closure;
    issuing->client = client;
    issuing->row = row;
    issuing->row.credential_id = client.credential_id;
    issuing->row.epoch = client.epoch;
    issuing->row.last_used = now;
    token_text_new(now, issuing->text);
    if (!token_text_parse(issuing->text, &issuing->row.key))
        abort();
    directory_lock(domain->directory);
    const struct settings *settings = directory_settings(domain->directory);
    issuing->max_tokens = settings->max_tokens;
    issuing->limits = settings_limits(settings, now);
    issuing->expires_in = settings->idle_timeout;
    if (settings->max_token_life != 0 && settings->max_token_life < issuing->expires_in)
        issuing->expires_in = settings->max_token_life;
    directory_unlock(domain->directory);
    if (issuing->max_tokens > 0) /* so that uses noted in memory count */
        domain_flush(domain, NULL, NULL);
    struct token_facts none;
    token_table_get(domain->tokens, &issuing->row.key, &none, &issuing->generation);
    if (issuing->max_tokens > 0) /* counting and inserting is one step */
        store_write(domain->store, insert_tx, insert_done, issuing);
    else
        store_write_beside(domain->store, insert_tx, insert_done, issuing);
    return STATUS_OK;
}

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
    directory_lock(api->domain->directory);
    int64_t idle_timeout = directory_settings(api->domain->directory)->idle_timeout;
    directory_unlock(api->domain->directory);
    return check_duration(call, "used_ago", request->used_ago, 0, idle_timeout, 0, &question->used_ago);
}

static bool has_client(const Gatehouse__V1__IntrospectRequest *request)
{
    return request->client_id[0] != '\0' || request->client_secret[0] != '\0';
}

static enum status read_introspect(struct api *api, struct call *call, const Gatehouse__V1__IntrospectRequest *request,
                                   bool is_batch, struct introspection *question)
{
    TRY(check_length(call, "token", request->token, TOKEN_MAX));
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
        int role = directory_role_number(api->domain->directory, request->required_roles[i]);
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
        introspecting = checked(malloc(sizeof *introspecting));
    memset(introspecting, 0, sizeof *introspecting);
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
    struct directory *directory = introspecting->calling.api->domain->directory;
    size_t count = introspecting->count;
    struct introspect_answer *answers = checked(calloc(count, sizeof *answers));
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
        make_answer(introspecting->calling.api->domain->directory, &introspecting->single, request_at(introspecting, 0),
                    &answer);
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
        if (!introspect_in_memory(domain, &introspecting->questions[i]))
            missing[missing_count++] = &introspecting->questions[i];
    introspecting->waiting = missing_count;
    if (missing_count == 0) {
        answer_introspecting(introspecting);
        return;
    }
    for (size_t i = 0; i < missing_count; i++) {
        missing[i]->arg = introspecting;
        introspect_in_store(domain, missing[i], one_loaded);
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
        is_batch ? checked(calloc(count, sizeof *introspecting->questions)) : &introspecting->single;
    const Gatehouse__V1__IntrospectRequest *first = request_at(introspecting, 0);
    struct calling *calling = &introspecting->calling;
    if (!is_batch && has_client(first))
        introspect_caller_known(caller_authenticate(calling, api, call, first->client_id, first->client_secret),
                                calling);
    else
        caller_resolve(calling, api, call, introspect_caller_known);
    return STATUS_OK;
}

/* Revoke */

struct revoking {
    struct calling calling; /* first: it is what caller_resolve gives back */
    ProtobufCClosure closure;
    const Gatehouse__V1__RevokeRequest *request;
    struct work work;
    struct arena arena;
    struct token_key key;
    bool has_client; /* it authenticated as `client` */
    struct client client;
    bool is_own; /* the token is the caller's */
};

static enum status check_revoker(const struct revoking *revoking, const struct token_row *row)
{
    bool is_anothers = revoking->has_client && row->credential_id != revoking->client.credential_id;
    return is_anothers ? STATUS_PERMISSION_DENIED : STATUS_OK;
}

/* An administrator ended somebody's token. That a client ends its own is no event. */
static enum status audit_revocation(struct revoking *revoking, struct store_tx *tx)
{
    const struct call *call = revoking->calling.call;
    char accessor[TOKEN_ACCESSOR_LEN + 1];
    token_key_format(&revoking->key, accessor);
    return audit_append(tx, &(struct audit_event){
                                .at = revoking->work.now,
                                .actor = revoking->work.actor,
                                .action = "Revoke",
                                .subject = accessor,
                                .peer = call->peer,
                                .request_id = call->request_id,
                                .outcome = status_name(STATUS_OK),
                            });
}

static enum status revoke_tx(struct store_tx *tx, void *arg)
{
    struct revoking *revoking = arg;
    struct work *work = &revoking->work;
    struct token_row row;
    work_reset(work);
    work->tx = tx;
    work->now = clock_now(work->domain->clock);
    enum status status = token_load(tx, &revoking->key, &row);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    TRY(status);
    TRY(check_revoker(revoking, &row));
    bool was_live = false;
    TRY(token_end(work, &revoking->key, &was_live));
    return revoking->is_own ? STATUS_OK : audit_revocation(revoking, tx);
}

static void answer_revoking(struct revoking *revoking, enum status status)
{
    Gatehouse__V1__RevokeResponse response = GATEHOUSE__V1__REVOKE_RESPONSE__INIT;
    struct call *call = revoking->calling.call;
    if (status == STATUS_PERMISSION_DENIED && call->error.status == STATUS_OK)
        status = call_fail(call, status, "NOT_YOUR_TOKEN", "the token was issued to another client");
    if (status != STATUS_OK)
        answer_failure(call, status);
    revoking->closure(status == STATUS_OK ? &response.base : NULL, call);
    work_reset(&revoking->work);
    arena_done(&revoking->arena);
    free(revoking);
}

static void revoke_done(enum status status, void *arg)
{
    struct revoking *revoking = arg;
    if (status == STATUS_OK)
        work_apply(&revoking->work);
    answer_revoking(revoking, status);
}

static void revoke_allowed(struct revoking *revoking)
{
    struct api *api = revoking->calling.api;
    if (!token_text_parse(revoking->request->token, &revoking->key)) {
        answer_revoking(revoking, STATUS_OK); /* RFC 7009, section 2.2: no error, there is nothing to revoke */
        return;
    }
    revoking->work.domain = api->domain;
    revoking->work.arena = &revoking->arena;
    store_write(api->domain->store, revoke_tx, revoke_done, revoking);
}

/* The bearer of the token itself, or an administrator. */
static void revoke_caller_known(enum status status, struct calling *calling)
{
    struct revoking *revoking = (struct revoking *)calling;
    struct token_key key;
    revoking->is_own = status == STATUS_OK && calling->caller.has_token &&
                       token_text_parse(revoking->request->token, &key) &&
                       crypto_equal(key.bytes, calling->caller.token.bytes, TOKEN_KEY_BYTES);
    if (status == STATUS_OK && !revoking->is_own && calling->caller.is_known && !calling->caller.may_administer)
        status = STATUS_PERMISSION_DENIED;
    else if (status == STATUS_OK && !revoking->is_own)
        status = caller_check(calling->api, calling->call, &calling->caller, CALLER_MAY_ADMINISTER);
    if (status != STATUS_OK) {
        answer_revoking(revoking, status);
        return;
    }
    revoking->work.actor = arena_text(&revoking->arena, calling->caller.name);
    revoke_allowed(revoking);
}

static enum status revoke(struct api *api, struct call *call, const Gatehouse__V1__RevokeRequest *request,
                          ProtobufCClosure closure)
{
    TRY(check_length(call, "token", request->token, TOKEN_MAX));
    if (request->token[0] == '\0')
        return call_fail_field(call, "token", "INVALID_FIELD", "token is empty");
    bool has_client = request->client_id[0] != '\0' || request->client_secret[0] != '\0';
    struct client client = {0};
    if (has_client)
        TRY(client_authenticate(api, call, request->client_id, request->client_secret, &client));
    struct revoking *revoking = checked(calloc(1, sizeof *revoking));
    revoking->calling.api = api;
    revoking->calling.call = call;
    revoking->closure = closure;
    revoking->request = request;
    revoking->has_client = revoking->is_own = has_client;
    revoking->client = client;
    if (has_client) {
        revoking->work.actor = arena_text(&revoking->arena, request->client_id);
        revoke_allowed(revoking);
    } else {
        caller_resolve(&revoking->calling, api, call, revoke_caller_known);
    }
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
        status = issue_token(api, call, (const Gatehouse__V1__IssueTokenRequest *)request, closure);
        break;
    case METHOD_INTROSPECT:
        status = introspect(api, call, request, false, closure);
        break;
    case METHOD_BATCH_INTROSPECT:
        status = introspect(api, call, request, true, closure);
        break;
    case METHOD_REVOKE:
        status = revoke(api, call, (const Gatehouse__V1__RevokeRequest *)request, closure);
        break;
    }
    if (status != STATUS_OK) /* it was refused before anything was started */
        closure(NULL, call);
}

void auth_invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request, ProtobufCClosure closure,
                 void *closure_data)
{
    struct api *api = (struct api *)((char *)service - offsetof(struct api, auth));
    current_invoke(api, false, invoke, service, method, request, closure, closure_data);
}
