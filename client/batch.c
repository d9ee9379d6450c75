/* SPDX-License-Identifier: Apache-2.0 */
#include "batch.h"

#include "base/must.h"
#include "cache.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX = 100 }; /* as the contract says */

/* One of the request's entries that memory could not answer. */
struct asked {
    size_t place;   /* in the request */
    bool is_learnt; /* what the server says of it may be kept, under: */
    struct memory_key key;
};

/* A batch of which the server is asked for a part. Lives until on_rest. */
struct batching {
    struct cache *cache;
    ProtobufCClosure closure;
    void *closure_data;
    struct gatehouse_call *call;
    unsigned how;
    int64_t sent;
    Gatehouse__V1__BatchIntrospectResponse *whole; /* the answer, as far as it is known */
    size_t asked_count;
    struct asked asked[BATCH_MAX];
};

static Gatehouse__V1__BatchIntrospectResponse *make_answer(size_t count)
{
    Gatehouse__V1__BatchIntrospectResponse *whole = must(malloc(sizeof *whole));
    gatehouse__v1__batch_introspect_response__init(whole);
    whole->n_responses = count;
    whole->responses = must(calloc(count, sizeof(Gatehouse__V1__IntrospectResponse *)));
    return whole;
}

/* What is missing is left out: only of a call that failed. */
static void free_answer(Gatehouse__V1__BatchIntrospectResponse *whole)
{
    size_t kept = 0;
    for (size_t i = 0; i < whole->n_responses; i++)
        if (whole->responses[i] != NULL)
            whole->responses[kept++] = whole->responses[i];
    whole->n_responses = kept;
    gatehouse__v1__batch_introspect_response__free_unpacked(whole, NULL);
}

static void finish(struct batching *batching, bool is_answered)
{
    struct batching done = *batching;
    free(batching);
    if (is_answered && (done.how & INVOKE_GIVES_RESPONSE) != 0) {
        done.closure(&done.whole->base, done.closure_data);
        return;
    }
    done.closure(is_answered ? &done.whole->base : NULL, done.closure_data);
    free_answer(done.whole);
}

/* The server's answer to the others, on the connection's thread. NULL: their call says why, and it is the batch's. */
static void on_rest(const ProtobufCMessage *message, void *data)
{
    struct batching *batching = data;
    const Gatehouse__V1__BatchIntrospectResponse *response = (const Gatehouse__V1__BatchIntrospectResponse *)message;
    bool is_answered = response != NULL && response->n_responses == batching->asked_count;
    if (response != NULL && !is_answered)
        gatehouse_error_set(batching->call, GATEHOUSE_INTERNAL, "the server has answered another number of entries");
    for (size_t i = 0; is_answered && i < batching->asked_count; i++) {
        const struct asked *asked = &batching->asked[i];
        const Gatehouse__V1__IntrospectResponse *one = response->responses[i];
        if (asked->is_learnt && one->error == NULL)
            gatehouse_cache_learn(batching->cache, &asked->key, one, batching->sent);
        batching->whole->responses[asked->place] =
            (Gatehouse__V1__IntrospectResponse *)gatehouse_message_copy(&one->base);
    }
    finish(batching, is_answered);
}

/* The same question alone. An entry that says more than that a token is used now is the server's to answer. */
static Gatehouse__V1__IntrospectRequest alone(const Gatehouse__V1__BatchIntrospectEntry *entry)
{
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    request.token = entry->token;
    request.api = entry->api;
    request.n_required_roles = entry->n_required_roles;
    request.required_roles = entry->required_roles;
    request.no_touch = entry->no_touch;
    request.use_count = entry->use_count;
    request.used_ago = entry->used_ago;
    request.min_position = entry->min_position;
    request.peer = entry->peer;
    return request;
}

static void look(struct batching *batching, const Gatehouse__V1__BatchIntrospectRequest *request)
{
    for (size_t i = 0; i < request->n_requests; i++) {
        Gatehouse__V1__IntrospectRequest one = alone(request->requests[i]);
        struct asked *asked = &batching->asked[batching->asked_count];
        *asked = (struct asked){.place = i};
        batching->whole->responses[i] =
            gatehouse_cache_look(batching->cache, &one, batching->call, &asked->key, &asked->is_learnt);
        batching->asked_count += batching->whole->responses[i] == NULL;
    }
}

static void ask_rest(struct batching *batching, struct gatehouse *gatehouse,
                     const Gatehouse__V1__BatchIntrospectRequest *request)
{
    Gatehouse__V1__BatchIntrospectRequest rest = GATEHOUSE__V1__BATCH_INTROSPECT_REQUEST__INIT;
    Gatehouse__V1__BatchIntrospectEntry *entries[BATCH_MAX];
    for (size_t i = 0; i < batching->asked_count; i++)
        entries[i] = request->requests[batching->asked[i].place];
    rest.n_requests = batching->asked_count;
    rest.requests = entries;
    batching->sent = gatehouse_cache_clock(); /* C1: before it is sent */
    gatehouse_invocation_start(gatehouse->auth, gatehouse_auth_method("BatchIntrospect"), &rest.base, on_rest,
                               batching->call, batching, batching->how & ~(unsigned)INVOKE_GIVES_RESPONSE);
}

void gatehouse_batch_start(struct cache *cache, struct gatehouse *gatehouse, const ProtobufCMessage *message,
                           ProtobufCClosure closure, struct gatehouse_call *call, void *closure_data, unsigned how)
{
    const Gatehouse__V1__BatchIntrospectRequest *request = (const Gatehouse__V1__BatchIntrospectRequest *)message;
    if (request->n_requests == 0 || request->n_requests > BATCH_MAX) { /* the server refuses that */
        gatehouse_invocation_start(gatehouse->auth, gatehouse_auth_method("BatchIntrospect"), message, closure, call,
                                   closure_data, how);
        return;
    }
    struct batching *batching = must(calloc(1, sizeof *batching));
    batching->cache = cache;
    batching->closure = closure;
    batching->closure_data = closure_data;
    batching->call = call;
    batching->how = how;
    batching->whole = make_answer(request->n_requests);
    look(batching, request);
    if (batching->asked_count > 0) {
        ask_rest(batching, gatehouse, request);
        return;
    }
    gatehouse_error_clear(call);
    call->is_from_memory = 1;
    finish(batching, true);
}
