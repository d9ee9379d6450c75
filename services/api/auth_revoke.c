/* SPDX-License-Identifier: Apache-2.0 */
/* Revoke: by the client that a token was issued to, its bearer, or an administrator. */
#include "api/everywhere.h"
#include "api/internal.h"
#include "base/must.h"
#include "domain/revoke.h"
#include "records/audit.h"
#include "records/credential.h"

#include <stdlib.h>
#include <string.h>

struct revoking {
    struct calling calling; /* first: it is what caller_resolve gives back */
    ProtobufCClosure closure;
    const Gatehouse__V1__RevokeRequest *request;
    struct work work;
    struct arena arena;
    struct token_key key;
    bool has_client; /* it authenticated as `client` */
    struct client client;
    bool is_own;  /* the token is the caller's */
    int64_t took; /* to be obeyed everywhere */
};

/* An administrator ended somebody's token. That a client ends its own is no event. */
static enum status audit_revocation(struct revoking *revoking, struct store_tx *tx)
{
    const struct call *call = revoking->calling.call;
    char accessor[TOKEN_ACCESSOR_LEN + 1];
    token_key_format(&revoking->key, accessor);
    return audit_row_append(tx, &(struct audit_event){
                                    .at = revoking->work.now,
                                    .actor = revoking->work.actor,
                                    .action = "Revoke",
                                    .subject = accessor,
                                    .peer = call->peer,
                                    .request_id = call->request_id,
                                    .outcome = status_name(STATUS_OK),
                                });
}

/* May this administrator end it? */
static enum status check_touch(struct revoking *revoking)
{
    struct work *work = &revoking->work;
    struct credential *credential = NULL;
    int64_t id = 0;
    TRY(revoke_find(work, &revoking->key, &id));
    enum status status =
        id == 0 ? STATUS_NOT_FOUND : credential_row_load_id(work->tx, work->arena, id, work->now, &credential);
    if (status != STATUS_OK)
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    return caller_check_touch(revoking->calling.api, revoking->calling.call, &revoking->calling.caller,
                              &credential->granted);
}

static enum status revoke_tx(struct store_tx *tx, void *arg)
{
    struct revoking *revoking = arg;
    struct work *work = &revoking->work;
    work_begin(work, tx);
    int64_t whose = 0;
    memset(&revoking->calling.call->error, 0, sizeof revoking->calling.call->error); /* of an earlier try */
    if (revoking->has_client)
        TRY(revoke_check(work, &revoking->key, revoking->client.credential_id));
    else if (!revoking->is_own)
        TRY(check_touch(revoking));
    TRY(revoke_token(work, &revoking->key, &whose));
    return revoking->is_own ? STATUS_OK : audit_revocation(revoking, tx);
}

/* One credential wanted to end another's token. */
static void audit_refusal(struct revoking *revoking)
{
    struct token_key key;
    char accessor[TOKEN_ACCESSOR_LEN + 1] = "";
    if (token_text_parse(revoking->request->token, &key))
        token_key_format(&key, accessor);
    struct refusal refusal = {.action = "Revoke", .subject = accessor, .count = 1};
    refusal.actor = revoking->has_client ? revoking->client.client_id : revoking->calling.caller.name;
    caller_note_refusal(revoking->calling.api, revoking->calling.call, &refusal);
}

static void answer_revoking(struct revoking *revoking, enum status status)
{
    Gatehouse__V1__RevokeResponse response = GATEHOUSE__V1__REVOKE_RESPONSE__INIT;
    Gatehouse__V1__Position position;
    Google__Protobuf__Duration took;
    if (revoking->request->everywhere)
        response.everywhere_after = answer_duration(&took, revoking->took);
    struct call *call = revoking->calling.call;
    if (status == STATUS_PERMISSION_DENIED && call->error.status == STATUS_OK) {
        status = call_fail(call, status, "NOT_YOUR_TOKEN", "the token was issued to another client");
        audit_refusal(revoking);
    }
    if (status != STATUS_OK)
        answer_failure(call, status);
    else if (revoking->work.position.revision > 0)
        response.position = answer_position(&position, revoking->work.position);
    revoking->closure(status == STATUS_OK ? &response.base : NULL, call);
    work_reset(&revoking->work);
    arena_done(&revoking->arena);
    free(revoking);
}

/* An everywhere_done_fn, of everywhere_wait: on the watch's thread or one of the store's. Frees the revoking. */
static void obeyed_everywhere(enum status status, int64_t took, void *arg)
{
    struct revoking *revoking = arg;
    revoking->took = took;
    answer_revoking(revoking, everywhere_check(revoking->calling.call, status));
}

static void revoke_done(enum status status, void *arg)
{
    struct revoking *revoking = arg;
    if (status == STATUS_OK)
        work_apply(&revoking->work);
    if (status == STATUS_OK && revoking->request->everywhere)
        everywhere_wait(revoking->calling.api, revoking->work.position, obeyed_everywhere, revoking);
    else
        answer_revoking(revoking, status);
}

static void revoke_allowed(struct revoking *revoking)
{
    struct api *api = revoking->calling.api;
    if (!token_text_parse(revoking->request->token, &revoking->key)) {
        answer_revoking(revoking, STATUS_OK); /* RFC 7009, section 2.2: no error, there is nothing to revoke */
        return;
    }
    revoking->work = domain_work(api->domain, &revoking->arena, revoking->work.actor);
    /* Carried out for whoever has left, too: what was to be ended is better ended. */
    store_write(api->domain->store, revoke_tx, revoke_done, revoking);
}

/* The bearer of the token itself, or an administrator. */
static void revoke_caller_known(enum status status, struct calling *calling)
{
    struct revoking *revoking = (struct revoking *)calling;
    struct token_key key;
    revoking->is_own = status == STATUS_OK && calling->caller.has_token &&
                       token_text_parse(revoking->request->token, &key) &&
                       token_key_equal(&key, &calling->caller.token);
    if (status == STATUS_OK && !revoking->is_own && calling->caller.is_known &&
        calling->caller.grade < GRADE_KEY_MANAGER)
        status = STATUS_PERMISSION_DENIED;
    else if (status == STATUS_OK && !revoking->is_own)
        status = caller_check(calling->api, calling->call, &calling->caller, ROLE_KEY_MANAGER);
    if (status != STATUS_OK) {
        answer_revoking(revoking, status);
        return;
    }
    revoking->work.actor = arena_text(&revoking->arena, calling->caller.name);
    revoke_allowed(revoking);
}

enum status auth_revoke(struct api *api, struct call *call, const Gatehouse__V1__RevokeRequest *request,
                        ProtobufCClosure closure)
{
    bool has_client = request->client_id[0] != '\0' || request->client_secret[0] != '\0';
    struct client client = {0};
    if (has_client) {
        TRY(client_authenticate(api, call, request->client_id, request->client_secret, &client));
        client_count_observed(api, call, &client);
    }
    struct revoking *revoking = must(calloc(1, sizeof *revoking));
    revoking->calling.api = api;
    revoking->calling.call = call;
    revoking->closure = closure;
    revoking->request = request;
    revoking->has_client = revoking->is_own = has_client;
    revoking->client = client;
    if (has_client) {
        revoking->work.actor = arena_text(&revoking->arena, client.client_id);
        revoke_allowed(revoking);
    } else {
        caller_resolve(&revoking->calling, api, call, revoke_caller_known);
    }
    return STATUS_OK;
}
