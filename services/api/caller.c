/* SPDX-License-Identifier: Apache-2.0 */
#include "api/internal.h"
#include "base/log.h"
#include "base/utf8.h"
#include "records/user.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_among(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static void resolve_identities(struct calling *calling)
{
    struct caller *caller = &calling->caller;
    for (const char *const *name = calling->call->identities; name != NULL && *name != NULL; name++) {
        bool may_introspect = is_among(calling->api->introspect_identities, *name);
        bool may_administer = is_among(calling->api->admin_identities, *name);
        if (!may_introspect && !may_administer)
            continue;
        caller->is_known = true;
        caller->may_introspect |= may_introspect;
        caller->reads_audit |= may_administer;
        if (may_administer)
            caller->grade = GRADE_USER_MANAGER;
        utf8_copy(caller->name, sizeof caller->name, *name);
    }
}

static void take_roles(struct calling *calling, const char *client_id, const struct role_set *roles)
{
    struct caller *caller = &calling->caller;
    struct directory *directory = calling->api->domain->memory->directory;
    int server = directory_resource_server(directory), auditor = directory_graded(directory, GRADE_AUDITOR);
    caller->is_known = true;
    caller->grade = directory_grade(directory, roles);
    caller->reads_audit = caller->grade == GRADE_USER_MANAGER || (auditor >= 0 && role_set_has(roles, auditor));
    caller->may_introspect = server >= 0 && role_set_has(roles, server);
    utf8_copy(caller->name, sizeof caller->name, client_id);
}

static void take_token(struct calling *calling)
{
    const struct introspection *introspection = &calling->introspection;
    calling->caller.is_outside = introspection->verdict == SOURCE_REFUSED;
    source_note_introspection(calling->api, calling->call, introspection);
    if (introspection->is_active)
        take_roles(calling, introspection->client_id, &introspection->roles);
}

/* An introspect_done_fn, of introspect_in_store: on a thread of the store's. */
static void token_loaded(enum status status, struct introspection *introspection)
{
    struct calling *calling = introspection->arg;
    calling->now = clock_now(calling->api->domain->clock);
    take_token(calling);
    calling->done(status, calling);
}

/* As the directory has him at this moment; one that it does not know has no role. */
static enum status load_user_tx(struct store_tx *tx, void *arg)
{
    struct calling *calling = arg;
    struct user user;
    struct role_set had;
    calling->user_roles = (struct role_set){0};
    TRY(user_row_load_any(tx, calling->call->user, &user));
    if (user.version == 0 || user.deleted != 0)
        return STATUS_OK;
    return user_row_load_roles(tx, calling->call->user, &calling->user_roles, &had, NULL);
}

/* A store_done_fn, after load_user_tx: on a thread of the store's. */
static void user_loaded(enum status status, void *arg)
{
    struct calling *calling = arg;
    char name[sizeof calling->caller.name];
    snprintf(name, sizeof name, "user:%s", calling->call->user);
    calling->now = clock_now(calling->api->domain->clock);
    if (status == STATUS_OK) {
        take_roles(calling, name, &calling->user_roles);
        calling->caller.may_introspect = false; /* people administer */
    }
    calling->done(status, calling);
}

static void load_user(struct calling *calling)
{
    const struct store_job job = {.kind = STORE_READ_ADMIN,
                                  .fn = load_user_tx,
                                  .done = user_loaded,
                                  .arg = calling,
                                  .waits = call_waits,
                                  .waiter = calling->call};
    store_submit(calling->api->domain->store, &job);
}

/* RFC 6750, section 2.1; the scheme in any letter case (RFC 9110, section 11.1). */
static const char *bearer_token(const char *authorization)
{
    if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    return authorization + 7 + strspn(authorization + 7, " ");
}

/* The last caller's token that this thread has read: a keyed hash, which may stand for its text, and what it is. */
static _Thread_local struct {
    struct siphash hash;
    struct token_key key;
} last_read;

/* As token_text_parse. A resource server shows the same token with each of its calls, which come many at a time: its
 * checksum and its digest are reckoned once. */
static bool read_bearer(const struct api *api, const char *token, struct token_key *ret_key)
{
    if (strnlen(token, TOKEN_TEXT_LEN + 1) != TOKEN_TEXT_LEN)
        return false;
    struct siphash hash = siphash_of(&api->bearer_secret, token, TOKEN_TEXT_LEN);
    if (hash.a == last_read.hash.a && hash.b == last_read.hash.b) {
        *ret_key = last_read.key;
        return true;
    }
    if (!token_text_parse(token, ret_key))
        return false;
    last_read.hash = hash;
    last_read.key = *ret_key;
    return true;
}

