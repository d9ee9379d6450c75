/* SPDX-License-Identifier: Apache-2.0 */
/* Envoy's Check: the first byte says what Introspect answers, the rest is the request. Whatever it is, Introspect is
 * asked in well-formed words, the answer comes once and can be read, and nobody is let in but by Introspect. */
#include "base/utf8.h"
#include "call/authorization.h"
#include "call/call.h"
#include "rpc/strings.h"

#include <envoy/service/auth/v3/external_auth.pb-c.h>
#include <gatehouse/v1/auth.pb-c.h>
#include <stdlib.h>
#include <string.h>

enum { AWAY, WRONG_TOKEN, WRONG_ROLES, DEAD, LACKING, ALLOWED, KINDS };

static int kind;
static bool is_asked;
static int answers;

static void demand(bool is_so)
{
    if (!is_so)
        abort();
}

static void introspect(ProtobufCService *service, unsigned method, const ProtobufCMessage *message,
                       ProtobufCClosure closure, void *closure_data)
{
    const Gatehouse__V1__IntrospectRequest *request = (const Gatehouse__V1__IntrospectRequest *)message;
    Gatehouse__V1__IntrospectResponse response = GATEHOUSE__V1__INTROSPECT_RESPONSE__INIT;
    char *roles[] = {(char[]){"work_creator"}};
    struct call *call = closure_data;
    (void)service, (void)method;
    demand(strlen(request->api) <= 256 && utf8_is_text(request->api, strlen(request->api)));
    for (size_t i = 0; i < request->n_required_roles; i++)
        demand(strpbrk(request->required_roles[i], ",") == NULL);
    demand(!request->no_touch && request->use_count == 0);
    is_asked = true;
    response.active = kind >= LACKING;
    response.allowed = kind == ALLOWED;
    response.credential_name = request->token; /* any text: a header's value is made of it */
    response.n_roles = 1;
    response.roles = roles;
    if (kind == AWAY)
        (void)!call_fail_retry(call, STATUS_UNAVAILABLE, "STORE_UNAVAILABLE", 1000, "away");
    else if (kind <= WRONG_ROLES)
        (void)!call_fail_field(call, kind == WRONG_TOKEN ? "token" : "required_roles", "INVALID_FIELD", "wrong");
    closure(kind < DEAD ? NULL : &response.base, call);
}

static void check_answer(const Envoy__Service__Auth__V3__CheckResponse *response)
{
    demand((response->status->code == 0) == (is_asked && kind == ALLOWED));
    const Envoy__Service__Auth__V3__OkHttpResponse *ok =
        response->http_response_case == ENVOY__SERVICE__AUTH__V3__CHECK_RESPONSE__HTTP_RESPONSE_OK_RESPONSE
            ? response->ok_response
            : NULL;
    demand((ok != NULL) == (response->status->code == 0));
    for (size_t i = 0; ok != NULL && i < ok->n_headers; i++)
        for (const char *c = ok->headers[i]->header->value; *c != '\0'; c++)
            demand(*c >= ' ' && *c <= '~');
}

static void answered(const ProtobufCMessage *message, void *closure_data)
{
    const struct call *call = closure_data;
    answers++;
    demand((message == NULL) == (call->error.status != STATUS_OK));
    demand(message != NULL || !is_asked || kind == AWAY || kind == WRONG_ROLES);
    if (message == NULL)
        return;
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = malloc(len + 1);
    demand(packed != NULL && protobuf_c_message_pack(message, packed) == len);
    demand(strings_are_valid(message->descriptor, packed, len));
    Envoy__Service__Auth__V3__CheckResponse *response =
        envoy__service__auth__v3__check_response__unpack(NULL, len, packed);
    demand(response != NULL);
    check_answer(response);
    envoy__service__auth__v3__check_response__free_unpacked(response, NULL);
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *descriptor = &envoy__service__auth__v3__check_request__descriptor;
    ProtobufCService auth = {&gatehouse__v1__auth_service__descriptor, introspect, NULL};
    struct authorization authorization;
    struct call call = {.method = "", .peer = "", .deadline = INT64_MAX};
    if (size == 0 || !strings_are_valid(descriptor, data + 1, size - 1))
        return 0;
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, NULL, size - 1, data + 1);
    if (message == NULL)
        return 0;
    kind = data[0] % KINDS;
    is_asked = false;
    answers = 0;
    authorization_init(&authorization, &auth, NULL);
    authorization.service.invoke(&authorization.service, 0, message, answered, &call);
    demand(answers == 1);
    protobuf_c_message_free_unpacked(message, NULL);
    return 0;
}
