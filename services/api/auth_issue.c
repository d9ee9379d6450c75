/* SPDX-License-Identifier: Apache-2.0 */
/* IssueToken: a token is inserted, then answered. */
#include "api/internal.h"
#include "base/must.h"

enum { TRIES_MAX = 5, CLOCK_RETRY_MS = 60000 };

struct issue_call {
    struct issuing issuing; /* first: it is what issue_begin gives back */
    struct api *api;
    struct call *call;
    const Gatehouse__V1__IssueTokenRequest *request;
    ProtobufCClosure closure;
    int tries;
    struct audit_event sign_in;
};

static enum status read_scopes(struct api *api, struct call *call, const Gatehouse__V1__IssueTokenRequest *request,
                               const struct client *client, struct token_row *row)
{
    for (size_t i = 0; i < request->n_scopes; i++) {
        int role = directory_role_number(api->domain->memory->directory, request->scopes[i]);
        if (role < 0 || !role_set_has(&client->effective, role))
            return call_fail(call, STATUS_INVALID_ARGUMENT, "INVALID_SCOPE",
                             "a scope names a role that the credential does not hold");
        role_set_add(&row->roles, role);
    }
    row->is_narrowed = request->n_scopes > 0;
    return STATUS_OK;
}

static void note_source(struct issue_call *issue)
{
    const struct client *client = &issue->issuing.client;
    struct memory *memory = issue->api->domain->memory;
    if (client->source.kind != SOURCE_ADDRESS)
        return;
    source_uses_note(memory->sources, &(struct source_use){.credential_id = client->credential_id,
                                                           .used = issue->issuing.row.last_used,
                                                           .address = client->source.address});
    memory_note_news(memory);
}

static void answer_issued(struct issue_call *issue)
{
    Gatehouse__V1__IssueTokenResponse response = GATEHOUSE__V1__ISSUE_TOKEN_RESPONSE__INIT;
    struct issuing *issuing = &issue->issuing;
    Google__Protobuf__Duration expires_in;
    char accessor[TOKEN_ACCESSOR_LEN + 1], *scopes[ROLES_MAX];
    static char bearer[] = "Bearer";
    const struct role_set *roles = issuing->row.is_narrowed ? &issuing->row.roles : &issuing->client.effective;
    response.access_token = issuing->text;
    response.token_type = bearer;
    response.expires_in = answer_duration(&expires_in, issuing->expires_in);
    response.n_scopes = answer_roles(issue->api->domain->memory->directory, roles, scopes);
    response.scopes = scopes;
    token_key_format(&issuing->row.key, accessor);
    response.accessor = accessor;
    response.client_secret_expires_at = issuing->client.secret_ends / CLOCK_SECOND;
    response.credential_expires_at = issuing->client.expires / CLOCK_SECOND;
    issue->closure(&response.base, issue->call);
}

/* Not OK: in words. */
static void finish(struct issue_call *issue, enum status status)
{
    struct call *call = issue->call;
    bool is_refused = status == STATUS_RESOURCE_EXHAUSTED && call->error.status == STATUS_OK;
    if (is_refused && issue->issuing.refused_by == LIMIT_TOKENS_PER_HOUR)
        status = call_fail_retry(call, status, "TOO_MANY_TOKENS_PER_HOUR", issue->issuing.retry_ms,
                                 "the credential has been issued as many tokens as it may have in an hour");
    else if (is_refused)
        status = call_fail_retry(call, status, "TOO_MANY_TOKENS", issue->issuing.retry_ms,
                                 "the credential has as many live tokens as it may have");
    if (status == STATUS_FAILED_PRECONDITION)
        status = call_fail_retry(call, STATUS_UNAVAILABLE, "CLOCK_OUT_OF_RANGE", CLOCK_RETRY_MS,
                                 "the server's clock is beyond the year 2105, for which there are no tokens");
    if (status == STATUS_OK) {
        note_source(issue);
        answer_issued(issue);
    } else {
        answer_failure(call, status);
        issue->closure(NULL, call);
    }
    crypto_wipe(issue->issuing.text, sizeof issue->issuing.text);
    free(issue);
}

static void try_to_issue(struct issue_call *issue);

/* An issue_done_fn. */
static void issue_done(enum status status, struct issuing *issuing)
{
    struct issue_call *issue = (struct issue_call *)issuing;
    if (status != STATUS_ABORTED)
        finish(issue, status);
    else if (++issue->tries < TRIES_MAX)
        try_to_issue(issue);
    else
        finish(issue, STATUS_UNAVAILABLE);
}

/* Who it is for. */
static enum status prepare(struct issue_call *issue)
{
    struct issuing *issuing = &issue->issuing;
    TRY(client_authenticate(issue->api, issue->call, issue->request->client_id, issue->request->client_secret,
                            &issuing->client));
    issuing->row = (struct token_row){.is_narrowed = false};
    return read_scopes(issue->api, issue->call, issue->request, &issuing->client, &issuing->row);
}

/* A token for administration and nothing else, which is what the console asks for. */
static bool is_sign_in(const struct issue_call *issue)
{
    const struct token_row *row = &issue->issuing.row;
    struct role_set rest = row->roles;
    for (enum grade grade = GRADE_AUDITOR; grade <= GRADE_USER_MANAGER; grade++) {
        int role = directory_graded(issue->api->domain->memory->directory, grade);
        if (role >= 0)
            role_set_remove(&rest, role);
    }
    return row->is_narrowed && !role_set_is_empty(&row->roles) && role_set_is_empty(&rest);
}

static void describe_sign_in(struct issue_call *issue)
{
    issue->sign_in = (struct audit_event){
        .at = clock_now(issue->api->domain->clock),
        .actor = issue->issuing.client.client_id,
        .action = "SignIn",
        .subject = issue->issuing.client.client_id,
        .peer = issue->call->peer,
        .request_id = issue->call->request_id,
        .outcome = status_name(STATUS_OK),
    };
    issue->issuing.event = &issue->sign_in;
}

static void try_to_issue(struct issue_call *issue)
{
    enum status status = prepare(issue);
    if (status == STATUS_OK && is_sign_in(issue))
        describe_sign_in(issue);
    if (status != STATUS_OK)
        finish(issue, status);
    else
        issue_begin(&issue->api->domain->issue, &issue->issuing);
}

enum status auth_issue_token(struct api *api, struct call *call, const Gatehouse__V1__IssueTokenRequest *request,
                             ProtobufCClosure closure)
{
    struct issue_call *issue = must(calloc(1, sizeof *issue));
    issue->api = api;
    issue->call = call;
    issue->request = request;
    issue->closure = closure;
    issue->issuing.method = call->method;
    issue->issuing.done = issue_done;
    issue->issuing.waits = call_waits;
    issue->issuing.waiter = call;
    try_to_issue(issue);
    return STATUS_OK;
}
