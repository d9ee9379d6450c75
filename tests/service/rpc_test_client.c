/* SPDX-License-Identifier: Apache-2.0 */
/* The client library against rpc_test_server, which is started here: argv[1] the server, argv[2] its descriptor set. */
#include "gatehouse.h"

#include <echo.pb-c.h>
#include <fcntl.h>
#include <gatehouse/v1/auth.pb-c.h>
#include <grpc/health/v1/health.pb-c.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* after the standard headers that it needs */
#include <cmocka.h>

struct fixture {
    pid_t pid;
    FILE *in, *out; /* the server's standard input and output */
    char address[32];
};

static char **arguments; /* of main: cmocka's setup functions take none */

/* `certificates`: a directory with server.pem, server.key and ca.pem for mutual TLS; NULL: no TLS. */
static void server_begin(struct fixture *fixture, const char *address, const char *certificates)
{
    char cert[128], key[128], ca[128];
    snprintf(cert, sizeof cert, "%s/server.pem", certificates != NULL ? certificates : "");
    snprintf(key, sizeof key, "%s/server.key", certificates != NULL ? certificates : "");
    snprintf(ca, sizeof ca, "%s/ca.pem", certificates != NULL ? certificates : "");
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0); /* a second server does not keep the first one's open */
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    fixture->pid = fork();
    if (fixture->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        close(out[0]);
        if (certificates != NULL)
            execl(arguments[1], arguments[1], "-p", arguments[2], "-a", address, "-c", cert, "-k", key, "-m", ca,
                  (char *)NULL);
        else
            execl(arguments[1], arguments[1], "-p", arguments[2], "-a", address, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    fixture->in = fdopen(in[1], "w");
    fixture->out = fdopen(out[0], "r");
    int port = 0;
    assert_int_equal(fscanf(fixture->out, "port %d", &port), 1);
    assert_int_equal(fgetc(fixture->out), '\n');
    snprintf(fixture->address, sizeof fixture->address, "127.0.0.1:%d", port);
}

static int start_server(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    server_begin(fixture, "127.0.0.1:0", NULL);
    *state = fixture;
    return 0;
}

static void server_end(struct fixture *fixture)
{
    int status;
    fclose(fixture->in);
    assert_int_equal(waitpid(fixture->pid, &status, 0), fixture->pid);
    fclose(fixture->out);
    assert_int_equal(status, 0);
}

static int stop_server(void **state)
{
    server_end(*state);
    free(*state);
    return 0;
}

static void order(struct fixture *fixture, const char *line)
{
    char answer[32];
    fprintf(fixture->in, "%s\n", line);
    fflush(fixture->in);
    assert_non_null(fgets(answer, sizeof answer, fixture->out));
    assert_string_equal(answer, "ok\n");
}

static struct gatehouse *open_with(const struct fixture *fixture, struct gatehouse_options options)
{
    char error[256];
    options.address = fixture->address;
    struct gatehouse *gatehouse = gatehouse_open(&options, error);
    if (gatehouse == NULL)
        fail_msg("%s", error);
    return gatehouse;
}

static ProtobufCService *echo_service(struct gatehouse *gatehouse)
{
    return gatehouse_service(gatehouse, &echo__v1__echo_service__descriptor);
}

static Echo__V1__EchoResponse *invoke_echo(struct gatehouse *gatehouse, const char *method, int32_t delay_ms,
                                           struct gatehouse_call *call)
{
    Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;
    request.text = (char[]){"hello"};
    request.delay_ms = delay_ms;
    return (Echo__V1__EchoResponse *)gatehouse_invoke(echo_service(gatehouse), method, &request.base, call);
}

static void free_echo(Echo__V1__EchoResponse *response)
{
    protobuf_c_message_free_unpacked(&response->base, NULL);
}

static Echo__V1__GetCountsResponse *get_counts(struct gatehouse *gatehouse)
{
    Echo__V1__GetCountsRequest request = ECHO__V1__GET_COUNTS_REQUEST__INIT;
    struct gatehouse_call call = {.authorization = ""};
    ProtobufCMessage *response = gatehouse_invoke(echo_service(gatehouse), "GetCounts", &request.base, &call);
    assert_non_null(response);
    return (Echo__V1__GetCountsResponse *)response;
}

static void a_call_carries_its_metadata_and_is_answered(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){.access_token = "abc"});
    struct gatehouse_call call = {.timeout_ms = 20000, .request_id = "r-1", .traceparent = "00-1-2-01"};
    Echo__V1__EchoResponse *response = invoke_echo(gatehouse, "Echo", 0, &call);
    assert_non_null(response);
    assert_int_equal(call.status, GATEHOUSE_OK);
    assert_string_equal(response->text, "hello");
    assert_string_equal(response->authorization, "Bearer abc");
    assert_string_equal(response->request_id, "r-1");
    assert_string_equal(response->traceparent, "00-1-2-01");
    assert_in_range(response->time_left_ms, 1, 21000); /* on the wire it is rounded up */
    free_echo(response);

    call.authorization = "";
    response = invoke_echo(gatehouse, "Echo", 0, &call);
    assert_string_equal(response->authorization, "");
    free_echo(response);
    call.authorization = "Basic eA==";
    response = invoke_echo(gatehouse, "Echo", 0, &call);
    assert_string_equal(response->authorization, "Basic eA==");
    free_echo(response);
    gatehouse_close(gatehouse);
}

