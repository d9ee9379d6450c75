/* SPDX-License-Identifier: Apache-2.0 */
/* A program with one connection of libgatehouse, made of the environment. Each line of standard input is a command,
 * each gets a line back (storm: several). */
#include "driver.h"

#include <gatehouse/v1/credential_admin.pb-c.h>
#include <grpc/health/v1/health.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 110, LINE_MAX_BYTES = 16384 };

void print_error(const struct gatehouse_call *call)
{
    static const char *const names[] = {
        "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
        "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
        "DATA_LOSS", "UNAUTHENTICATED"};
    printf("error %s %s\n", names[call->status], call->reason);
}

void print_answer(const Gatehouse__V1__IntrospectResponse *answer)
{
    if (answer->active)
        printf("active %s %s", answer->allowed ? "allowed" : "denied", answer->credential_name);
    else
        printf("inactive");
}

static void introspect(struct gatehouse *gatehouse, char **words, size_t count)
{
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    struct gatehouse_call call = {0};
    request.token = words[1];
    request.required_roles = words + 2;
    request.n_required_roles = count - 2;
    Gatehouse__V1__IntrospectResponse *answer = gatehouse_introspect(gatehouse, &request, &call);
    if (answer == NULL) {
        print_error(&call);
        return;
    }
    print_answer(answer);
    printf("\n");
    gatehouse__v1__introspect_response__free_unpacked(answer, NULL);
}

static void batch(struct gatehouse *gatehouse, char **words, size_t count)
{
    static Gatehouse__V1__BatchIntrospectEntry each[WORDS_MAX];
    Gatehouse__V1__BatchIntrospectEntry *pointers[WORDS_MAX];
    Gatehouse__V1__BatchIntrospectRequest request = GATEHOUSE__V1__BATCH_INTROSPECT_REQUEST__INIT;
    struct gatehouse_call call = {0};
    for (size_t i = 0; i + 1 < count; i++) {
        each[i] = (Gatehouse__V1__BatchIntrospectEntry)GATEHOUSE__V1__BATCH_INTROSPECT_ENTRY__INIT;
        each[i].token = words[i + 1];
        pointers[i] = &each[i];
    }
    request.n_requests = count - 1;
    request.requests = pointers;
    Gatehouse__V1__BatchIntrospectResponse *answer = gatehouse_batch_introspect(gatehouse, &request, &call);
    if (answer == NULL) {
        print_error(&call);
        return;
    }
    for (size_t i = 0; i < answer->n_responses; i++) {
        printf("%s", i == 0 ? "" : ", ");
        print_answer(answer->responses[i]);
    }
    printf("\n");
    gatehouse__v1__batch_introspect_response__free_unpacked(answer, NULL);
}

static void issue(struct gatehouse *gatehouse, char **words)
{
    Gatehouse__V1__IssueTokenRequest request = GATEHOUSE__V1__ISSUE_TOKEN_REQUEST__INIT;
    struct gatehouse_call call = {0};
    request.client_id = words[1];
    request.client_secret = words[2];
    Gatehouse__V1__IssueTokenResponse *answer = gatehouse_issue_token(gatehouse, &request, &call);
    if (answer == NULL) {
        print_error(&call);
        return;
    }
    printf("%s\n", answer->access_token);
    gatehouse__v1__issue_token_response__free_unpacked(answer, NULL);
}

/* revoke TOKEN [CLIENT_ID SECRET] */
static void revoke(struct gatehouse *gatehouse, char **words, size_t count)
{
    Gatehouse__V1__RevokeRequest request = GATEHOUSE__V1__REVOKE_REQUEST__INIT;
    struct gatehouse_call call = {0};
    request.token = words[1];
    if (count > 3) {
        request.client_id = words[2];
        request.client_secret = words[3];
    }
    if (gatehouse_revoke(gatehouse, &request, &call) == GATEHOUSE_OK)
        printf("revoked\n");
    else
        print_error(&call);
}

static void list(struct gatehouse *gatehouse)
{
    Gatehouse__V1__ListCredentialsRequest request = GATEHOUSE__V1__LIST_CREDENTIALS_REQUEST__INIT;
    struct gatehouse_call call = {0};
    ProtobufCMessage *message =
        gatehouse_invoke(gatehouse_credential_admin(gatehouse), "ListCredentials", &request.base, &call);
    if (message == NULL) {
        print_error(&call);
        return;
    }
    Gatehouse__V1__ListCredentialsResponse *answer = (Gatehouse__V1__ListCredentialsResponse *)message;
    for (size_t i = 0; i < answer->n_credentials; i++)
        printf("%s%s", i == 0 ? "" : ", ", answer->credentials[i]->name);
    printf("\n");
    protobuf_c_message_free_unpacked(message, NULL);
}

static void health(struct gatehouse *gatehouse)
{
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    struct gatehouse_call call = {.authorization = ""};
    ProtobufCMessage *message = gatehouse_invoke(gatehouse_service(gatehouse, &grpc__health__v1__health__descriptor),
                                                 "Check", &request.base, &call);
    if (message == NULL) {
        print_error(&call);
        return;
    }
    printf("health %d\n", ((Grpc__Health__V1__HealthCheckResponse *)message)->status);
    protobuf_c_message_free_unpacked(message, NULL);
}

static size_t number_of(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? strtoul(value, NULL, 10) : 0;
}

