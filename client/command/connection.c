/* SPDX-License-Identifier: Apache-2.0 */
#include "connection.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "contract/contract.h"
#include "curl.h"
#include "login.h"
#include "report.h"
#include "secret.h"
#include "text.h"
#include "time_format.h"

enum { GOODBYE_MS = 2000, REQUEST_ID_BYTES = 8 };

struct connection {
    struct gatehouse *gatehouse;
    char *client_secret; /* to get another token when this one has ended; NULL: no client */
    char *authorization; /* "Bearer …"; NULL: none yet */
    bool is_kept;        /* it is that of `gatehouse login` */
    char *issued_token;  /* the one that is ours to end; NULL: none */
    char request_id[2 * REQUEST_ID_BYTES + 1];
};

void message_free(void *message_at)
{
    ProtobufCMessage **message = message_at;
    if (*message != NULL)
        protobuf_c_message_free_unpacked(*message, NULL);
    *message = NULL;
}

void message_set_string(char **field, const char *value)
{
    if (value != NULL)
        *field = (char *)(uintptr_t)value; /* a request that is packed is only read */
}

void *message_member(const void *message, const char *name)
{
    const ProtobufCMessage *base = message;
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(base->descriptor, name);
    return field == NULL ? NULL : (char *)(uintptr_t)message + field->offset;
}

static enum source stronger(const struct setting *a, const struct setting *b)
{
    return a->source > b->source ? a->source : b->source;
}

enum caller connection_caller(const struct config *config)
{
    enum source token = stronger(&config->token, &config->token_file);
    enum source client = config->client_id.source;
    if (client != SOURCE_NONE && stronger(&config->client_secret, &config->client_secret_file) > client)
        client = stronger(&config->client_secret, &config->client_secret_file);
    if (token == SOURCE_OPTION && client == SOURCE_OPTION)
        return CALLER_UNCLEAR;
    if (token == SOURCE_NONE && client == SOURCE_NONE)
        return CALLER_NONE;
    return token >= client ? CALLER_TOKEN : CALLER_CLIENT;
}

static char *read_setting(struct context *context, const struct setting *value, const struct setting *file, size_t max,
                          const char *what)
{
    if (value->source != SOURCE_NONE && value->source >= file->source)
        return text_copy(value->value);
    return secret_read(context, file->value, max, what);
}

/* What the server takes: a file that holds more is none of a secret key, and is not sent to it. */
static size_t longest_secret(void)
{
    struct contract *contract = contract_new(&gatehouse__v1__auth_service__descriptor);
    const struct contract_field *field =
        contract_field(contract, &gatehouse__v1__issue_token_request__descriptor, "client_secret");
    size_t max = field->max_bytes < SECRET_READ_MAX ? field->max_bytes : SECRET_READ_MAX;
    contract_free(contract);
    return max;
}

char *connection_secret(struct context *context)
{
    const struct config *config = &context->config;
    if (config->client_id.value == NULL ||
        stronger(&config->client_secret, &config->client_secret_file) == SOURCE_NONE) {
        report_usage(context, "needs %s (or the environment, see `gatehouse --help`)",
                     config->client_id.value == NULL ? "--client-id and --client-secret-file" : "--client-secret-file");
        return NULL;
    }
    return read_setting(context, &config->client_secret, &config->client_secret_file, longest_secret(), "secret key");
}

char *connection_token(struct context *context)
{
    return read_setting(context, &context->config.token, &context->config.token_file, SECRET_READ_MAX, "token");
}

static bool take_caller(struct context *context, struct connection *connection)
{
    const struct config *config = &context->config;
    switch (connection_caller(config)) {
    case CALLER_NONE:
        return true; /* mutual TLS may say it; if not, the server says what is missing */
    case CALLER_UNCLEAR:
        report_usage(context, "either --token-file or --client-id, not both");
        return false;
    case CALLER_TOKEN: {
        TEXT_WIPE char *token = connection_token(context);
        if (token != NULL)
            connection->authorization = text_format("Bearer %s", token);
        return token != NULL;
    }
    case CALLER_CLIENT: {
        TEXT_WIPE char *kept = login_token(config);
        connection->is_kept = kept != NULL;
        if (kept != NULL) {
            connection->authorization = text_format("Bearer %s", kept);
            return true; /* its secret key is read only if that has ended */
        }
        connection->client_secret = connection_secret(context);
        return connection->client_secret != NULL;
    }
    }
    return false;
}

static struct connection *open_connection(struct context *context)
{
    const struct config *config = &context->config;
    struct gatehouse_options options = {.address = config->address.value,
                                        .tls_ca_file = config->ca_file.value,
                                        .tls_cert_file = config->cert_file.value,
                                        .tls_key_file = config->key_file.value,
                                        .tls_server_name = config->server_name.value};
    char error[256] = "";
    int64_t timeout = 0;
    if (config->timeout.value != NULL && (!duration_parse(config->timeout.value, &timeout) || timeout == 0)) {
        report_usage(context, "the timeout \"%s\" is not a duration such as 10s", config->timeout.value);
        return NULL;
    }
    options.timeout_ms = timeout * 1000;
    setenv("GRPC_VERBOSITY", "NONE", 0); /* what it has to say comes back with the call */
    struct gatehouse *gatehouse = gatehouse_open(&options, error);
    if (gatehouse == NULL) {
        report_usage(context, "%s", error);
        return NULL;
    }
    struct connection *connection = text_must(calloc(1, sizeof *connection));
    connection->gatehouse = gatehouse;
    return connection;
}

