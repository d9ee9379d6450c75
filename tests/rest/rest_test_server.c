/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim in front of a made-up AuthService, for test_shim.py. Prints its ports, and does what standard input says, a
 * line each:
 *   reload           as SIGHUP
 *   release COUNT    that many of the slow calls are answered
 *   end MILLISECONDS ends as rest_server_stop does with so much grace; says on standard error how far it is
 * The input's end ends it too, with every call answered. What the service answers depends on the client ID: "good" at
 * once, "slow" from another thread, when it is released, others with the status that they name.
 *
 * Its timeouts are so long that none fires, but for those that an argument names: request=MS answer=MS write=MS
 * keep_alive=MS. With cert=FILE key=FILE it speaks TLS.
 */
#include "base/log.h"
#include "call/call.h"
#include "rest/rest.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NEVER_MS = 3600000, EVERYBODY = 1000, DESCRIPTORS = 1024 };

struct late {
    struct call *call;
    ProtobufCClosure closure;
};

static atomic_int handlers, cancelled;
static atomic_long grace_ms;
static sem_t released, ended;

static void give_token(ProtobufCClosure closure, void *closure_data)
{
    char *scopes[] = {"team_leader", "work_creator"};
    Google__Protobuf__Duration expires_in = GOOGLE__PROTOBUF__DURATION__INIT;
    Gatehouse__V1__IssueTokenResponse response = GATEHOUSE__V1__ISSUE_TOKEN_RESPONSE__INIT;
    expires_in.seconds = 1200;
    response.access_token = "gate_at_made_up";
    response.token_type = "Bearer";
    response.expires_in = &expires_in;
    response.scopes = scopes;
    response.n_scopes = 2;
    closure(&response.base, closure_data);
}

static void *answer_later(void *arg)
{
    struct late *late = arg;
    bool is_cancelled = false;
    while (sem_trywait(&released) != 0) {
        if (!is_cancelled && late->call->is_cancelled(late->call)) {
            is_cancelled = true;
            atomic_fetch_add(&cancelled, 1);
        }
        usleep(5000);
    }
    fprintf(stderr, "test: answers\n");
    give_token(late->closure, late->call);
    atomic_fetch_sub(&handlers, 1);
    free(late);
    return NULL;
}

static void start_later(struct call *call, ProtobufCClosure closure)
{
    pthread_t thread;
    struct late *late = malloc(sizeof *late);
    *late = (struct late){.call = call, .closure = closure};
    atomic_fetch_add(&handlers, 1);
    pthread_create(&thread, NULL, answer_later, late);
    pthread_detach(thread);
}

