/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim in front of a made-up AuthService, for test_shim.py. Prints its ports; ends, cleanly, when standard input
 * does. What the service answers depends on the client ID: "good" at once, "slow" from another thread after as many
 * milliseconds as the secret says, "never" after 3 s, others with the status that they name.
 */
#include "base/log.h"
#include "call/call.h"
#include "rest/rest.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct late {
    struct call *call;
    ProtobufCClosure closure;
    long milliseconds;
};

static atomic_int handlers, cancelled;

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
    for (long waited = 0; waited < late->milliseconds; waited += 10)
        usleep(10000);
    if (late->call->is_cancelled(late->call))
        atomic_fetch_add(&cancelled, 1);
    give_token(late->closure, late->call);
    atomic_fetch_sub(&handlers, 1);
    free(late);
    return NULL;
}

static void start_later(struct call *call, ProtobufCClosure closure, long milliseconds)
{
    pthread_t thread;
    struct late *late = malloc(sizeof *late);
    *late = (struct late){.call = call, .closure = closure, .milliseconds = milliseconds};
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
    } else if (strcmp(request->client_id, "slow") == 0 || strcmp(request->client_id, "never") == 0) {
        start_later(call, answer, request->client_id[0] == 'n' ? 3000 : atol(request->client_secret));
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

static void add_metrics(void *arg, struct metrics_text *text)
{
    (void)arg;
    metrics_put(text, "test_cancelled_total", "counter", "Calls whose client had gone.", "",
                (double)atomic_load(&cancelled));
    metrics_put(text, "test_handlers", "gauge", "Calls that are not answered yet.", "", (double)atomic_load(&handlers));
}

static Gatehouse__V1__AuthService_Service auth = GATEHOUSE__V1__AUTH_SERVICE__INIT(fake__);

static void wait_for_end_of_input(struct rest_server *server)
{
    char line[64];
    while (fgets(line, sizeof line, stdin) != NULL) /* a line: SIGHUP, as it were */
        rest_server_reload(server);
}

int main(int argc, char **argv)
{
    static const char *const identities[] = {"shim", NULL};
    static const char *const origins[] = {"https://console.example", NULL};
    static const char *const proxies[] = {"127.0.0.2", "10.0.0.0/8", NULL};
    char error[256];
    log_configure(LOG_LEVEL_DEBUG, false);
    struct metrics *metrics = metrics_new();
    metrics_add_source(metrics, add_metrics, NULL);
    struct rest_options options = {
        .address = "127.0.0.1:0",
        .path_prefix = "/Auth",
        .is_host_believed = true,
        .tls_cert_file = argc > 2 ? argv[1] : NULL,
        .tls_key_file = argc > 2 ? argv[2] : NULL,
        .threads = 2,
        .max_connections = 300,
        .max_connections_per_address = 200,
        .request_timeout_ms = 700,
        .answer_timeout_ms = 1000,
        .write_timeout_ms = 1000,
        .keep_alive_ms = 1500,
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
    wait_for_end_of_input(server);
    rest_server_stop(server, 2000);
    rest_server_free(server);
    metrics_free(metrics);
    return 0;
}
