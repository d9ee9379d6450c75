/* SPDX-License-Identifier: Apache-2.0 */
/* A server for the tests of the RPC layer and of the client. It prints its port, then obeys lines on standard input:
 * "reload", "serving 0", "serving 1", "expire" (all tokens of the fake AuthService), "stop MILLISECONDS" (grace). Each
 * is answered by a line. End of input stops it as well. */
#include "base/clock.h"
#include "base/log.h"
#include "rpc/server.h"

#include <echo.pb-c.h>
#include <gatehouse/v1/auth.pb-c.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct waiting { /* an EchoLater, a Repeat or a Talk that is under way */
    struct waiting *next;
    struct call *call;
    ProtobufCClosure closure;
    char *text;
    int64_t due;  /* EchoLater: when to answer */
    int32_t left; /* Repeat, Talk: messages to send yet */
    bool is_cancelled, fail_at_end;
};

enum { FLAKY_KEYS = 64 };

struct test_server {
    ProtobufCService echo; /* first */
    ProtobufCService auth;
    struct rpc_server *rpc;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct waiting *later, *repeats, *talks;
    bool is_stopping;
    char last_method[64], last_status[32];
    char flaky_key[FLAKY_KEYS][32];
    int flaky_failed[FLAKY_KEYS];
    int64_t flaky;
    int64_t issued, valid_from; /* tokens are numbered; older ones are dead */
    atomic_llong cancelled, ended, ended_well;
};

static struct test_server *server_of(struct call *call)
{
    return call->handler_data;
}

static void fill_echo(Echo__V1__EchoResponse *response, const struct call *call)
{
    echo__v1__echo_response__init(response);
    response->authorization = (char *)(uintptr_t)(call->authorization != NULL ? call->authorization : "");
    response->peer = (char *)(uintptr_t)call->peer;
    response->request_id = (char *)(uintptr_t)call->request_id;
    response->traceparent = (char *)(uintptr_t)(call->traceparent != NULL ? call->traceparent : "");
    response->method = (char *)(uintptr_t)call->method;
    response->identities = (char **)(uintptr_t)call->identities;
    while (call->identities[response->n_identities] != NULL)
        response->n_identities++;
    response->time_left_ms = call->deadline == INT64_MAX ? -1 : (call->deadline - clock_monotonic()) / 1000;
}

static void echo(struct call *call, const char *text, ProtobufCClosure closure)
{
    Echo__V1__EchoResponse response;
    fill_echo(&response, call);
    response.text = (char *)(uintptr_t)text;
    closure(&response.base, call);
}

/* EchoLater */

