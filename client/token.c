/* SPDX-License-Identifier: Apache-2.0 */
/* The token that a connection with a client ID gets by itself: once, for all calls that wait for it. */
#include "cache.h"
#include "internal.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAREWELL_MS = 1000 };

static const char scheme[] = "Bearer ";

void gatehouse_token_wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void gatehouse_token_set(struct gatehouse *gatehouse, const char *access_token)
{
    char *token = NULL;
    if (access_token != NULL && asprintf(&token, "%s%s", scheme, access_token) < 0)
        abort();
    gatehouse_token_wipe(gatehouse->token);
    gatehouse->token = token;
    gatehouse->token_number++;
}

bool gatehouse_token_needs_renewal(struct gatehouse *gatehouse)
{
    if (gatehouse->is_renewing)
        return false;
    gatehouse->is_renewing = true;
    return true;
}

/* Takes out one call that waits for the token; NULL: none is left. */
static struct invocation *take_waiting(struct gatehouse *gatehouse)
{
    pthread_mutex_lock(&gatehouse->lock);
    struct invocation *waiting = gatehouse->sleeping.first;
    while (waiting != NULL && waiting->state != STATE_TOKEN)
        waiting = waiting->next;
    if (waiting != NULL)
        gatehouse_invocation_wake(waiting);
    pthread_mutex_unlock(&gatehouse->lock);
    return waiting;
}

static void on_issued(const ProtobufCMessage *message, void *data)
{
    struct gatehouse *gatehouse = data;
    const Gatehouse__V1__IssueTokenResponse *response = (const Gatehouse__V1__IssueTokenResponse *)message;
    struct gatehouse_call outcome = gatehouse->renewal; /* the next renewal may begin below */
    pthread_mutex_lock(&gatehouse->lock);
    gatehouse->is_renewing = false;
    if (response != NULL)
        gatehouse_token_set(gatehouse, response->access_token);
    pthread_mutex_unlock(&gatehouse->lock);
    struct invocation *waiting;
    while ((waiting = take_waiting(gatehouse)) != NULL) {
        if (response != NULL) {
            gatehouse_invocation_attempt(waiting);
        } else {
            gatehouse_error_copy(waiting->user, &outcome);
            gatehouse_invocation_finish(waiting, NULL);
        }
    }
    if (gatehouse->cache != NULL)
        gatehouse_cache_token(gatehouse->cache, response != NULL);
}

void gatehouse_token_start_renewal(struct gatehouse *gatehouse)
{
    const ProtobufCServiceDescriptor *descriptor = gatehouse->auth->service.base.descriptor;
    Gatehouse__V1__IssueTokenRequest request = GATEHOUSE__V1__ISSUE_TOKEN_REQUEST__INIT;
    request.client_id = gatehouse->client_id;
    request.client_secret = gatehouse->client_secret;
    unsigned index = 0;
    while (strcmp(descriptor->methods[index].name, "IssueToken") != 0)
        index++;
    gatehouse->renewal = (struct gatehouse_call){.authorization = ""};
    gatehouse_invocation_start(gatehouse->auth, index, &request.base, on_issued, &gatehouse->renewal, gatehouse, 0);
}

/* A program that is run every minute must not leave its tokens behind, which live until they were idle for long enough.
 * Whether it succeeds does not matter to anybody who closes. */
void gatehouse_token_revoke(struct gatehouse *gatehouse)
{
    grpc_connectivity_state state = grpc_channel_check_connectivity_state(gatehouse->channel, 0);
    bool is_own = gatehouse->token_number > 1; /* the first was the program's, or none */
    if (!is_own || gatehouse->token == NULL || (state != GRPC_CHANNEL_READY && state != GRPC_CHANNEL_IDLE))
        return;
    Gatehouse__V1__RevokeRequest request = GATEHOUSE__V1__REVOKE_REQUEST__INIT;
    request.token = gatehouse->token + strlen(scheme);
    gatehouse->farewell = (struct gatehouse_call){.timeout_ms = FAREWELL_MS, .authorization = gatehouse->token};
    ProtobufCMessage *response =
        gatehouse_invoke(&gatehouse->auth->service.base, "Revoke", &request.base, &gatehouse->farewell);
    if (response != NULL)
        protobuf_c_message_free_unpacked(response, NULL);
}
