/* SPDX-License-Identifier: Apache-2.0 */
#include "call/gateway.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { METHOD_MAX = 16, PATH_MAX_BYTES = 200 };

const char *gateway_token(const char *authorization)
{
    if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    const char *token = authorization + 7 + strspn(authorization + 7, " ");
    return *token == '\0' ? NULL : token;
}

/* How much of `text` is told: nothing where that is no text, so that no client can make its gateway's question wrong.
 */
static int text_len(const char *text, const char *end, size_t most)
{
    size_t len = text == NULL ? 0 : strcspn(text, end);
    if (len > most)
        len = utf8_fitting(text, most);
    return text != NULL && utf8_is_text(text, len) ? (int)len : 0;
}

void gateway_api(const char *method, const char *path, char api[static GATEWAY_API_SIZE])
{
    int method_len = text_len(method, " ", METHOD_MAX), path_len = text_len(path, "?#", PATH_MAX_BYTES);
    snprintf(api, GATEWAY_API_SIZE, "%.*s%s%.*s", method_len, method_len > 0 ? method : "",
             method_len > 0 && path_len > 0 ? " " : "", path_len, path_len > 0 ? path : "");
}

/* A header's value must be ASCII: what is not is percent-encoded (RFC 3986), as is '%'. */
static const char *header_text(struct arena *arena, const char *text)
{
    char *encoded = arena_alloc(arena, 3 * strlen(text) + 1), *to = encoded;
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c >= ' ' && *c < 0x7f && *c != '%')
            *to++ = (char)*c;
        else
            to += snprintf(to, 4, "%%%02X", *c);
    }
    return encoded;
}

static const char *join_roles(struct arena *arena, const Gatehouse__V1__IntrospectResponse *answer)
{
    size_t size = 1;
    for (size_t i = 0; i < answer->n_roles; i++)
        size += strlen(answer->roles[i]) + 1;
    char *text = arena_alloc(arena, size), *to = text;
    for (size_t i = 0; i < answer->n_roles; i++)
        to = stpcpy(i == 0 ? to : stpcpy(to, " "), answer->roles[i]);
    return text;
}

static bool is_denied(const struct call_error *error, const Gatehouse__V1__IntrospectResponse *answer, bool has_token,
                      struct gateway_verdict *verdict)
{
    /* Too long for a token, say: the client's mistake. Only the roles are the gateway's own words. */
    bool is_unreadable =
        answer == NULL && error->status == STATUS_INVALID_ARGUMENT && strcmp(error->field, "required_roles") != 0;
    if (is_unreadable || (answer != NULL && !answer->active))
        *verdict = (struct gateway_verdict){.code = 401, .error = has_token ? "invalid_token" : NULL};
    else if (answer != NULL && !answer->allowed)
        *verdict = (struct gateway_verdict){.code = 403, .error = "insufficient_scope"};
    else
        return false;
    return true;
}

struct gateway_verdict gateway_judge(const struct call_error *error, const Gatehouse__V1__IntrospectResponse *answer,
                                     bool has_token, struct arena *arena)
{
    struct gateway_verdict verdict = {.code = 0};
    if (is_denied(error, answer, has_token, &verdict) || answer == NULL)
        return verdict;
    return (struct gateway_verdict){
        .code = 200,
        .headers = {{"X-Auth-Client-Id", header_text(arena, answer->client_id)},
                    {"X-Auth-Client-Name", header_text(arena, answer->credential_name)},
                    {"X-Auth-Roles", join_roles(arena, answer)},
                    {"X-Auth-Owner", header_text(arena, answer->owner)}},
    };
}

void gateway_challenge(const char *error, char challenge[static GATEWAY_CHALLENGE_SIZE])
{
    snprintf(challenge, GATEWAY_CHALLENGE_SIZE, "Bearer realm=\"gatehouse\"%s%s%s", error == NULL ? "" : ", error=\"",
             error == NULL ? "" : error, error == NULL ? "" : "\"");
}