static void a_header_with_a_line_break_is_refused(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){0});
    struct gatehouse_call call = {.authorization = "Bearer a\r\nx: y"};
    assert_null(invoke_echo(gatehouse, "Echo", 0, &call));
    assert_int_equal(call.status, GATEHOUSE_INVALID_ARGUMENT);
    gatehouse_close(gatehouse);
    struct gatehouse_options options = {.access_token = "a\nb"};
    assert_null(gatehouse_open(&options, NULL));
}

static void an_error_comes_with_its_details(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){0});
    Echo__V1__FailRequest request = ECHO__V1__FAIL_REQUEST__INIT;
    struct gatehouse_call call = {0};
    request.kind = (char[]){"reason"};
    assert_null(gatehouse_invoke(echo_service(gatehouse), "Fail", &request.base, &call));
    assert_int_equal(call.status, GATEHOUSE_NOT_FOUND);
    assert_string_equal(call.reason, "NO_SUCH_THING");
    assert_string_equal(call.message, "there is no \"thing\" – nowhere");
    request.kind = (char[]){"field"};
    assert_null(gatehouse_invoke(echo_service(gatehouse), "Fail", &request.base, &call));
    assert_int_equal(call.status, GATEHOUSE_INVALID_ARGUMENT);
    assert_string_equal(call.field, "thing.name");
    request.kind = (char[]){"retry"};
    assert_null(gatehouse_invoke(echo_service(gatehouse), "Fail", &request.base, &call));
    assert_int_equal(call.status, GATEHOUSE_RESOURCE_EXHAUSTED);
    assert_int_equal(call.retry_after_ms, 1500);
    assert_string_equal(call.field, "");
    request.kind = (char[]){"silent"};
    assert_null(gatehouse_invoke(echo_service(gatehouse), "Fail", &request.base, &call));
    assert_int_equal(call.status, GATEHOUSE_INTERNAL);
    gatehouse_close(gatehouse);
}

static void a_method_that_the_service_has_not_is_unimplemented(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){0});
    struct gatehouse_call call = {0};
    assert_null(invoke_echo(gatehouse, "Nonsense", 0, &call));
    assert_int_equal(call.status, GATEHOUSE_UNIMPLEMENTED);
    gatehouse_close(gatehouse);
}

static void a_deadline_ends_a_call(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){.timeout_ms = 100});
    struct gatehouse_call call = {0};
    assert_null(invoke_echo(gatehouse, "EchoLater", 60000, &call));
    assert_int_equal(call.status, GATEHOUSE_DEADLINE_EXCEEDED);
    gatehouse_close(gatehouse);
}

static Echo__V1__EchoResponse *invoke_flaky(struct gatehouse *gatehouse, const char *method, const char *key,
                                            int32_t times, struct gatehouse_call *call)
{
    Echo__V1__FlakyRequest request = ECHO__V1__FLAKY_REQUEST__INIT;
    request.key = (char *)(uintptr_t)key;
    request.times = times;
    return (Echo__V1__EchoResponse *)gatehouse_invoke(echo_service(gatehouse), method, &request.base, call);
}

/* Of a method that may be retried. */
static Gatehouse__V1__IntrospectRequest flaky_introspection(const char *key, const char *times)
{
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    request.token = (char *)(uintptr_t)key;
    request.api = (char *)(uintptr_t)times;
    return request;
}

