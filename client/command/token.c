/* SPDX-License-Identifier: Apache-2.0 */
#include <gatehouse/v1/auth.pb-c.h>
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "confirm.h"
#include "connection.h"
#include "credential.h"
#include "pages.h"
#include "report.h"
#include "secret.h"
#include "text.h"
#include "time_format.h"

/* Seconds since 1970, as proto3 JSON writes an int64; left out: never. */
static char *format_end(const json_t *, const json_t *value, int64_t)
{
    char text[TIME_TEXT_MAX] = "never";
    if (json_is_string(value))
        instant_format(strtoll(json_string_value(value), NULL, 10), 0, text);
    return text_copy(text);
}

static const struct view issued_view = {
    .columns = COLUMNS({"Token", "accessToken", NULL, 0}, {"Type", "tokenType", NULL, 0},
                       {"Lives, if unused", "expiresIn", column_duration, 0}, {"Roles", "scopes", NULL, 0},
                       {"Accessor", "accessor", NULL, 0}, {"Secret key ends", "clientSecretExpiresAt", format_end, 0},
                       {"Credential expires", "credentialExpiresAt", format_end, 0}),
    .value_keys = KEYS("accessToken"),
};

static const struct view introspected_view = {
    .columns =
        COLUMNS({"Active", "active", NULL, 0}, {"Allowed", "allowed", NULL, 0}, {"Client ID", "clientId", NULL, 0},
                {"Credential", "credentialName", NULL, 0}, {"Owner", "owner", NULL, 0}, {"Roles", "roles", NULL, 0},
                {"Missing roles", "missingRoles", NULL, 0}, {"Issued", "issueTime", column_time, 0},
                {"Expires if idle", "expireTime", column_time, 0}, {"Accessor", "accessor", NULL, 0}),
    .value_keys = KEYS("active"),
};

static const struct view inactive_view = {
    .columns = COLUMNS({"Active", "active", NULL, 0}),
    .value_keys = KEYS("active"),
};

static const struct view list_view = {
    .columns =
        COLUMNS({"ACCESSOR", "accessor", NULL, 0}, {"ISSUED", "issueTime", column_time, COLUMN_IF_FITS},
                {"LAST USE", "lastUseTime", column_last_use, 0}, {"EXPIRES IF IDLE", "expireTime", column_time, 0},
                {"LAST API", "lastApi", NULL, COLUMN_TRUNCATE}, {"ROLES", "roles", NULL, COLUMN_WRAP}),
    .value_keys = KEYS("accessor"),
};

static const struct view impact_view = {
    .columns = COLUMNS({"Tokens ended", "tokensEnded", NULL, 0}),
    .value_keys = KEYS("tokensEnded"),
};

enum exit_code run_token_issue(struct context *context)
{
    Gatehouse__V1__IssueTokenRequest request = GATEHOUSE__V1__ISSUE_TOKEN_REQUEST__INIT;
    struct gatehouse_call call = {0};
    TEXT_WIPE char *secret = connection_secret(context);
    if (secret == NULL)
        return context->exit_code;
    request.client_id = context->config.client_id.value;
    request.client_secret = secret;
    request.scopes = context->arguments.words.items;
    request.n_scopes = context->arguments.words.count;
    MESSAGE_FREE Gatehouse__V1__IssueTokenResponse *response =
        auth_invoke_as(context, "IssueToken", &request, "", &call);
    if (response == NULL)
        return call.status == GATEHOUSE_OK ? context->exit_code : report_call(context, &call);
    output_message(context, response, NULL, &issued_view);
    explicit_bzero(response->access_token, strlen(response->access_token));
    return EXIT_DONE;
}

/* The token in question: these two commands' --token-file means it, not the caller's. */
static char *read_asked_token(struct context *context)
{
    const char *path = option_value(&context->arguments, OPTION_ASKED_TOKEN_FILE);
    return secret_read(context, path == NULL ? "-" : path, SECRET_READ_MAX, "token");
}

enum exit_code run_token_introspect(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    TEXT_WIPE char *token = read_asked_token(context);
    if (token == NULL)
        return context->exit_code;
    request.token = token;
    message_set_string(&request.api, option_value(arguments, OPTION_CALLED_API));
    request.no_touch = option_value(arguments, OPTION_CALLED_API) == NULL; /* an administrator's look is no use */
    request.required_roles = (char **)(uintptr_t)arguments->words.items;
    request.n_required_roles = arguments->words.count;
    MESSAGE_FREE Gatehouse__V1__IntrospectResponse *response = auth_invoke(context, "Introspect", &request);
    if (response == NULL)
        return context->exit_code;
    output_message(context, response, NULL, response->active ? &introspected_view : &inactive_view);
    return response->active && response->allowed ? EXIT_DONE : EXIT_INACTIVE;
}