static struct gatehouse *connect_as(const char *client_id, const char *client_secret)
{
    char error[256];
    const char *timeout = getenv("TIMEOUT_MS");
    struct gatehouse_options options = {
        .address = getenv("ADDRESS"),
        .tls_ca_file = getenv("CA_FILE"),
        .tls_cert_file = getenv("CERT_FILE"),
        .tls_key_file = getenv("KEY_FILE"),
        .tls_server_name = getenv("SERVER_NAME"),
        .access_token = getenv("ACCESS_TOKEN"),
        .client_id = client_id,
        .client_secret = client_secret,
        .timeout_ms = timeout != NULL ? atoi(timeout) : 60000,
        .cache_entries = number_of("CACHE_ENTRIES"),
        .cache_lease_ms = (int64_t)number_of("CACHE_LEASE_MS"),
    };
    struct gatehouse *gatehouse = gatehouse_open(&options, error);
    if (gatehouse == NULL) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    return gatehouse;
}

/* second CLIENT_ID SECRET TOKEN: by a connection of its own, which is closed again. */
static void second(char **words)
{
    struct gatehouse *gatehouse = connect_as(words[1], words[2]);
    introspect(gatehouse, (char *[]){words[0], words[3]}, 2);
    gatehouse_close(gatehouse);
}

/* closure TOKEN: with a second connection, as the same client. */
static void closure(struct gatehouse *gatehouse, char **words)
{
    struct gatehouse *other = connect_as(getenv("CLIENT_ID"), getenv("CLIENT_SECRET"));
    wait_in_a_closure(gatehouse, other, words[1]);
    gatehouse_close(other);
}

/* expire CLIENT_ID SECONDS */
static void expire(struct gatehouse *gatehouse, char **words)
{
    Gatehouse__V1__Credential credential = GATEHOUSE__V1__CREDENTIAL__INIT;
    Gatehouse__V1__UpdateCredentialRequest request = GATEHOUSE__V1__UPDATE_CREDENTIAL_REQUEST__INIT;
    Google__Protobuf__Timestamp time;
    Google__Protobuf__FieldMask mask;
    gatehouse_timestamp_init(&time);
    gatehouse_field_mask_init(&mask);
    time.seconds = atoll(words[2]);
    mask.n_paths = 1;
    mask.paths = (char *[]){"expire_time"};
    credential.client_id = words[1];
    credential.expire_time = &time;
    request.credential = &credential;
    request.update_mask = &mask;
    struct gatehouse_call call = {0};
    ProtobufCMessage *message =
        gatehouse_invoke(gatehouse_credential_admin(gatehouse), "UpdateCredential", &request.base, &call);
    if (message == NULL) {
        print_error(&call);
        return;
    }
    const Gatehouse__V1__UpdateCredentialResponse *answer = (Gatehouse__V1__UpdateCredentialResponse *)message;
    printf("expires %lld\n", (long long)answer->credential->expire_time->seconds);
    protobuf_c_message_free_unpacked(message, NULL);
}

static void obey(struct gatehouse *gatehouse, char **words, size_t count)
{
    if (strcmp(words[0], "introspect") == 0 && count > 1)
        introspect(gatehouse, words, count);
    else if (strcmp(words[0], "batch") == 0)
        batch(gatehouse, words, count);
    else if (strcmp(words[0], "issue") == 0 && count == 3)
        issue(gatehouse, words);
    else if (strcmp(words[0], "revoke") == 0 && count > 1)
        revoke(gatehouse, words, count);
    else if (strcmp(words[0], "list") == 0)
        list(gatehouse);
    else if (strcmp(words[0], "health") == 0)
        health(gatehouse);
    else if (strcmp(words[0], "second") == 0 && count == 4)
        second(words);
    else if (strcmp(words[0], "expire") == 0 && count == 3)
        expire(gatehouse, words);
    else if (strcmp(words[0], "fork") == 0 && count == 2)
        fork_and_use(gatehouse, words[1]);
    else if (strcmp(words[0], "closure") == 0 && count == 2)
        closure(gatehouse, words);
    else if (strcmp(words[0], "storm") == 0 && count == 4)
        storm(gatehouse, atoi(words[1]), atoi(words[2]), words[3]);
    else if (strcmp(words[0], "chase") == 0)
        chase(gatehouse);
    else if (!obey_cache(gatehouse, words, count))
        printf("what?\n");
}

int main(void)
{
    static char line[LINE_MAX_BYTES];
    setvbuf(stdout, NULL, _IOLBF, 0);
    char error[256] = "";
    if (gatehouse_open(NULL, error) != NULL || gatehouse_open(NULL, NULL) != NULL || error[0] == '\0')
        return 3;
    if (getenv("FORK_AFTER_CLOSE") != NULL) {
        gatehouse_close(connect_as(NULL, NULL));
        fork_and_open(getenv("ADDRESS"));
    }
    struct gatehouse *gatehouse = connect_as(getenv("CLIENT_ID"), getenv("CLIENT_SECRET"));
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *words[WORDS_MAX], *rest = line;
        size_t count = 0;
        for (char *word; count < WORDS_MAX && (word = strsep(&rest, " \n")) != NULL;)
            if (*word != '\0')
                words[count++] = word;
        if (count > 0)
            obey(gatehouse, words, count);
    }
    gatehouse_close(gatehouse);
    return 0;
}