static void an_idempotent_call_that_is_unavailable_is_tried_again(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){.timeout_ms = 30000});
    struct gatehouse_call call = {0};
    Gatehouse__V1__IntrospectRequest request = flaky_introspection("again", "3");
    Gatehouse__V1__IntrospectResponse *response = gatehouse_introspect(gatehouse, &request, &call);
    assert_non_null(response);
    assert_int_equal(call.status, GATEHOUSE_OK);
    assert_string_equal(call.reason, "");
    gatehouse__v1__introspect_response__free_unpacked(response, NULL);
    gatehouse_close(gatehouse);
}

static void a_call_that_is_not_idempotent_is_tried_once(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){0});
    struct gatehouse_call call = {0};
    assert_null(invoke_flaky(gatehouse, "PutFlaky", "once", 1, &call));
    assert_int_equal(call.status, GATEHOUSE_UNAVAILABLE);
    assert_string_equal(call.reason, "FLAKY");
    assert_int_equal(call.retry_after_ms, 20);
    gatehouse_close(gatehouse);
}

static void retries_end_at_last(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){.timeout_ms = 30000});
    Echo__V1__GetCountsResponse *before = get_counts(gatehouse);
    struct gatehouse_call call = {0};
    Gatehouse__V1__IntrospectRequest request = flaky_introspection("never", "1000");
    assert_null(gatehouse_introspect(gatehouse, &request, &call));
    assert_int_equal(call.status, GATEHOUSE_UNAVAILABLE);
    Echo__V1__GetCountsResponse *after = get_counts(gatehouse);
    assert_int_equal(after->flaky - before->flaky, 6);
    protobuf_c_message_free_unpacked(&before->base, NULL);
    protobuf_c_message_free_unpacked(&after->base, NULL);
    gatehouse_close(gatehouse);
}

static void retries_keep_within_the_deadline(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){0});
    Echo__V1__GetCountsResponse *before = get_counts(gatehouse);
    struct gatehouse_call call = {.timeout_ms = 250};
    Gatehouse__V1__IntrospectRequest request = flaky_introspection("short", "1000");
    assert_null(gatehouse_introspect(gatehouse, &request, &call));
    assert_true(call.status == GATEHOUSE_UNAVAILABLE || call.status == GATEHOUSE_DEADLINE_EXCEEDED);
    Echo__V1__GetCountsResponse *after = get_counts(gatehouse);
    assert_in_range(after->flaky - before->flaky, 0, 4); /* six wait for two seconds in between */
    protobuf_c_message_free_unpacked(&before->base, NULL);
    protobuf_c_message_free_unpacked(&after->base, NULL);
    gatehouse_close(gatehouse);
}

static void a_server_that_is_not_there_is_unavailable(void **state)
{
    (void)state;
    struct gatehouse_options options = {.address = "unix:/nonexistent/socket", .timeout_ms = 20000};
    struct gatehouse *gatehouse = gatehouse_open(&options, NULL);
    struct gatehouse_call call = {0};
    assert_null(invoke_echo(gatehouse, "Echo", 0, &call));
    assert_int_equal(call.status, GATEHOUSE_UNAVAILABLE);
    gatehouse_close(gatehouse);
}

static void a_restart_of_the_server_is_ridden_out(void **state)
{
    (void)state;
    struct fixture server = {0};
    server_begin(&server, "127.0.0.1:0", NULL);
    struct gatehouse *gatehouse = open_with(&server, (struct gatehouse_options){.timeout_ms = 30000});
    Echo__V1__GetCountsResponse *counts = get_counts(gatehouse);
    protobuf_c_message_free_unpacked(&counts->base, NULL);
    char address[32];
    memcpy(address, server.address, sizeof address);
    server_end(&server);
    server_begin(&server, address, NULL);
    Gatehouse__V1__IntrospectRequest request = flaky_introspection("restart", "0");
    struct gatehouse_call call = {0};
    Gatehouse__V1__IntrospectResponse *response = gatehouse_introspect(gatehouse, &request, &call);
    assert_non_null(response); /* the connection is broken, and the call is idempotent */
    gatehouse__v1__introspect_response__free_unpacked(response, NULL);
    gatehouse_close(gatehouse);
    server_end(&server);
}

