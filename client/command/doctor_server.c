/* SPDX-License-Identifier: Apache-2.0 */
/* `gatehouse doctor`, what the server says: it is called as every command calls it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "doctor.h"
#include "report.h"
#include "secret.h"
#include "text.h"

enum { CLOCKS_MAY_DIFFER_S = 5, SILENT_S = 60 };

typedef Gatehouse__V1__GetCallerResponse caller_answer;

/* A call that failed: what is wrong, and what to do. */
static void say_call(struct doctor *doctor, const char *check, const struct gatehouse_call *call)
{
    doctor->is_unreachable |= call->status == GATEHOUSE_UNAVAILABLE || call->status == GATEHOUSE_DEADLINE_EXCEEDED;
    doctor_say(doctor, FINDING_FAIL, check, report_hint(call), "%s%s%s",
               call->message[0] == '\0' ? "the call failed" : call->message, call->reason[0] == '\0' ? "" : ": ",
               call->reason);
}

/* Gets a token as the commands do, and looks when the secret key ends. */
static bool sign_in(struct doctor *doctor)
{
    struct context *context = doctor->context;
    Gatehouse__V1__IssueTokenRequest request = GATEHOUSE__V1__ISSUE_TOKEN_REQUEST__INIT;
    struct gatehouse_call call = {0};
    TEXT_WIPE char *secret = connection_secret(context);
    if (secret == NULL)
        return false; /* reported */
    request.client_id = context->config.client_id.value;
    request.client_secret = secret;
    MESSAGE_FREE Gatehouse__V1__IssueTokenResponse *answer = auth_invoke_as(context, "IssueToken", &request, "", &call);
    if (answer == NULL) {
        say_call(doctor, "secret key", &call);
        return false;
    }
    doctor->authorization = text_format("Bearer %s", answer->access_token);
    doctor->is_own = true;
    explicit_bzero(answer->access_token, strlen(answer->access_token));
    if (answer->client_secret_expires_at != 0)
        doctor_say_end(doctor, "secret key", "another was made beside it, and it", answer->client_secret_expires_at,
                       "Use the newer one.");
    else
        doctor_say(doctor, FINDING_OK, "secret key", NULL, "it is right");
    return true;
}

static bool find_caller(struct doctor *doctor)
{
    switch (connection_caller(&doctor->context->config)) {
    case CALLER_CLIENT:
        return sign_in(doctor);
    case CALLER_TOKEN: {
        TEXT_WIPE char *token = connection_token(doctor->context);
        if (token != NULL)
            doctor->authorization = text_format("Bearer %s", token);
        return token != NULL;
    }
    case CALLER_UNCLEAR:
        doctor_say(doctor, FINDING_FAIL, "caller", "Leave one of them out.", "both a token and a client ID are given");
        return false;
    case CALLER_NONE:
        doctor->authorization = text_copy("");
        return true;
    }
    return false;
}

static double time_of(const struct timespec *time)
{
    return (double)time->tv_sec + (double)time->tv_nsec / 1e9;
}

/* The server has read its clock at some time between. */
static void check_clock(struct doctor *doctor, const Google__Protobuf__Timestamp *server, const struct timespec *sent,
                        const struct timespec *came)
{
    if (server == NULL)
        return;
    double told = (double)server->seconds + (double)server->nanos / 1e9;
    double behind = told < time_of(sent) ? told - time_of(sent) : told > time_of(came) ? told - time_of(came) : 0;
    bool is_fine = fabs(behind) < (double)CLOCKS_MAY_DIFFER_S;
    doctor_say(doctor, is_fine ? FINDING_OK : FINDING_WARN, "clock",
               is_fine ? NULL : "One of the two is wrong: ends of tokens and certificates go by them (NTP).",
               "this machine's is %.1f s %s the server's", fabs(behind), behind > 0 ? "behind" : "ahead of");
}

static void say_caller(struct doctor *doctor, const caller_answer *caller)
{
    const char *name = caller->credential != NULL ? caller->credential->name : caller->identity;
    bool may_much = caller->administers_as[0] != '\0' || caller->may_introspect;
    doctor_say(doctor, FINDING_OK, "caller", NULL, "%s, known by a %s", name,
               caller->credential != NULL ? "token" : "certificate");
    doctor_say(doctor, may_much ? FINDING_OK : FINDING_WARN, "rights",
               may_much ? NULL : "That is enough for an application. Commands want the role auditor or more.", "%s%s%s",
               caller->administers_as[0] == '\0' ? "it administers nothing" : "it administers as ",
               caller->administers_as, caller->may_introspect ? ", and may introspect" : "");
    if (caller->credential != NULL && caller->credential->expire_time != NULL)
        doctor_say_end(doctor, "credential", name, caller->credential->expire_time->seconds,
                       "An administrator can move its expiry date: gatehouse credential update --expires.");
}