void caller_resolve(struct calling *calling, struct api *api, struct call *call, caller_done_fn *done)
{
    calling->api = api;
    calling->call = call;
    calling->done = done;
    calling->caller = (struct caller){.is_known = false};
    struct introspection *introspection = &calling->introspection;
    introspection_init(introspection);
    calling->now = clock_now(api->domain->clock);
    const char *token = bearer_token(call->authorization);
    if (token == NULL && call->user != NULL) {
        load_user(calling);
        return;
    }
    if (token == NULL) {
        resolve_identities(calling);
        done(STATUS_OK, calling);
        return;
    }
    /* The caller's token is used by calling us, as it would be by calling any API. */
    introspection->is_token = calling->caller.has_token = read_bearer(api, token, &introspection->key);
    introspection->api = call->method;
    introspection->is_own = true;
    introspection->is_quiet = calling->is_read;
    introspection->source = source_of(call->peer);
    introspection->is_use = !calling->is_look;
    introspection->waits = call_waits;
    introspection->waiter = call;
    introspection->arg = calling;
    calling->caller.token = introspection->key;
    if (introspect_in_memory(&api->domain->introspect, introspection, calling->now)) {
        take_token(calling);
        done(STATUS_OK, calling);
    } else {
        introspect_in_store(&api->domain->introspect, introspection, token_loaded);
    }
}

void caller_note_refusal(struct api *api, const struct call *call, const struct refusal *refusal)
{
    const struct audit_event event = {
        .at = clock_now(api->domain->clock),
        .actor = refusal->actor,
        .action = refusal->action,
        .subject = refusal->subject,
        .peer = call->peer,
        .request_id = call->request_id,
        .outcome = status_name(call->error.status),
        .detail = call->method,
    };
    audit_queue_count(api->domain->memory->audit, &event, refusal->count);
    memory_note_news(api->domain->memory);
}

/* Thinned out: what is refused for being too much must not fill the log. */
static void note_throttled(struct api *api, const struct call *call, const char *action, const char *client_id,
                           int64_t refused)
{
    if (refused == 0)
        return;
    log_write(LOG_LEVEL_WARN, "auth_too_many_failures", "request_id", call->request_id, "peer", call->peer, "client_id",
              client_id[0] == '\0' ? NULL : client_id, "refused", log_number(refused).text, NULL);
    caller_note_refusal(api, call, &(struct refusal){.action = action, .subject = client_id, .count = refused});
}

enum status caller_check(struct api *api, struct call *call, const struct caller *caller, const char *requires)
{
    enum grade grade =
        requires ==
                     NULL ? GRADE_NONE : role_grade(requires);
    bool may_introspect =
        requires !=
    NULL && grade == GRADE_NONE && caller->may_introspect;
    if (requires == NULL ? caller->is_known : may_introspect || (grade != GRADE_NONE && caller->grade >= grade))
        return STATUS_OK;
    if (caller->is_outside)
        return source_fail(call);
    enum status status = caller->is_known ? call_fail(call, STATUS_PERMISSION_DENIED, "CALLER_NOT_ALLOWED",
                                                      "the caller lacks the role %s", requires)
                                          : call_fail(call, STATUS_UNAUTHENTICATED, "CALLER_UNKNOWN",
                                                      "a live bearer token is needed in the authorization header");
    int64_t now = clock_steady(api->domain->clock);
    struct throttle_verdict verdict = throttle_failure(api->domain->memory->throttle, call->peer, NULL, now);
    if (verdict.is_allowed) {
        log_write(LOG_LEVEL_WARN, caller->is_known ? "auth_caller_not_allowed" : "auth_caller_unknown", "request_id",
                  call->request_id, "peer", call->peer, "caller", caller->name, "method", call->method, NULL);
        caller_note_refusal(api, call, &(struct refusal){.action = "CallerRefused", .actor = caller->name, .count = 1});
    } else {
        note_throttled(api, call, "CallerRefused", "", verdict.refused);
    }
    return status;
}

enum status caller_check_touch(struct api *api, struct call *call, const struct caller *caller,
                               const struct role_set *granted)
{
    struct directory *directory = api->domain->memory->directory;
    enum grade grade = directory_grade(directory, granted);
    if (caller->grade == GRADE_USER_MANAGER || grade == GRADE_NONE)
        return STATUS_OK;
    return call_fail(call, STATUS_PERMISSION_DENIED, "ADMINISTRATOR_CREDENTIAL",
                     "only a %s may change a credential that is granted the role %s", ROLE_USER_MANAGER,
                     directory_role_id(directory, directory_graded(directory, grade)));
}