static void a_token_is_got_and_renewed_when_it_has_died(void **state)
{
    struct gatehouse *gatehouse =
        open_with(*state, (struct gatehouse_options){.client_id = "client", .client_secret = "secret"});
    struct gatehouse_call call = {0};
    Echo__V1__EchoResponse *first = invoke_echo(gatehouse, "GetSecret", 0, &call);
    Echo__V1__EchoResponse *second = invoke_echo(gatehouse, "GetSecret", 0, &call);
    assert_non_null(first);
    assert_non_null(second);
    assert_string_equal(first->authorization, second->authorization);
    order(*state, "expire");
    Echo__V1__EchoResponse *third = invoke_echo(gatehouse, "GetSecret", 0, &call);
    assert_non_null(third);
    assert_int_equal(call.status, GATEHOUSE_OK);
    assert_string_not_equal(first->authorization, third->authorization);
    free_echo(first);
    free_echo(second);
    free_echo(third);
    gatehouse_close(gatehouse);
}

static void a_wrong_secret_is_told_to_each_call(void **state)
{
    struct gatehouse *gatehouse =
        open_with(*state, (struct gatehouse_options){.client_id = "client", .client_secret = "wrong"});
    for (int i = 0; i < 2; i++) {
        struct gatehouse_call call = {0};
        assert_null(invoke_echo(gatehouse, "GetSecret", 0, &call));
        assert_int_equal(call.status, GATEHOUSE_UNAUTHENTICATED);
        assert_string_equal(call.reason, "INVALID_CLIENT");
    }
    gatehouse_close(gatehouse);
}

static void a_token_of_the_callers_own_is_never_renewed(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){.access_token = "dead"});
    struct gatehouse_call call = {0};
    assert_null(invoke_echo(gatehouse, "GetSecret", 0, &call));
    assert_int_equal(call.status, GATEHOUSE_UNAUTHENTICATED);
    assert_string_equal(call.reason, "CALLER_UNKNOWN");
    gatehouse_close(gatehouse);
}

/* Calls whose closure counts */
struct counted {
    struct gatehouse_call call; /* first */
    sem_t *done;
    bool has_response;
};

static void count(const ProtobufCMessage *response, void *data)
{
    struct counted *counted = data;
    counted->has_response = response != NULL;
    sem_post(counted->done);
}

static void wait_for(sem_t *semaphore, int times)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    for (int i = 0; i < times; i++)
        assert_int_equal(sem_timedwait(semaphore, &until), 0);
}

enum { MANY = 200 };

static void many_calls_share_one_new_token(void **state)
{
    struct gatehouse *gatehouse = open_with(
        *state, (struct gatehouse_options){.client_id = "client", .client_secret = "secret", .timeout_ms = 60000});
    static struct counted calls[MANY];
    sem_t done;
    sem_init(&done, 0, 0);
    Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;
    for (int round = 0; round < 2; round++) {
        Echo__V1__GetCountsResponse *before = get_counts(gatehouse);
        for (int i = 0; i < MANY; i++) {
            calls[i] = (struct counted){.done = &done};
            echo__v1__echo_service__get_secret(echo_service(gatehouse), &request, (Echo__V1__EchoResponse_Closure)count,
                                               &calls[i]);
        }
        wait_for(&done, MANY);
        for (int i = 0; i < MANY; i++)
            assert_int_equal(calls[i].call.status, GATEHOUSE_OK);
        Echo__V1__GetCountsResponse *after = get_counts(gatehouse);
        assert_int_equal(after->issued - before->issued, 1);
        protobuf_c_message_free_unpacked(&before->base, NULL);
        protobuf_c_message_free_unpacked(&after->base, NULL);
        order(*state, "expire");
    }
    gatehouse_close(gatehouse);
    sem_destroy(&done);
}

static void a_cancelled_call_ends_at_once_and_the_server_hears_of_it(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){.timeout_ms = 120000});
    Echo__V1__GetCountsResponse *before = get_counts(gatehouse);
    sem_t done;
    sem_init(&done, 0, 0);
    Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;
    request.delay_ms = 100000;
    struct counted call = {.done = &done};
    echo__v1__echo_service__echo_later(echo_service(gatehouse), &request, (Echo__V1__EchoResponse_Closure)count, &call);
    Echo__V1__GetCountsResponse *between = get_counts(gatehouse); /* behind it on the same connection */
    protobuf_c_message_free_unpacked(&between->base, NULL);
    gatehouse_call_cancel(&call.call);
    wait_for(&done, 1);
    assert_int_equal(call.call.status, GATEHOUSE_CANCELLED);
    gatehouse_call_cancel(&call.call); /* too late, and harmless */
    int64_t cancelled;
    do {
        Echo__V1__GetCountsResponse *after = get_counts(gatehouse);
        cancelled = after->cancelled - before->cancelled;
        protobuf_c_message_free_unpacked(&after->base, NULL);
    } while (cancelled == 0);
    assert_int_equal(cancelled, 1);
    protobuf_c_message_free_unpacked(&before->base, NULL);
    gatehouse_close(gatehouse);
    sem_destroy(&done);
}