static struct connection *get(struct context *context)
{
    if (context->connection == NULL)
        context->connection = open_connection(context);
    return context->connection;
}

static void *invoke(struct connection *connection, ProtobufCService *service, const char *method, const void *request,
                    const char *authorization, struct gatehouse_call *call)
{
    unsigned char random[REQUEST_ID_BYTES];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        memset(random, 0, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(connection->request_id + 2 * i, 3, "%02x", random[i]);
    *call = (struct gatehouse_call){
        .timeout_ms = call->timeout_ms, .authorization = authorization, .request_id = connection->request_id};
    return gatehouse_invoke(service, method, request, call);
}

void *auth_invoke_as(struct context *context, const char *method, const void *request, const char *authorization,
                     struct gatehouse_call *call)
{
    if (curl_is_wanted(context)) {
        curl_print(context, &gatehouse__v1__auth_service__descriptor, method, request);
        return NULL;
    }
    struct connection *connection = get(context);
    if (connection == NULL)
        return NULL;
    return invoke(connection, gatehouse_auth_service(connection->gatehouse), method, request, authorization, call);
}

void *admin_invoke_as(struct context *context, const char *method, const void *request, const char *authorization,
                      struct gatehouse_call *call)
{
    struct connection *connection = get(context);
    if (connection == NULL)
        return NULL;
    return invoke(connection, gatehouse_credential_admin(connection->gatehouse), method, request, authorization, call);
}

/* Gets a token of its own for the client ID and its secret key. */
static bool sign_in(struct context *context, struct connection *connection)
{
    Gatehouse__V1__IssueTokenRequest request = GATEHOUSE__V1__ISSUE_TOKEN_REQUEST__INIT;
    request.client_id = context->config.client_id.value;
    request.client_secret = connection->client_secret;
    struct gatehouse_call call = {0};
    MESSAGE_FREE Gatehouse__V1__IssueTokenResponse *response =
        auth_invoke_as(context, "IssueToken", &request.base, "", &call);
    if (response == NULL) {
        report_call(context, &call);
        return false;
    }
    text_wipe(&connection->authorization);
    text_wipe(&connection->issued_token);
    connection->authorization = text_format("Bearer %s", response->access_token);
    if (!connection->is_kept || !login_keep(&context->config, response->access_token))
        connection->issued_token = text_copy(response->access_token);
    explicit_bzero(response->access_token, strlen(response->access_token));
    return true;
}

static bool is_token_dead(const struct connection *connection, const struct gatehouse_call *call)
{
    return (connection->issued_token != NULL || connection->is_kept) && call->status == GATEHOUSE_UNAUTHENTICATED;
}

static void *invoke_as_caller(struct context *context, struct connection *connection, ProtobufCService *service,
                              const char *method, const void *request)
{
    bool is_new = connection->authorization == NULL && connection->client_secret == NULL;
    if (is_new && !take_caller(context, connection))
        return NULL;
    bool is_signed_in_now = connection->client_secret != NULL && connection->authorization == NULL;
    if (is_signed_in_now && !sign_in(context, connection))
        return NULL;

    struct gatehouse_call call = {0};
    for (;;) {
        const char *authorization = connection->authorization == NULL ? "" : connection->authorization;
        void *response = invoke(connection, service, method, request, authorization, &call);
        if (response != NULL)
            return response;
        if (is_signed_in_now || !is_token_dead(connection, &call)) {
            report_call(context, &call);
            return NULL;
        }
        is_signed_in_now = true; /* once */
        if (connection->client_secret == NULL)
            connection->client_secret = connection_secret(context);
        if (connection->client_secret == NULL)
            return NULL;
        if (!sign_in(context, connection))
            return NULL;
    }
}

void *admin_invoke(struct context *context, const char *method, const void *request)
{
    if (curl_is_wanted(context)) {
        curl_print(context, &gatehouse__v1__credential_admin__descriptor, method, request);
        return NULL;
    }
    struct connection *connection = get(context);
    if (connection == NULL)
        return NULL;
    ProtobufCService *service = gatehouse_credential_admin(connection->gatehouse);
    return invoke_as_caller(context, connection, service, method, request);
}

void *auth_invoke(struct context *context, const char *method, const void *request)
{
    if (curl_is_wanted(context)) {
        curl_print(context, &gatehouse__v1__auth_service__descriptor, method, request);
        return NULL;
    }
    struct connection *connection = get(context);
    if (connection == NULL)
        return NULL;
    return invoke_as_caller(context, connection, gatehouse_auth_service(connection->gatehouse), method, request);
}

/* A command that runs every minute must not leave twenty live tokens of an administrator behind. */
static void sign_out(struct connection *connection)
{
    Gatehouse__V1__RevokeRequest request = GATEHOUSE__V1__REVOKE_REQUEST__INIT;
    struct gatehouse_call call = {.timeout_ms = GOODBYE_MS};
    request.token = connection->issued_token;
    MESSAGE_FREE void *response = invoke(connection, gatehouse_auth_service(connection->gatehouse), "Revoke",
                                         &request.base, connection->authorization, &call);
    (void)response; /* where that fails, its idle timeout ends it */
}

void connection_close(struct context *context)
{
    struct connection *connection = context->connection;
    if (connection == NULL)
        return;
    if (connection->issued_token != NULL && context->exit_code != EXIT_UNREACHABLE)
        sign_out(connection);
    gatehouse_close(connection->gatehouse);
    text_wipe(&connection->client_secret);
    text_wipe(&connection->authorization);
    text_wipe(&connection->issued_token);
    free(connection);
    context->connection = NULL;
}