static bool is_uuid(const char *client_id)
{
    return strlen(client_id) == CLIENT_ID_LEN && strspn(client_id, "0123456789abcdefABCDEF-") == CLIENT_ID_LEN;
}

void client_id_spell(const char *client_id, char spelled[static CLIENT_ID_TEXT_MAX + 1])
{
    utf8_copy(spelled, CLIENT_ID_TEXT_MAX + 1, client_id);
    bool is_one = is_uuid(client_id);
    for (char *c = spelled; is_one && *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
}

/* What is sent as a client ID may be a secret in the wrong field: only what looks like a client ID is written down. */
static const char *loggable(const char *client_id)
{
    return is_uuid(client_id) ? client_id : "malformed";
}

/* The refusal in words, and in the logs. */
static enum status refuse_client(struct api *api, struct call *call, const char *client_id,
                                 const struct throttle_verdict *verdict)
{
    enum status status = STATUS_OK;
    if (!verdict->is_allowed) {
        status = call_fail_retry(call, STATUS_RESOURCE_EXHAUSTED, "TOO_MANY_FAILURES", verdict->retry_ms,
                                 "too many failed authentications; try again later");
        note_throttled(api, call, "ClientRefused", loggable(client_id), verdict->refused);
        return status;
    }
    status = call_fail(call, STATUS_UNAUTHENTICATED, "INVALID_CLIENT", "client authentication failed");
    log_write(LOG_LEVEL_WARN, "auth_invalid_client", "request_id", call->request_id, "peer", call->peer, "client_id",
              loggable(client_id), NULL);
    caller_note_refusal(api, call,
                        &(struct refusal){.action = "ClientRefused", .subject = loggable(client_id), .count = 1});
    return status;
}

/* A caller that has the secret key may know why. */
static enum status refuse_suspended(struct api *api, struct call *call, const char *client_id)
{
    enum status status = call_fail(call, STATUS_UNAUTHENTICATED, "CREDENTIAL_SUSPENDED",
                                   "the credential is suspended; an administrator can resume it");
    log_write(LOG_LEVEL_WARN, "auth_credential_suspended", "request_id", call->request_id, "peer", call->peer,
              "client_id", client_id, NULL);
    caller_note_refusal(api, call, &(struct refusal){.action = "ClientRefused", .subject = client_id, .count = 1});
    return status;
}

/* Its secret key is right. */
static void note_outside(struct api *api, const struct call *call, const struct client *client)
{
    source_note_outside(api, call,
                        &(struct outside){.verdict = client->verdict,
                                          .credential_id = client->credential_id,
                                          .client_id = client->client_id,
                                          .source = &client->source,
                                          .api = call->method,
                                          .count = 1});
}

bool client_is_known(struct api *api, const char *client_id, const char *secret)
{
    char spelled[CLIENT_ID_TEXT_MAX + 1];
    client_id_spell(client_id, spelled);
    const struct attempt attempt = {spelled, secret, NULL};
    return authenticate_knows(api->domain->memory, api->domain->clock, &attempt);
}

enum status client_authenticate(struct api *api, struct call *call, const char *client_id, const char *secret,
                                struct client *ret_client)
{
    client_id_spell(client_id, ret_client->client_id);
    const struct attempt attempt = {ret_client->client_id, secret, call->peer};
    struct throttle_verdict verdict;
    enum status status = authenticate_client(api->domain->memory, api->domain->clock, &attempt, ret_client, &verdict);
    if ((status == STATUS_OK || status == STATUS_PERMISSION_DENIED) && ret_client->verdict != SOURCE_WITHIN)
        note_outside(api, call, ret_client);
    if (status == STATUS_OK)
        return STATUS_OK;
    if (status == STATUS_PERMISSION_DENIED)
        return source_fail(call);
    if (status == STATUS_FAILED_PRECONDITION)
        return refuse_suspended(api, call, ret_client->client_id);
    return refuse_client(api, call, ret_client->client_id, &verdict);
}

void client_count_observed(struct api *api, const struct call *call, const struct client *client)
{
    struct memory *memory = api->domain->memory;
    if (client->verdict != SOURCE_OBSERVED)
        return;
    memory_count_observed(memory, client->credential_id, call->method, clock_now(api->domain->clock), 1);
    memory_note_news(memory);
}

enum status caller_authenticate(struct calling *calling, struct api *api, struct call *call, const char *client_id,
                                const char *secret)
{
    struct client client;
    calling->api = api;
    calling->call = call;
    calling->caller = (struct caller){.is_known = false};
    TRY(client_authenticate(api, call, client_id, secret, &client));
    client_count_observed(api, call, &client);
    calling->now = clock_now(api->domain->clock);
    take_roles(calling, client.client_id, &client.effective);
    return STATUS_OK;
}