/* Three may revoke: the client that it was issued to, an administrator, and its bearer. A caller that gives a client ID
 * may be either of the first two: the client is asked for first, because that needs no other token. */
static void *revoke(struct context *context, Gatehouse__V1__RevokeRequest *request)
{
    struct gatehouse_call call = {0};
    enum caller caller = connection_caller(&context->config);
    if (caller == CALLER_NONE && context->config.cert_file.value == NULL) {
        TEXT_WIPE char *bearer = text_format("Bearer %s", request->token);
        void *response = auth_invoke_as(context, "Revoke", request, bearer, &call);
        if (response == NULL && call.status == GATEHOUSE_UNAUTHENTICATED)
            fputs("gatehouse: the token has ended already, or never was one.\n", stderr);
        if (response == NULL && call.status != GATEHOUSE_OK)
            report_call(context, &call);
        return response;
    }
    if (caller != CALLER_CLIENT)
        return auth_invoke(context, "Revoke", request);

    Gatehouse__V1__RevokeRequest own = *request;
    TEXT_WIPE char *secret = connection_secret(context);
    if (secret == NULL)
        return NULL;
    own.client_id = context->config.client_id.value;
    own.client_secret = secret;
    void *response = auth_invoke_as(context, "Revoke", &own, "", &call);
    if (response != NULL || call.status == GATEHOUSE_OK)
        return response;
    if (call.status == GATEHOUSE_PERMISSION_DENIED)
        return auth_invoke(context, "Revoke", request);
    report_call(context, &call);
    return NULL;
}

enum exit_code run_token_revoke(struct context *context)
{
    const struct view view = {.columns = COLUMNS({"Revoked", "revoked", NULL, 0}), .value_keys = KEYS("revoked")};
    Gatehouse__V1__RevokeRequest request = GATEHOUSE__V1__REVOKE_REQUEST__INIT;
    TEXT_WIPE char *token = read_asked_token(context);
    if (token == NULL)
        return context->exit_code;
    request.token = token;
    change_ask_everywhere(context, &request);
    MESSAGE_FREE void *response = revoke(context, &request);
    if (response == NULL)
        return context->exit_code;
    change_tell_everywhere(response);
    if (context->format == OUTPUT_JSON) {
        output_message(context, response, NULL, &view);
        return EXIT_DONE;
    }
    json_t *answer = text_must(json_pack("{s:b}", "revoked", true));
    output_record(context, answer, &view);
    json_decref(answer);
    return EXIT_DONE;
}

enum exit_code run_token_list(struct context *context)
{
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__ListTokensRequest request = GATEHOUSE__V1__LIST_TOKENS_REQUEST__INIT;
    struct pages pages = {.method = "ListTokens",
                          .request = &request,
                          .items = "tokens",
                          .view = &list_view,
                          .nothing = "No live token."};
    if (!pages_limit(context, OPTION_LIMIT, 0, &pages.limit) ||
        !target_find(context, context->arguments.rest[0], false, &target))
        return context->exit_code;
    request.client_id = target.client_id;
    return pages_print(context, &pages);
}

enum exit_code run_token_end(struct context *context)
{
    Gatehouse__V1__EndTokenRequest request = GATEHOUSE__V1__END_TOKEN_REQUEST__INIT;
    request.accessor = context->arguments.rest[0];
    change_ask_everywhere(context, &request);
    MESSAGE_FREE void *response = admin_invoke(context, "EndToken", &request);
    if (response == NULL)
        return context->exit_code;
    change_print(context, response, "impact", &impact_view);
    return EXIT_DONE;
}

enum exit_code run_token_end_all(struct context *context)
{
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__EndTokensRequest request = GATEHOUSE__V1__END_TOKENS_REQUEST__INIT;
    if (!target_find(context, context->arguments.rest[0], !change_is_unasked(context), &target))
        return context->exit_code;
    request.client_id = target.client_id;
    return change_run(context, &(struct change){.method = "EndTokens",
                                                .request = &request,
                                                .doing = "Ending the tokens of credential",
                                                .name = target.name,
                                                .id = target.client_id,
                                                .view = &impact_view});
}