static void check_versions(struct doctor *doctor, const Gatehouse__V1__ServerStatus *server)
{
    bool is_same = strcmp(server->version, GATEHOUSE_VERSION) == 0;
    for (size_t i = 0; i < server->n_replicas && is_same; i++)
        is_same = strcmp(server->replicas[i]->version, server->version) == 0;
    doctor_say(doctor, is_same ? FINDING_OK : FINDING_WARN, "version",
               is_same ? NULL : "Neighbouring versions work together; bring the older ones up to date.",
               "this command is %s, the server %s%s", GATEHOUSE_VERSION, server->version,
               is_same || strcmp(server->version, GATEHOUSE_VERSION) != 0 ? "" : ", another replica is not");
}

static void check_replicas(struct doctor *doctor, const Gatehouse__V1__ServerStatus *server)
{
    size_t silent = 0;
    for (size_t i = 0; i < server->n_replicas; i++) {
        const Google__Protobuf__Timestamp *seen = server->replicas[i]->last_seen_time;
        silent += seen != NULL && server->time != NULL && server->time->seconds - seen->seconds > SILENT_S;
    }
    doctor_say(doctor, silent == 0 ? FINDING_OK : FINDING_WARN, "replicas",
               silent == 0 ? NULL : "gatehouse status shows which: was it killed, or can it not reach the database?",
               "%zu serve from this %s database, %zu of them silent for more than a minute", server->n_replicas,
               server->store, silent);
}

static void check_server(struct doctor *doctor)
{
    Gatehouse__V1__GetServerStatusRequest request = GATEHOUSE__V1__GET_SERVER_STATUS_REQUEST__INIT;
    struct gatehouse_call call = {0};
    MESSAGE_FREE Gatehouse__V1__GetServerStatusResponse *answer =
        admin_invoke_as(doctor->context, "GetServerStatus", &request, doctor->authorization, &call);
    if (answer == NULL) {
        say_call(doctor, "server", &call);
        return;
    }
    const Gatehouse__V1__ServerStatus *server = answer->server_status;
    check_versions(doctor, server);
    doctor_say(doctor, server->writable ? FINDING_OK : FINDING_FAIL, "store",
               server->writable ? NULL : "Is the server's disk full? Its log says more.",
               server->writable ? "writes are stored" : "the last write could not be stored");
    check_replicas(doctor, server);
    const Google__Protobuf__Duration *jump = server->clock_jump;
    if (jump != NULL && jump->seconds != 0)
        doctor_say(doctor, FINDING_WARN, "server clock", "See gatehouse admin clock in gatehouse(1).",
                   "it has jumped by %+lld s", (long long)jump->seconds);
}

static void ask(struct doctor *doctor)
{
    Gatehouse__V1__GetCallerRequest request = GATEHOUSE__V1__GET_CALLER_REQUEST__INIT;
    struct gatehouse_call call = {0};
    struct timespec sent, came;
    clock_gettime(CLOCK_REALTIME, &sent);
    MESSAGE_FREE caller_answer *caller =
        admin_invoke_as(doctor->context, "GetCaller", &request, doctor->authorization, &call);
    clock_gettime(CLOCK_REALTIME, &came);
    if (caller == NULL) {
        say_call(doctor, "caller", &call);
        return;
    }
    say_caller(doctor, caller);
    check_clock(doctor, caller->time, &sent, &came);
    if (caller->administers_as[0] != '\0')
        check_server(doctor);
    else
        doctor_say(doctor, FINDING_SKIPPED, "server", NULL, "its state is told to administrators only");
}

void doctor_check_server(struct doctor *doctor)
{
    if (!find_caller(doctor)) {
        doctor->has_failed = true;
        return;
    }
    ask(doctor);
    if (!doctor->is_own)
        return;
    Gatehouse__V1__RevokeRequest request = GATEHOUSE__V1__REVOKE_REQUEST__INIT;
    struct gatehouse_call call = {0};
    request.token = doctor->authorization + strlen("Bearer ");
    MESSAGE_FREE void *answer = auth_invoke_as(doctor->context, "Revoke", &request, doctor->authorization, &call);
    (void)answer; /* where that fails, its idle timeout ends it */
}
