/* SPDX-License-Identifier: Apache-2.0 */
/* IssueToken: a token is inserted, then answered. */
#include "api/internal.h"

#include <stdlib.h>

enum { SCOPES_MAX = 64, TRIES_MAX = 5, CLOCK_RETRY_MS = 60000 };

struct issuing {
    struct api *api;
    struct call *call;
    const Gatehouse__V1__IssueTokenRequest *request;
    ProtobufCClosure closure;
    int tries;
    struct client client;
    struct token_row row;
    uint64_t generation;
    int64_t expires_in;
    int64_t inserted; /* rows */
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
    return token_insert(tx, row, issuing->client.facts->client_id, &issuing->inserted);
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

static void issue(struct issuing *issuing);

static void finish(struct issuing *issuing, enum status status)
{
    if (status == STATUS_RESOURCE_EXHAUSTED)
        status = call_fail_retry(issuing->call, status, "TOO_MANY_TOKENS", 60000,
                                 "the credential has as many live tokens as it may have");
    if (status != STATUS_OK) {
        answer_failure(issuing->call, status);
        issuing->closure(NULL, issuing->call);
    }
    crypto_wipe(issuing->text, sizeof issuing->text);
    free(issuing);
}

static void issue_again(enum status status, void *arg)
{
    struct issuing *issuing = arg;
    if (status == STATUS_OK && ++issuing->tries < TRIES_MAX)
        issue(issuing);
    else
        finish(issuing, STATUS_UNAVAILABLE);
}

static void insert_done(enum status status, void *arg)
{
    struct issuing *issuing = arg;
    struct domain *domain = issuing->api->domain;
    if (status == STATUS_OK && issuing->inserted == 0) {
        /* The credential is not what it was when the secret key was checked: somebody has changed it meanwhile, or
         * another replica a while ago. What is known now decides. */
        if (domain->replica != NULL)
            replica_refresh(domain->replica, issue_again, issuing);
        else
            issue_again(STATUS_OK, issuing);
        return;
    }
    if (status == STATUS_OK) {
        struct token_facts facts = {
            .key = issuing->row.key,
            .credential = issuing->client.facts,
            .last_used = issuing->row.last_used,
            .stored = issuing->row.last_used,
            .epoch = issuing->row.epoch,
            .is_narrowed = issuing->row.is_narrowed,
            .roles = issuing->row.roles,
        };
        token_table_put(domain->tokens, &facts, issuing->generation, 0);
        answer_issued(issuing);
    }
    finish(issuing, status);
}

/* Counting and inserting is one step: alone. */
static void insert_flushed(enum status status, void *arg)
{
    struct issuing *issuing = arg;
    if (status != STATUS_OK) /* a token whose use is not stored might not be counted */
        finish(issuing, STATUS_UNAVAILABLE);
    else
        store_write(issuing->api->domain->store, insert_tx, insert_done, issuing);
}

/* False: the clock is out of the range that a token can tell. */
static bool make_token(struct issuing *issuing, int64_t now)
{
    issuing->row.last_used = now;
    return token_text_new(now, issuing->text) && token_text_parse(issuing->text, &issuing->row.key);
}

/* Who it is for, and what it will be. */
static enum status prepare(struct issuing *issuing)
{
    struct api *api = issuing->api;
    struct domain *domain = api->domain;
    struct client *client = &issuing->client;
    TRY(client_authenticate(api, issuing->call, issuing->request->client_id, issuing->request->client_secret, client));
    issuing->row = (struct token_row){.is_narrowed = false};
    TRY(read_scopes(api, issuing->call, issuing->request, client, &issuing->row));
    int64_t now = clock_now(domain->clock);
    issuing->row.credential_id = client->credential_id;
    issuing->row.epoch = client->epoch;
    if (!make_token(issuing, now))
        return call_fail_retry(issuing->call, STATUS_UNAVAILABLE, "CLOCK_OUT_OF_RANGE", CLOCK_RETRY_MS,
                               "the server's clock is beyond the year 2105, for which there are no tokens");
    directory_lock(domain->directory);
    const struct settings *settings = directory_settings(domain->directory);
    issuing->max_tokens = settings->max_tokens;
    issuing->limits = settings_limits(settings, now);
    issuing->expires_in = settings->idle_timeout;
    if (settings->max_token_life != 0 && settings->max_token_life < issuing->expires_in)
        issuing->expires_in = settings->max_token_life;
    if (client->facts->expires != 0 && client->facts->expires - now < issuing->expires_in)
        issuing->expires_in = client->facts->expires > now ? client->facts->expires - now : 0;
    directory_unlock(domain->directory);
    struct token_facts none;
    token_table_get(domain->tokens, &issuing->row.key, &none, &issuing->generation);
    return STATUS_OK;
}

static void issue(struct issuing *issuing)
{
    struct domain *domain = issuing->api->domain;
    enum status status = prepare(issuing);
    if (status != STATUS_OK)
        finish(issuing, status);
    else if (issuing->max_tokens > 0) /* so that uses noted in memory count */
        domain_flush(domain, insert_flushed, issuing);
    else
        store_write_beside(domain->store, insert_tx, insert_done, issuing);
}

enum status auth_issue_token(struct api *api, struct call *call, const Gatehouse__V1__IssueTokenRequest *request,
                             ProtobufCClosure closure)
{
    struct issuing *issuing = calloc(1, sizeof *issuing);
    if (issuing == NULL)
        abort();
    issuing->api = api;
    issuing->call = call;
    issuing->request = request;
    issuing->closure = closure;
    issue(issuing);
    return STATUS_OK;
}