static void a_call_that_waits_for_its_next_attempt_can_be_cancelled(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){.timeout_ms = 120000});
    sem_t done;
    sem_init(&done, 0, 0);
    Gatehouse__V1__IntrospectRequest request = flaky_introspection("cancel", "1000");
    struct counted call = {.done = &done};
    gatehouse__v1__auth_service__introspect(gatehouse_auth_service(gatehouse), &request,
                                            (Gatehouse__V1__IntrospectResponse_Closure)count, &call);
    Echo__V1__GetCountsResponse *between = get_counts(gatehouse);
    protobuf_c_message_free_unpacked(&between->base, NULL);
    gatehouse_call_cancel(&call.call);
    wait_for(&done, 1);
    assert_int_equal(call.call.status, GATEHOUSE_CANCELLED);
    gatehouse_close(gatehouse);
    sem_destroy(&done);
}

static void closing_cancels_what_is_under_way(void **state)
{
    static struct counted calls[MANY];
    sem_t done;
    sem_init(&done, 0, 0);
    Echo__V1__EchoRequest request = ECHO__V1__ECHO_REQUEST__INIT;
    for (int round = 0; round < 3; round++) {
        struct gatehouse *gatehouse = open_with(
            *state, (struct gatehouse_options){.timeout_ms = 120000, .client_id = "client", .client_secret = "secret"});
        request.delay_ms = 100000;
        for (int i = 0; i < MANY; i++) {
            calls[i] = (struct counted){.done = &done};
            echo__v1__echo_service__echo_later(echo_service(gatehouse), &request, (Echo__V1__EchoResponse_Closure)count,
                                               &calls[i]);
        }
        if (round > 0) { /* else some still wait for the token */
            Echo__V1__GetCountsResponse *between = get_counts(gatehouse);
            protobuf_c_message_free_unpacked(&between->base, NULL);
        }
        gatehouse_close(gatehouse);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(sem_trywait(&done), 0); /* each closure has run before close returned */
            assert_int_equal(calls[i].call.status, GATEHOUSE_CANCELLED);
            assert_null(calls[i].call.internal);
        }
    }
    sem_destroy(&done);
}

static void *call_often(void *data)
{
    struct gatehouse *gatehouse = data;
    for (int i = 0; i < 300; i++) {
        struct gatehouse_call call = {.timeout_ms = 60000};
        Echo__V1__EchoResponse *response = invoke_echo(gatehouse, i % 2 ? "EchoLater" : "GetSecret", 0, &call);
        if (response == NULL)
            return (void *)(uintptr_t)"failed";
        free_echo(response);
    }
    return NULL;
}

static void any_thread_may_call_while_tokens_die(void **state)
{
    struct gatehouse *gatehouse =
        open_with(*state, (struct gatehouse_options){.client_id = "client", .client_secret = "secret"});
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, gatehouse), 0);
    order(*state, "expire");
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    gatehouse_close(gatehouse);
}

