/* SPDX-License-Identifier: Apache-2.0 */
/* The token that a connection with a client ID gets by itself: once, for all calls that wait for it. */
#include "internal.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gatehouse_token_wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void gatehouse_token_set(struct gatehouse *gatehouse, const char *access_token)
{
    char *token = NULL;
    if (access_token != NULL && asprintf(&token, "Bearer %s", access_token) < 0)
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
}

void gatehouse_token_start_renewal(struct gatehouse *gatehouse)
{
    const ProtobufCServiceDescriptor *descriptor = gatehouse->auth->base.descriptor;
    Gatehouse__V1__IssueTokenRequest request = GATEHOUSE__V1__ISSUE_TOKEN_REQUEST__INIT;
    request.client_id = gatehouse->client_id;
    request.client_secret = gatehouse->client_secret;
    unsigned index = 0;
    while (strcmp(descriptor->methods[index].name, "IssueToken") != 0)
        index++;
    gatehouse->renewal = (struct gatehouse_call){.authorization = ""};
    gatehouse_invocation_start(gatehouse->auth, index, &request.base, on_issued, &gatehouse->renewal, gatehouse, false);
}
