/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

static const struct {
    const char *reason, *hint;
} hints[] = {
    {"INVALID_CLIENT",
     "Check --client-id and --client-secret-file. The credential may also have expired or be deleted."},
    {"CALLER_UNKNOWN",
     "Say who is calling: --client-id and --client-secret-file, or --token-file with a live token, or\n"
     "the environment or configuration file; see `gatehouse --help`."},
    {"CALLER_NOT_ALLOWED", "Administration needs a credential with the role user_manager, token introspect one with\n"
                           "resource_server. Another administrator can grant it: `gatehouse credential grant`."},
    {"NOT_YOUR_TOKEN",
     "Only the credential that a token was issued to, or an administrator (role user_manager), can revoke it."},
    {"NO_SUCH_CREDENTIAL", "`gatehouse credential list --status any` shows all of them, also deleted ones."},
    {"NO_SUCH_ROLE", "`gatehouse role list` shows the roles that exist; `gatehouse role create` adds one."},
    {"NO_SUCH_USER", "`gatehouse user list` shows the users that are known."},
    {"NO_SUCH_SECRET", "`gatehouse credential get` shows a credential's live secret keys with their numbers."},
    {"NAME_TAKEN",
     "Another credential has this name; choose another one, or rename that one: `gatehouse credential update`."},
    {"ROLE_EXISTS", "`gatehouse role update` changes an existing role."},
    {"ROLE_RETIRED", "`gatehouse role retire --undo` brings a retired role back."},
    {"BUILT_IN_ROLE", "Gatehouse itself needs this role."},
    {"TOO_MANY_ROLES", "The catalogue is full."},
    {"STALE_ETAG", "Somebody changed it since it was read. Look at it again, then repeat the command."},
    {"REQUEST_ID_REUSED", "This request ID was used for something else; choose a new one, or leave --request-id out."},
    {"CREDENTIAL_DELETED", "`gatehouse credential undelete` brings it back."},
    {"NOT_DELETED", "It is not deleted; nothing is to be done."},
    {"LAST_ADMINISTRATOR",
     "Nobody would be left who can get in and administer for another day. First make another credential with the\n"
     "role user_manager, or a new secret key: `gatehouse credential create`, `gatehouse secret regenerate`."},
    {"INVALID_SCOPE", "Ask only for roles that the credential has now: `gatehouse credential get` shows them."},
    {"TOO_MANY_TOKENS",
     "End some (`gatehouse token end-all`), or raise max_tokens_per_credential: `gatehouse settings set`."},
    {"TOO_MANY_FAILURES", "Too many wrong secrets came from here. Correct the secret key, wait, and try again."},
    {"CLOCK_OUT_OF_RANGE", "The server's clock is wrong, or was: see `gatehouse admin clock` in gatehouse(1)."},
    {"STORE_UNAVAILABLE", "The server cannot reach its database now. Try again; if it lasts, see the server's log."},
    {"DRAINING", "The server is about to stop or restart. Try again in a moment."},
    {"INTERNAL", "This is a bug in the server; its log has more under the request ID."},
};

static const char *find_hint(const struct gatehouse_call *call)
{
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        if (strcmp(hints[i].reason, call->reason) == 0)
            return hints[i].hint;
    }
    return NULL;
}

static bool is_late(const struct gatehouse_call *call)
{
    return call->status == GATEHOUSE_DEADLINE_EXCEEDED;
}

static bool is_unreachable(const struct gatehouse_call *call)
{
    return call->status == GATEHOUSE_UNAVAILABLE || is_late(call);
}

/* One that does not speak Gatehouse's protocol answers with UNIMPLEMENTED, or with what is no gRPC at all. */
static const char *hint_by_status(const struct gatehouse_call *call)
{
    if (is_late(call))
        return "It may be busy, or something on the way drops what is sent to it. --timeout=DURATION waits longer.";
    if (is_unreachable(call))
        return "Is it running, and is --address (or GATEHOUSE_ADDRESS) right? With TLS: --ca-file, --cert-file, "
               "--key-file.";
    if (call->status == GATEHOUSE_UNIMPLEMENTED)
        return "The server is older than this command, or is not a Gatehouse server.";
    return NULL;
}

const char *report_hint(const struct gatehouse_call *call)
{
    const char *hint = find_hint(call);
    return hint != NULL ? hint : hint_by_status(call);
}

enum exit_code report_call(struct context *context, const struct gatehouse_call *call)
{
    TEXT_FREE char *message = text_printable(call->message[0] == '\0' ? "the call failed" : call->message);
    const char *address = context->config.address.value != NULL ? context->config.address.value : "127.0.0.1:50051";
    const char *timeout = context->config.timeout.value != NULL ? context->config.timeout.value : "10s";
    const char *hint = report_hint(call);

    fprintf(stderr, "gatehouse: ");
    if (is_late(call))
        fprintf(stderr, "the server at %s did not answer within %s: ", address, timeout);
    else if (is_unreachable(call) && call->reason[0] == '\0')
        fprintf(stderr, "cannot reach the server at %s: ", address);
    fputs(message, stderr);
    if (call->field[0] != '\0') {
        TEXT_FREE char *field = text_printable(call->field);
        fprintf(stderr, " [field %s]", field);
    }
    TEXT_FREE char *reason = text_printable(call->reason);
    fprintf(stderr, " (%s%srequest ID %s)\n", reason, reason[0] == '\0' ? "" : ", ",
            call->request_id == NULL ? "none" : call->request_id);
    if (hint != NULL)
        fprintf(stderr, "%s\n", hint);
    if (call->retry_after_ms > 0)
        fprintf(stderr, "Try again in %.1f s.\n", (double)call->retry_after_ms / 1000);
    context->exit_code = is_unreachable(call) ? EXIT_UNREACHABLE : EXIT_REFUSED;
    return context->exit_code;
}

enum exit_code report_usage(struct context *context, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "gatehouse %s: ", context->command->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    context->exit_code = EXIT_USAGE;
    return EXIT_USAGE;
}