static enum status status_named(const char *name)
{
#define COMPARE(status, number) \
    if (strcmp(name, #status) == 0) \
        return STATUS_##status;
    STATUS_LIST(COMPARE)
#undef COMPARE
    return STATUS_UNAUTHENTICATED;
}

static void fake__issue_token(Gatehouse__V1__AuthService_Service *service,
                              const Gatehouse__V1__IssueTokenRequest *request,
                              Gatehouse__V1__IssueTokenResponse_Closure closure, void *closure_data)
{
    struct call *call = closure_data;
    ProtobufCClosure answer = (ProtobufCClosure)(void (*)(void))closure;
    (void)service;
    if (strcmp(request->client_id, "good") == 0) {
        give_token(answer, call);
    } else if (strcmp(request->client_id, "slow") == 0) {
        start_later(call, answer);
    } else if (strcmp(request->client_id, "echo") == 0) { /* what arrived, as an error's words */
        (void)call_fail(call, STATUS_INVALID_ARGUMENT, "INVALID_SCOPE", "%s|%zu|%s", request->client_secret,
                        request->n_scopes, call->peer);
        closure(NULL, call);
    } else {
        enum status status = status_named(request->client_id);
        if (status == STATUS_UNAVAILABLE || status == STATUS_RESOURCE_EXHAUSTED)
            (void)call_fail_retry(call, status, "BUSY", 1500, "try again");
        else
            (void)call_fail(call, status, status == STATUS_UNAUTHENTICATED ? "INVALID_CLIENT" : "X", "it is \"%s\"",
                            request->client_id);
        closure(NULL, call);
    }
}

static void fake__introspect(Gatehouse__V1__AuthService_Service *service,
                             const Gatehouse__V1__IntrospectRequest *request,
                             Gatehouse__V1__IntrospectResponse_Closure closure, void *closure_data)
{
    struct call *call = closure_data;
    Gatehouse__V1__IntrospectResponse response = GATEHOUSE__V1__INTROSPECT_RESPONSE__INIT;
    Google__Protobuf__Timestamp then = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    char *roles[] = {"work_creator"};
    (void)service;
    bool is_shim = call->authorization == NULL && call->identities[0] != NULL;
    bool is_client = strcmp(request->client_id, "good") == 0;
    if (!is_client && request->client_secret[0] != '\0') {
        bool is_known = strcmp(request->client_id, "other") == 0;
        (void)call_fail(call, is_known ? STATUS_PERMISSION_DENIED : STATUS_UNAUTHENTICATED,
                        is_known ? "CALLER_NOT_ALLOWED" : "INVALID_CLIENT", "no");
        closure(NULL, call);
        return;
    }
    if (!is_shim && !is_client && (call->authorization == NULL || strcmp(call->authorization, "Bearer caller") != 0)) {
        (void)call_fail(call, STATUS_UNAUTHENTICATED, "CALLER_UNKNOWN", "caller not known");
        closure(NULL, call);
        return;
    }
    if (strcmp(request->token, "live") == 0) {
        bool is_for_role = request->n_required_roles == 0 || strcmp(request->required_roles[0], roles[0]) == 0;
        response.active = true;
        response.allowed = is_for_role;
        response.client_id = "id";
        response.credential_name = request->api[0] == '\0' ? "H\303\251 \"x\" 50%" : request->api;
        response.roles = roles;
        response.n_roles = 1;
        then.seconds = 1000000000;
        response.issue_time = response.expire_time = &then;
    }
    closure(&response, call);
}

static void fake__batch_introspect(Gatehouse__V1__AuthService_Service *service,
                                   const Gatehouse__V1__BatchIntrospectRequest *request,
                                   Gatehouse__V1__BatchIntrospectResponse_Closure closure, void *closure_data)
{
    (void)service;
    (void)request;
    (void)call_fail(closure_data, STATUS_UNIMPLEMENTED, "", "not here");
    closure(NULL, closure_data);
}

static void fake__revoke(Gatehouse__V1__AuthService_Service *service, const Gatehouse__V1__RevokeRequest *request,
                         Gatehouse__V1__RevokeResponse_Closure closure, void *closure_data)
{
    Gatehouse__V1__RevokeResponse response = GATEHOUSE__V1__REVOKE_RESPONSE__INIT;
    struct call *call = closure_data;
    (void)service;
    bool is_client = strcmp(request->client_id, "good") == 0;
    bool is_bearer = call->authorization != NULL && strcmp(call->authorization, "Bearer live") == 0;
    if (!is_client && !is_bearer)
        (void)call_fail(call, STATUS_UNAUTHENTICATED, "INVALID_CLIENT", "no");
    else if (strcmp(request->token, "others") == 0)
        (void)call_fail(call, STATUS_PERMISSION_DENIED, "NOT_YOUR_TOKEN", "not your token");
    closure(call->error.status == STATUS_OK ? &response : NULL, call);
}

static void fake__watch(Gatehouse__V1__AuthService_Service *service, const Gatehouse__V1__WatchRequest *request,
                        Gatehouse__V1__WatchResponse_Closure closure, void *closure_data)
{
    (void)service;
    (void)request;
    (void)call_fail(closure_data, STATUS_UNIMPLEMENTED, "", "not here");
    closure(NULL, closure_data);
}

static bool is_ready(void *arg)
{
    (void)arg;
    return atomic_load(&handlers) == 0; /* so that a test can turn it off: by a slow request */
}

/* Connections that send what they have without waiting for the other end to confirm what was before. */
static int count_undelayed(void)
{
    int count = 0;
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer, size = sizeof(int);
        int is_undelayed = 0;
        if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
            getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &is_undelayed, &size) == 0 && is_undelayed != 0)
            count++;
    }
    return count;
}