static void on_later_cancelled(struct call *call)
{
    struct test_server *server = server_of(call);
    pthread_mutex_lock(&server->lock);
    for (struct waiting *one = server->later; one != NULL; one = one->next)
        if (one->call == call)
            one->is_cancelled = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void echo_later(struct test_server *server, const Echo__V1__EchoRequest *request, ProtobufCClosure closure,
                       struct call *call)
{
    struct waiting *one = calloc(1, sizeof *one);
    *one = (struct waiting){.call = call,
                            .closure = closure,
                            .text = request->text,
                            .due = clock_monotonic() + request->delay_ms * INT64_C(1000)};
    call->handler_data = server;
    call->on_cancel = on_later_cancelled;
    pthread_mutex_lock(&server->lock);
    one->next = server->later;
    server->later = one;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* Under the lock: takes out one that is due or cancelled, else says when the next one is. */
static struct waiting *take_due(struct test_server *server, int64_t *next_due)
{
    *next_due = INT64_MAX;
    for (struct waiting **at = &server->later; *at != NULL; at = &(*at)->next) {
        struct waiting *one = *at;
        if (one->is_cancelled || one->due <= clock_monotonic()) {
            *at = one->next;
            return one;
        }
        if (one->due < *next_due)
            *next_due = one->due;
    }
    return NULL;
}

static void answer_later(struct test_server *server, struct waiting *one)
{
    if (one->is_cancelled) {
        atomic_fetch_add(&server->cancelled, 1);
        (void)call_fail(one->call, STATUS_CANCELLED, "CANCELLED", "cancelled");
        one->closure(NULL, one->call);
    } else {
        echo(one->call, one->text, one->closure);
    }
    free(one);
}

/* Talk */

/* Takes a call's own out; NULL: it has ended. */
static struct waiting *end_talk(struct call *call)
{
    struct test_server *server = server_of(call);
    struct waiting *found = NULL;
    pthread_mutex_lock(&server->lock);
    for (struct waiting **at = &server->talks; *at != NULL; at = &(*at)->next)
        if ((*at)->call == call) {
            found = *at;
            *at = found->next;
            break;
        }
    pthread_mutex_unlock(&server->lock);
    return found;
}

static void on_talk_cancelled(struct call *call)
{
    struct waiting *one = end_talk(call);
    if (one == NULL)
        return;
    atomic_fetch_add(&server_of(call)->cancelled, 1);
    one->closure(NULL, call);
    free(one);
}

static void on_talk_half_closed(struct call *call)
{
    struct waiting *one = end_talk(call);
    if (one == NULL)
        return;
    echo(call, "good bye", one->closure);
    one->closure(NULL, call);
    free(one);
}

static void on_talk_finish(struct call *call)
{
    struct waiting *one = end_talk(call);
    if (one == NULL)
        return;
    (void)call_fail(call, STATUS_UNAVAILABLE, "FINISH", "it is time to go");
    one->closure(NULL, call);
    free(one);
}

/* "stop" ends it; "leave" as well, from the other side; "quiet" gets no answer, anything else an echo; delay_ms is how
 * many messages the other thread says, unasked. */
static void talk(struct test_server *server, const Echo__V1__EchoRequest *request, ProtobufCClosure closure,
                 struct call *call)
{
    if (call->handler_data == NULL) {
        struct waiting *one = calloc(1, sizeof *one);
        *one = (struct waiting){.call = call, .closure = closure};
        call->handler_data = server;
        call->on_cancel = on_talk_cancelled;
        rpc_call_converse(call, on_talk_half_closed);
        pthread_mutex_lock(&server->lock);
        one->next = server->talks;
        server->talks = one;
        pthread_mutex_unlock(&server->lock);
        rpc_call_on_finish(call, on_talk_finish);
    }
    if (strcmp(request->text, "stop") == 0) {
        struct waiting *mine = end_talk(call);
        if (mine != NULL) {
            (void)call_fail(call, STATUS_ABORTED, "STOPPED", "as you like");
            closure(NULL, call);
        }
        free(mine);
        return;
    }
    pthread_mutex_lock(&server->lock);
    struct waiting *one = server->talks;
    while (one != NULL && one->call != call)
        one = one->next;
    if (one != NULL && strcmp(request->text, "quiet") != 0 && rpc_call_has_room(call))
        echo(call, request->text, closure);
    if (one != NULL)
        one->left += request->delay_ms;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    rpc_call_read_next(call);
}

/* Under the lock. Are there more to come? */
static bool say_unasked(struct test_server *server)
{
    bool is_more = false;
    for (struct waiting *one = server->talks; one != NULL; one = one->next) {
        if (one->left > 0 && rpc_call_has_room(one->call)) {
            echo(one->call, "unasked", one->closure);
            one->left--;
        }
        is_more = is_more || one->left > 0;
    }
    return is_more;
}

static void *run_later(void *data)
{
    struct test_server *server = data;
    pthread_mutex_lock(&server->lock);
    while (!server->is_stopping || server->later != NULL) {
        int64_t next_due;
        struct waiting *one = take_due(server, &next_due);
        if (say_unasked(server) && next_due > clock_monotonic() + 1000)
            next_due = clock_monotonic() + 1000;
        if (one != NULL) {
            pthread_mutex_unlock(&server->lock);
            answer_later(server, one);
            pthread_mutex_lock(&server->lock);
        } else if (next_due == INT64_MAX) {
            pthread_cond_wait(&server->changed, &server->lock);
        } else {
            struct timespec until = {next_due / CLOCK_SECOND, next_due % CLOCK_SECOND * 1000};
            pthread_cond_timedwait(&server->changed, &server->lock, &until);
        }
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* Repeat */

static void unlink_repeat(struct test_server *server, const struct waiting *one)
{
    struct waiting **at = &server->repeats;
    while (*at != one)
        at = &(*at)->next;
    *at = one->next;
}

/* Under the lock. */
static void repeat_more(struct test_server *server, struct waiting *one)
{
    for (; one->left != 0 && !one->is_cancelled && rpc_call_has_room(one->call); one->left -= one->left > 0)
        echo(one->call, one->text, one->closure);
    if (one->left != 0 && !one->is_cancelled)
        return;
    unlink_repeat(server, one);
    if (one->fail_at_end)
        (void)call_fail(one->call, STATUS_ABORTED, "ENOUGH", "that was enough");
    one->closure(NULL, one->call);
    free(one->text);
    free(one);
}

static void repeat_event(struct call *call, bool is_cancelled)
{
    struct test_server *server = server_of(call);
    pthread_mutex_lock(&server->lock);
    struct waiting *one = server->repeats;
    while (one != NULL && one->call != call)
        one = one->next;
    if (one != NULL) {
        one->is_cancelled = is_cancelled;
        if (is_cancelled)
            atomic_fetch_add(&server->cancelled, 1);
        repeat_more(server, one);
    }
    pthread_mutex_unlock(&server->lock);
}

static void on_repeat_cancelled(struct call *call)
{
    repeat_event(call, true);
}

static void on_repeat_ready(struct call *call)
{
    repeat_event(call, false);
}

static void repeat(struct test_server *server, const Echo__V1__RepeatRequest *request, ProtobufCClosure closure,
                   struct call *call)
{
    char *text = calloc(1, (size_t)request->size + 1);
    memset(text, 'x', (size_t)request->size);
    if (request->heedless) {
        for (int32_t i = 0; i < request->count; i++)
            echo(call, text, closure);
        closure(NULL, call);
        free(text);
        return;
    }
    struct waiting *one = calloc(1, sizeof *one);
    *one = (struct waiting){
        .call = call, .closure = closure, .text = text, .left = request->count, .fail_at_end = request->fail_at_end};
    call->handler_data = server;
    call->on_cancel = on_repeat_cancelled;
    rpc_call_on_ready(call, on_repeat_ready);
    pthread_mutex_lock(&server->lock);
    one->next = server->repeats;
    server->repeats = one;
    repeat_more(server, one);
    pthread_mutex_unlock(&server->lock);
}

/* The rest */

static void fail(const Echo__V1__FailRequest *request, ProtobufCClosure closure, struct call *call)
{
    if (strcmp(request->kind, "reason") == 0)
        (void)call_fail(call, STATUS_NOT_FOUND, "NO_SUCH_THING", "there is no \"%s\" – nowhere", "thing");
    else if (strcmp(request->kind, "field") == 0)
        (void)call_fail_field(call, "thing.name", "INVALID_FIELD", "too long");
    else if (strcmp(request->kind, "retry") == 0)
        (void)call_fail_retry(call, STATUS_RESOURCE_EXHAUSTED, "TOO_MANY", 1500, "too many");
    else if (strcmp(request->kind, "long") == 0)
        (void)call_fail(
            call, STATUS_ABORTED, "LONG", "é\xff\xe0\x80\x80%s",
            "€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€");
    closure(NULL, call); /* "silent": without a word, which is a bug of the handler's */
}

/* Does it fail this time? */
static bool is_flaky(struct test_server *server, const char *key, int times)
{
    pthread_mutex_lock(&server->lock);
    server->flaky++;
    size_t i = 0;
    while (i < FLAKY_KEYS - 1 && server->flaky_key[i][0] != '\0' && strcmp(server->flaky_key[i], key) != 0)
        i++;
    snprintf(server->flaky_key[i], sizeof server->flaky_key[i], "%s", key);
    bool fails = server->flaky_failed[i] < times;
    server->flaky_failed[i] += fails;
    pthread_mutex_unlock(&server->lock);
    return fails;
}

static void flaky(struct test_server *server, const Echo__V1__FlakyRequest *request, ProtobufCClosure closure,
                  struct call *call)
{
    if (is_flaky(server, request->key, request->times)) {
        (void)call_fail_retry(call, STATUS_UNAVAILABLE, "FLAKY", 20, "not now");
        closure(NULL, call);
    } else {
        echo(call, request->key, closure);
    }
}

static void counts(struct test_server *server, ProtobufCClosure closure, struct call *call)
{
    Echo__V1__GetCountsResponse response = ECHO__V1__GET_COUNTS_RESPONSE__INIT;
    char method[sizeof server->last_method], status[sizeof server->last_status];
    pthread_mutex_lock(&server->lock);
    memcpy(method, server->last_method, sizeof method);
    memcpy(status, server->last_status, sizeof status);
    response.flaky = server->flaky;
    response.issued = server->issued;
    pthread_mutex_unlock(&server->lock);
    response.cancelled = atomic_load(&server->cancelled);
    response.ended = atomic_load(&server->ended);
    response.last_method = method;
    response.last_status = status;
    closure(&response.base, call);
}

static void secret(struct test_server *server, const Echo__V1__EchoRequest *request, ProtobufCClosure closure,
                   struct call *call)
{
    long long number = 0;
    pthread_mutex_lock(&server->lock);
    bool is_live = call->authorization != NULL && sscanf(call->authorization, "Bearer token-%lld", &number) == 1 &&
                   number >= server->valid_from && number <= server->issued;
    pthread_mutex_unlock(&server->lock);
    if (is_live) {
        echo(call, request->text, closure);
        return;
    }
    (void)call_fail(call, STATUS_UNAUTHENTICATED, "CALLER_UNKNOWN", "no live token");
    closure(NULL, call);
}

static void invoke_echo(ProtobufCService *service, unsigned index, const ProtobufCMessage *request,
                        ProtobufCClosure closure, void *data)
{
    struct test_server *server = (struct test_server *)service;
    const char *method = service->descriptor->methods[index].name;
    const Echo__V1__EchoRequest *echo_request = (const Echo__V1__EchoRequest *)request;
    if (strcmp(method, "Echo") == 0 || strcmp(method, "Chat") == 0)
        echo(data, echo_request->text, closure);
    else if (strcmp(method, "Talk") == 0)
        talk(server, echo_request, closure, data);
    else if (strcmp(method, "EchoLater") == 0)
        echo_later(server, echo_request, closure, data);
    else if (strcmp(method, "Fail") == 0)
        fail((const Echo__V1__FailRequest *)request, closure, data);
    else if (strcmp(method, "Repeat") == 0)
        repeat(server, (const Echo__V1__RepeatRequest *)request, closure, data);
    else if (strcmp(method, "GetCounts") == 0)
        counts(server, closure, data);
    else if (strcmp(method, "GetSecret") == 0)
        secret(server, echo_request, closure, data);
    else
        flaky(server, (const Echo__V1__FlakyRequest *)request, closure, data);
}

static void issue_token(struct test_server *server, const Gatehouse__V1__IssueTokenRequest *request,
                        ProtobufCClosure closure, struct call *call)
{
    if (strcmp(request->client_id, "client") != 0 || strcmp(request->client_secret, "secret") != 0) {
        (void)call_fail(call, STATUS_UNAUTHENTICATED, "INVALID_CLIENT", "unknown client or wrong secret");
        closure(NULL, call);
        return;
    }
    Gatehouse__V1__IssueTokenResponse response = GATEHOUSE__V1__ISSUE_TOKEN_RESPONSE__INIT;
    char token[32];
    pthread_mutex_lock(&server->lock);
    snprintf(token, sizeof token, "token-%lld", (long long)++server->issued);
    pthread_mutex_unlock(&server->lock);
    response.access_token = token;
    closure(&response.base, call);
}

/* As often as `api` says. */
static void introspect(struct test_server *server, const Gatehouse__V1__IntrospectRequest *request,
                       ProtobufCClosure closure, struct call *call)
{
    Gatehouse__V1__IntrospectResponse response = GATEHOUSE__V1__INTROSPECT_RESPONSE__INIT;
    bool fails = is_flaky(server, request->token, atoi(request->api));
    if (fails)
        (void)call_fail_retry(call, STATUS_UNAVAILABLE, "FLAKY", 20, "not now");
    closure(fails ? NULL : &response.base, call);
}

static void invoke_auth(ProtobufCService *service, unsigned index, const ProtobufCMessage *request,
                        ProtobufCClosure closure, void *data)
{
    struct test_server *server = (struct test_server *)((char *)service - offsetof(struct test_server, auth));
    if (strcmp(service->descriptor->methods[index].name, "IssueToken") == 0) {
        issue_token(server, (const Gatehouse__V1__IssueTokenRequest *)request, closure, data);
        return;
    }
    if (strcmp(service->descriptor->methods[index].name, "Introspect") == 0) {
        introspect(server, (const Gatehouse__V1__IntrospectRequest *)request, closure, data);
        return;
    }
    (void)call_fail(data, STATUS_UNIMPLEMENTED, "FAKE", "a fake");
    closure(NULL, data);
}

static void observe(void *arg, const struct call *call, enum status status, int64_t duration_us)
{
    struct test_server *server = arg;
    atomic_fetch_add(&server->ended, 1);
    atomic_fetch_add(&server->ended_well, status == STATUS_OK && strstr(call->method, "EchoLater") != NULL);
    if (duration_us < 0)
        abort();
    if (strstr(call->method, "GetCounts") != NULL)
        return;
    pthread_mutex_lock(&server->lock);
    snprintf(server->last_method, sizeof server->last_method, "%s", call->method);
    snprintf(server->last_status, sizeof server->last_status, "%s", status_name(status));
    pthread_mutex_unlock(&server->lock);
}

static void obey(struct test_server *server)
{
    char line[64], number[32];
    while (fgets(line, sizeof line, stdin) != NULL) {
        const char *answer = "ok";
        if (strncmp(line, "stop ", 5) == 0) {
            rpc_server_stop(server->rpc, atoll(line + 5));
            snprintf(number, sizeof number, "%lld", atomic_load(&server->ended_well));
            answer = number;
        } else if (strncmp(line, "serving ", 8) == 0) {
            rpc_server_set_serving(server->rpc, line[8] == '1');
        } else if (strcmp(line, "reload\n") == 0) {
            answer = status_name(rpc_server_reload(server->rpc));
        } else if (strcmp(line, "expire\n") == 0) {
            pthread_mutex_lock(&server->lock);
            server->valid_from = server->issued + 1;
            pthread_mutex_unlock(&server->lock);
        }
        puts(answer);
        fflush(stdout);
        if (strncmp(line, "stop ", 5) == 0)
            return;
    }
    rpc_server_stop(server->rpc, 0);
}

static void *read_whole(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        exit(2);
    char *bytes = calloc(1, 1 << 20);
    *ret_len = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void parse_options(int argc, char **argv, struct rpc_server_options *options)
{
    *options = (struct rpc_server_options){.address = "127.0.0.1:0", .transport = getenv("GATEHOUSE_TRANSPORT")};
    const char *protoset = NULL;
    int option;
    while ((option = getopt(argc, argv, "a:p:c:k:m:t:l:s:r:ng:w:")) != -1)
        switch (option) {
        case 'a':
            options->address = optarg;
            break;
        case 'p':
            protoset = optarg;
            break;
        case 'c':
            options->tls_cert_file = optarg;
            break;
        case 'k':
            options->tls_key_file = optarg;
            break;
        case 'm':
            options->tls_client_ca_file = optarg;
            break;
        case 't':
            options->threads = atoi(optarg);
            break;
        case 'l':
            options->limits.max_message_bytes = (size_t)atoll(optarg);
            break;
        case 's':
            options->limits.max_calls_per_connection = atoi(optarg);
            break;
        case 'r':
            options->tls_client_crl_file = optarg;
            break;
        case 'g':
            options->limits.connection_age_ms = atoll(optarg);
            break;
        case 'w':
            options->limits.answer_timeout_ms = options->limits.progress_timeout_ms = atoll(optarg);
            break;
        case 'n':
            options->identity_from_cn = true;
            break;
        default:
            exit(2);
        }
    if (protoset == NULL)
        exit(2);
    options->descriptor_set = read_whole(protoset, &options->descriptor_set_len);
}

static void init(struct test_server *server)
{
    server->echo = (ProtobufCService){.descriptor = &echo__v1__echo_service__descriptor, .invoke = invoke_echo};
    server->auth = (ProtobufCService){.descriptor = &gatehouse__v1__auth_service__descriptor, .invoke = invoke_auth};
    server->valid_from = 1;
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &attributes);
}

int main(int argc, char **argv)
{
    struct test_server server = {.issued = 0};
    init(&server);
    struct rpc_server_options options;
    parse_options(argc, argv, &options);
    const char *why;
    server.rpc = rpc_server_new(&options, &why);
    if (server.rpc == NULL) {
        printf("error %s\n", why);
        free((void *)(uintptr_t)options.descriptor_set);
        return 1;
    }
    rpc_server_add(server.rpc, &server.echo);
    rpc_server_add(server.rpc, &server.auth);
    rpc_server_observe(server.rpc, observe, &server);
    pthread_t later;
    pthread_create(&later, NULL, run_later, &server);
    enum status status = rpc_server_start(server.rpc);
    if (status == STATUS_OK) {
        printf("port %d\n", rpc_server_port(server.rpc));
        fflush(stdout);
        obey(&server);
    } else {
        printf("error %s\n", status_name(status));
    }
    pthread_mutex_lock(&server.lock);
    server.is_stopping = true;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
    pthread_join(later, NULL);
    rpc_server_free(server.rpc);
    free((void *)(uintptr_t)options.descriptor_set);
    return status == STATUS_OK ? 0 : 1;
}
