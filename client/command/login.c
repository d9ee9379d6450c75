/* SPDX-License-Identifier: Apache-2.0 */
#include "login.h"

#include <ctype.h>
#include <errno.h>
#include <gatehouse/v1/auth.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "output.h"
#include "private_file.h"
#include "report.h"
#include "text.h"

static const char *address_of(const struct config *config)
{
    return config->address.value != NULL ? config->address.value : "127.0.0.1:50051";
}

/* Client ID and server in one name: each other character than of these as %XX, so that no two are one. */
static char *file_name(const struct config *config)
{
    TEXT_FREE char *whole = text_format("%s@%s", config->client_id.value, address_of(config));
    char *name = NULL;
    size_t size;
    FILE *out = text_must(open_memstream(&name, &size));
    for (const char *c = whole; *c != '\0'; c++)
        fprintf(out, isalnum((unsigned char)*c) || strchr("@.:-_", *c) != NULL ? "%c" : "%%%02X", (unsigned char)*c);
    fclose(out);
    return text_must(name);
}

/* NULL: there is nowhere to keep it, or nobody to keep it for. */
static char *token_path(const struct config *config)
{
    const char *run = getenv("XDG_RUNTIME_DIR"), *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (config->client_id.value == NULL)
        return NULL;
    TEXT_FREE char *name = file_name(config);
    if (run != NULL && run[0] == '/')
        return text_format("%s/gatehouse/%s", run, name);
    if (state != NULL && state[0] == '/')
        return text_format("%s/gatehouse/%s", state, name);
    return home == NULL ? NULL : text_format("%s/.local/state/gatehouse/%s", home, name);
}

char *login_token(const struct config *config)
{
    TEXT_FREE char *path = token_path(config);
    return path == NULL ? NULL : private_file_read(path);
}

bool login_keep(const struct config *config, const char *token)
{
    TEXT_FREE char *path = token_path(config);
    errno = ENOENT;
    return path != NULL && private_file_write(path, token);
}

void login_forget(const struct config *config)
{
    TEXT_FREE char *path = token_path(config);
    if (path != NULL)
        unlink(path);
}

/* Ends the token that was kept. False: the server did not say that it has ended; reported. */
static bool end_kept(struct context *context)
{
    TEXT_WIPE char *token = login_token(&context->config);
    if (token == NULL)
        return true;
    Gatehouse__V1__RevokeRequest request = GATEHOUSE__V1__REVOKE_REQUEST__INIT;
    struct gatehouse_call call = {0};
    TEXT_WIPE char *bearer = text_format("Bearer %s", token);
    request.token = token;
    MESSAGE_FREE void *response = auth_invoke_as(context, "Revoke", &request, bearer, &call);
    bool is_ended = response != NULL || call.status == GATEHOUSE_UNAUTHENTICATED; /* it had ended already */
    if (!is_ended && call.status != GATEHOUSE_OK)
        report_call(context, &call);
    if (is_ended)
        login_forget(&context->config);
    return is_ended;
}

enum exit_code run_login(struct context *context)
{
    const struct view view = {
        .columns = COLUMNS({"Logged in as", "clientId", NULL, 0}, {"At", "address", NULL, 0},
                           {"Ends, if unused", "expiresIn", column_duration, 0}),
        .value_keys = KEYS("clientId"),
    };
    Gatehouse__V1__IssueTokenRequest request = GATEHOUSE__V1__ISSUE_TOKEN_REQUEST__INIT;
    struct gatehouse_call call = {0};
    TEXT_WIPE char *secret = connection_secret(context);
    if (secret == NULL || !end_kept(context))
        return context->exit_code;
    request.client_id = context->config.client_id.value;
    request.client_secret = secret;
    MESSAGE_FREE Gatehouse__V1__IssueTokenResponse *response =
        auth_invoke_as(context, "IssueToken", &request, "", &call);
    if (response == NULL)
        return call.status == GATEHOUSE_OK ? context->exit_code : report_call(context, &call);
    bool is_kept = login_keep(&context->config, response->access_token);
    int why = errno;
    explicit_bzero(response->access_token, strlen(response->access_token));
    if (!is_kept)
        return report_usage(context, "cannot keep the token: %s", strerror(why));
    TEXT_FREE char *life = text_format("%lld"
                                       "s",
                                       (long long)(response->expires_in == NULL ? 0 : response->expires_in->seconds));
    json_t *answer = text_must(json_pack("{s:s, s:s, s:s}", "clientId", request.client_id, "address",
                                         address_of(&context->config), "expiresIn", life));
    output_record(context, answer, &view);
    json_decref(answer);
    return EXIT_DONE;
}

enum exit_code run_logout(struct context *context)
{
    if (context->config.client_id.value == NULL)
        return report_usage(context, "of whom? --client-id, or a context, says it");
    TEXT_WIPE char *token = login_token(&context->config);
    if (token == NULL) {
        fputs("Not logged in.\n", stderr);
        return EXIT_DONE;
    }
    if (!end_kept(context))
        return context->exit_code;
    if (context->format == OUTPUT_TABLE)
        puts("Logged out; the token has ended.");
    return EXIT_DONE;
}