static void add_metrics(void *arg, struct metrics_text *text)
{
    (void)arg;
    metrics_put(text, "test_cancelled_total", "counter", "Calls whose client had gone.", "",
                (double)atomic_load(&cancelled));
    metrics_put(text, "test_handlers", "gauge", "Calls that are not answered yet.", "", (double)atomic_load(&handlers));
    metrics_put(text, "test_undelayed", "gauge", "Connections without Nagle's algorithm.", "",
                (double)count_undelayed());
}

static Gatehouse__V1__AuthService_Service auth = GATEHOUSE__V1__AUTH_SERVICE__INIT(fake__);

static void release(int count)
{
    for (int i = 0; i < count; i++)
        sem_post(&released);
}

static void end(long grace)
{
    atomic_store(&grace_ms, grace);
    sem_post(&ended);
}

static void *read_input(void *arg)
{
    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strncmp(line, "release ", 8) == 0)
            release(atoi(line + 8));
        else if (strncmp(line, "end ", 4) == 0)
            end(atol(line + 4));
        else
            rest_server_reload(arg);
    }
    release(EVERYBODY);
    end(2000); /* a test that failed may have left a connection in the middle of something */
    return NULL;
}

/* What stands behind "NAME=" among the arguments; NULL: nothing does. */
static const char *argument(char **argv, const char *name)
{
    size_t len = strlen(name);
    for (argv++; *argv != NULL; argv++)
        if (strncmp(*argv, name, len) == 0 && (*argv)[len] == '=')
            return *argv + len + 1;
    return NULL;
}

static int64_t timeout(char **argv, const char *name)
{
    const char *given = argument(argv, name);
    return given == NULL ? NEVER_MS : atol(given);
}

static void serve_until_end(struct rest_server *server)
{
    pthread_t reader;
    pthread_create(&reader, NULL, read_input, server);
    pthread_detach(reader);
    while (sem_wait(&ended) != 0)
        ;
    rest_server_stop(server, atomic_load(&grace_ms));
    fprintf(stderr, "test: stopped\n");
    rest_server_free(server);
    fprintf(stderr, "test: freed\n");
}

int main(int argc, char **argv)
{
    static const char *const identities[] = {"shim", NULL};
    static const char *const origins[] = {"https://console.example", NULL};
    static const char *const proxies[] = {"127.0.0.2", "10.0.0.0/8", NULL};
    char error[256];
    (void)argc;
    sem_init(&released, 0, 0);
    sem_init(&ended, 0, 0);
    log_configure(LOG_LEVEL_DEBUG, false);
    struct metrics *metrics = metrics_new();
    metrics_add_source(metrics, add_metrics, NULL);
    struct rest_options options = {
        .address = "127.0.0.1:0",
        .path_prefix = "/Auth",
        .is_host_believed = true,
        .tls_cert_file = argument(argv, "cert"),
        .tls_key_file = argument(argv, "key"),
        .threads = 2,
        .max_connections = 300,
        .max_connections_per_address = 200,
        .request_timeout_ms = timeout(argv, "request"),
        .answer_timeout_ms = timeout(argv, "answer"),
        .write_timeout_ms = timeout(argv, "write"),
        .keep_alive_ms = timeout(argv, "keep_alive"),
        .auth = &auth.base,
        .cors_origins = origins,
        .trusted_proxies = proxies,
        .check_identities = identities,
        .is_ready = is_ready,
        .metrics = metrics,
        .metrics_address = "127.0.0.1:0",
    };
    struct rest_server *server = rest_server_new(&options, error);
    if (server == NULL || rest_server_start(server) != STATUS_OK) {
        fprintf(stderr, "%s\n", server == NULL ? error : "cannot listen");
        return 1;
    }
    printf("%d %d\n", rest_server_port(server), rest_server_metrics_port(server));
    fflush(stdout);
    serve_until_end(server);
    metrics_free(metrics);
    return 0;
}
