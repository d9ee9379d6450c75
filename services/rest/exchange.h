/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request that becomes one call of a service: makes the struct call, invokes, and sends what the answer
 * function makes of the response. Also the small answers that several routes give.
 */
#ifndef REST_EXCHANGE_H
#define REST_EXCHANGE_H

#include "call/call.h"
#include "http.h"
#include "rest.h"

#include <jansson.h>
#include <pthread.h>

struct exchange;

/* Fills request->answer. response: NULL where the call failed (exchange->call.error says how). On any thread. */
typedef void exchange_answer_fn(struct exchange *exchange, const ProtobufCMessage *response);

/* Makes one more call, when the answer is filled and before it is sent (exchange_invoke, whose answer may leave it). */
typedef void exchange_then_fn(struct exchange *exchange);

struct exchange {
    struct call call; /* first: it is the closure_data */
    const struct rest_options *options;
    struct http_request *request;
    exchange_answer_fn *answer;
    pthread_mutex_t lock;   /* of is_answered, and of telling the call that its caller has hung up */
    bool is_answered;       /* the first call; those that follow it run to their end */
    exchange_then_fn *then; /* NULL: the answer is sent at once */
    bool has_client;        /* the caller showed client ID and secret key, not a bearer token */
    bool used_basic;        /* for the challenge of a 401 */
    bool is_sign_in;        /* the token that is issued is the console's: for its cookie, not for its page */
    const char *if_match;   /* the entity tag that the request is conditional on, "*" for any; NULL: it is not */
    const char *replaced;   /* at a sign-in: the token that was in the cookie; NULL: there was none */
    void *data;             /* the route's own, in the request's arena */
};

/* In the request's arena; passes on Authorization, traceparent, x-request-id. */
struct exchange *exchange_new(const struct rest_options *options, struct http_request *request);

/* Calls a method by its name. The message lives in the request's arena. The first
 * time only within handle() of http.h. */
void exchange_invoke(struct exchange *exchange, ProtobufCService *service, const char *method,
                     const ProtobufCMessage *message, exchange_answer_fn *answer);

/* Answers with JSON; takes the reference. What is said of tokens and credentials is never to be stored by anybody on
 * the way. */
void answer_json(struct http_request *request, int code, json_t *json);
void answer_json_text(struct http_request *request, int code, const char *text); /* printed already; NULL: 500 */
void answer_text(struct http_request *request, int code, const char *text);

/* A text as a JSON string, for answers that are too frequent for a tree to be made of each. NULL: out of memory, or no
 * UTF-8. */
char *answer_quote(struct arena *arena, const char *text);
void answer_empty(struct http_request *request, int code);

/* {"error": …, "error_description": …} (RFC 6749, section 5.2). A 401 without a challenge of its own gets Basic's. */
void answer_oauth_error(struct http_request *request, int code, const char *error, const char *description);

/* 405 with Allow. */
void answer_method_not_allowed(struct http_request *request, const char *allow);

/* What an error of a call is in HTTP: by the table of google.rpc.Code. Adds Retry-After where the error has one. */
int answer_code_of(struct http_request *request, const struct call_error *error);

/* WWW-Authenticate: Bearer (RFC 6750, section 3). error: NULL where the request showed no token at all. */
void answer_challenge(struct http_request *request, const char *error);

/* {"error": {"code", "status", "message", "details"}}, as google.rpc.Status is in JSON. */
void answer_status(struct http_request *request, const struct call_error *error);

/* The same body with another code than the status has by itself. */
void answer_error(struct http_request *request, int code, const struct call_error *error);

/* Is the content type `wanted`, in any letter case, with parameters or not, and in no charset but UTF-8? */
bool content_type_is(const struct http_request *request, const char *wanted);

#endif