static void other_services_can_be_called(void **state)
{
    struct gatehouse *gatehouse = open_with(*state, (struct gatehouse_options){0});
    ProtobufCService *health = gatehouse_service(gatehouse, &grpc__health__v1__health__descriptor);
    assert_ptr_equal(health, gatehouse_service(gatehouse, &grpc__health__v1__health__descriptor));
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    ProtobufCMessage *response = gatehouse_invoke(health, "Check", &request.base, NULL);
    assert_non_null(response);
    assert_int_equal(((Grpc__Health__V1__HealthCheckResponse *)response)->status,
                     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
    protobuf_c_message_free_unpacked(response, NULL);
    gatehouse_close(gatehouse);
}

/* An authority, and a certificate each for the server and a client. */
static const char make_certificates[] =
    "cd '%s' && exec 2>/dev/null && new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes' && "
    "openssl req -x509 $new -days 2 -subj /CN=authority -keyout ca.key -out ca.pem && "
    "echo subjectAltName=DNS:localhost >server.ext && echo subjectAltName=DNS:billing.internal >client.ext && "
    "for name in server client; do "
    "openssl req -new $new -subj /CN=$name -keyout $name.key -out $name.csr && "
    "openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext "
    "-out $name.pem || exit 1; done";

static void mutual_tls_makes_the_client_known_and_checks_the_servers_name(void **state)
{
    (void)state;
    char directory[] = "/tmp/rpc_test_client.XXXXXX", command[1024], ca[128], cert[128], key[128];
    assert_non_null(mkdtemp(directory));
    snprintf(command, sizeof command, make_certificates, directory);
    assert_int_equal(system(command), 0);
    snprintf(ca, sizeof ca, "%s/ca.pem", directory);
    snprintf(cert, sizeof cert, "%s/client.pem", directory);
    snprintf(key, sizeof key, "%s/client.key", directory);
    struct fixture server = {0};
    server_begin(&server, "127.0.0.1:0", directory);

    struct gatehouse_options options = {
        .tls_ca_file = ca, .tls_cert_file = cert, .tls_key_file = key, .tls_server_name = "localhost"};
    struct gatehouse *gatehouse = open_with(&server, options);
    struct gatehouse_call call = {.timeout_ms = 60000};
    Echo__V1__EchoResponse *response = invoke_echo(gatehouse, "Echo", 0, &call);
    assert_non_null(response);
    assert_int_equal(response->n_identities, 1);
    assert_string_equal(response->identities[0], "billing.internal");
    free_echo(response);
    gatehouse_close(gatehouse);

    const struct gatehouse_options refused[] = {
        {.tls_ca_file = ca, .tls_server_name = "localhost"},
        {.tls_ca_file = ca, .tls_cert_file = cert, .tls_key_file = key, .tls_server_name = "elsewhere"},
        {.tls_ca_file = cert, .tls_cert_file = cert, .tls_key_file = key, .tls_server_name = "localhost"},
        {0},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        gatehouse = open_with(&server, refused[i]);
        assert_null(invoke_echo(gatehouse, "Echo", 0, &call));
        assert_int_equal(call.status, GATEHOUSE_UNAVAILABLE);
        gatehouse_close(gatehouse);
    }
    server_end(&server);
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    assert_int_equal(system(command), 0);
}

static void options_that_make_no_sense_are_refused_with_a_reason(void **state)
{
    (void)state;
    const struct gatehouse_options bad[] = {
        {.address = ""},
        {.address = "nonsense"},
        {.address = ":1"},
        {.address = "host:99999"},
        {.address = "host:port"},
        {.client_id = "alone"},
        {.client_secret = "alone"},
        {.tls_cert_file = "/dev/null"},
        {.tls_ca_file = "/nonexistent"},
        {.tls_ca_file = "/dev/null"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char error[256] = "";
        assert_null(gatehouse_open(&bad[i], error));
        assert_string_not_equal(error, "");
    }
    gatehouse_close(NULL);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    arguments = argv;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_carries_its_metadata_and_is_answered),
        cmocka_unit_test(a_header_with_a_line_break_is_refused),
        cmocka_unit_test(an_error_comes_with_its_details),
        cmocka_unit_test(a_method_that_the_service_has_not_is_unimplemented),
        cmocka_unit_test(a_deadline_ends_a_call),
        cmocka_unit_test(an_idempotent_call_that_is_unavailable_is_tried_again),
        cmocka_unit_test(a_call_that_is_not_idempotent_is_tried_once),
        cmocka_unit_test(retries_end_at_last),
        cmocka_unit_test(retries_keep_within_the_deadline),
        cmocka_unit_test(a_server_that_is_not_there_is_unavailable),
        cmocka_unit_test(a_restart_of_the_server_is_ridden_out),
        cmocka_unit_test(a_token_is_got_and_renewed_when_it_has_died),
        cmocka_unit_test(a_wrong_secret_is_told_to_each_call),
        cmocka_unit_test(a_token_of_the_callers_own_is_never_renewed),
        cmocka_unit_test(many_calls_share_one_new_token),
        cmocka_unit_test(a_cancelled_call_ends_at_once_and_the_server_hears_of_it),
        cmocka_unit_test(a_call_that_waits_for_its_next_attempt_can_be_cancelled),
        cmocka_unit_test(closing_cancels_what_is_under_way),
        cmocka_unit_test(any_thread_may_call_while_tokens_die),
        cmocka_unit_test(other_services_can_be_called),
        cmocka_unit_test(mutual_tls_makes_the_client_known_and_checks_the_servers_name),
        cmocka_unit_test(options_that_make_no_sense_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
