/* SPDX-License-Identifier: Apache-2.0 */
#include "misses.h"

#include "base/must.h"
#include "cache.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 8, BATCH_MAX = 100 };
#define WAIT_MOST (2 * MEMORY_SECOND / 1000) /* for another's answer: that call may last long */

struct miss {
    struct misses *misses;
    struct memory_key key;
    int64_t asked, sent;
    ProtobufCClosure closure;
    struct gatehouse_call *call;
    void *closure_data;
    unsigned how;
    int64_t timeout_ms;                        /* its caller's; in the call stands what is left of it */
    Gatehouse__V1__IntrospectRequest *request; /* a copy, of one that waits */
    struct miss *next;
};

struct batch {
    struct gatehouse_call call;
    struct misses *misses;
    struct miss *first;
    Gatehouse__V1__BatchIntrospectEntry entries[BATCH_MAX], *pointers[BATCH_MAX];
};

struct misses {
    struct gatehouse *gatehouse;
    struct memory *memory;
    unsigned introspect, batch; /* AuthService's methods */
    _Atomic uint64_t batched;
    pthread_mutex_t lock; /* guards what follows */
    unsigned under_way;
    struct miss *first, *last; /* waiting: only while some are under way */
};

static void go_on(struct misses *misses);
static void send(struct miss *group);

struct misses *gatehouse_misses_new(struct gatehouse *gatehouse, struct memory *memory)
{
    struct misses *misses = must(calloc(1, sizeof *misses));
    misses->gatehouse = gatehouse;
    misses->memory = memory;
    misses->introspect = gatehouse_auth_method("Introspect");
    misses->batch = gatehouse_auth_method("BatchIntrospect");
    pthread_mutex_init(&misses->lock, NULL);
    return misses;
}

void gatehouse_misses_free(struct misses *misses)
{
    if (misses == NULL)
        return;
    pthread_mutex_destroy(&misses->lock);
    free(misses);
}

void gatehouse_misses_learn(struct memory *memory, const struct memory_key *key,
                            const Gatehouse__V1__IntrospectResponse *response, int64_t sent)
{
    if (response->active)
        gatehouse_memory_keep(memory, key, response, sent);
    else if (response->refusal == GATEHOUSE__V1__USE_REFUSAL__USE_REFUSAL_UNSPECIFIED)
        gatehouse_memory_remove(memory, key, false); /* else it lives, and this use of it was refused */
}

uint64_t gatehouse_misses_batched(const struct misses *misses)
{
    return atomic_load(&misses->batched);
}

/* What is left of its time, in milliseconds. */
static int64_t left_of(const struct miss *miss)
{
    int64_t timeout_ms = miss->timeout_ms > 0 ? miss->timeout_ms : miss->misses->gatehouse->timeout_ms;
    return timeout_ms - (gatehouse_cache_clock() - miss->asked) / 1000;
}

/* The end of one: its call says how it went. */
static void finish(struct miss *miss, const ProtobufCMessage *response)
{
    ProtobufCClosure closure = miss->closure;
    void *closure_data = miss->closure_data;
    miss->call->timeout_ms = miss->timeout_ms;
    if (miss->request != NULL) {
        explicit_bzero(miss->request->token, strlen(miss->request->token));
        gatehouse__v1__introspect_request__free_unpacked(miss->request, NULL);
    }
    free(miss);
    closure(response, closure_data);
}

static void on_one(const ProtobufCMessage *response, void *data)
{
    struct miss *miss = data;
    if (response != NULL)
        gatehouse_misses_learn(miss->misses->memory, &miss->key, (const Gatehouse__V1__IntrospectResponse *)response,
                               miss->sent);
    go_on(miss->misses);
    finish(miss, response);
}

/* It is counted as under way already. */
static void send_one(struct miss *miss, const ProtobufCMessage *request)
{
    struct misses *misses = miss->misses;
    miss->sent = gatehouse_cache_clock(); /* C1: before it is sent */
    gatehouse_invocation_start(misses->gatehouse->auth, misses->introspect, request, on_one, miss->call, miss,
                               miss->how);
}

/* Batches */

static void fail(struct miss *miss, enum gatehouse_status status, const char *message)
{
    gatehouse_error_set(miss->call, status, message);
    finish(miss, NULL);
}

/* The contract was kept, as far as this side knows it. */
static void fail_entry(struct miss *miss, const Gatehouse__V1__EntryError *error)
{
    gatehouse_error_set(miss->call, GATEHOUSE_INVALID_ARGUMENT, error->message);
    snprintf(miss->call->reason, sizeof miss->call->reason, "%s", error->reason);
    snprintf(miss->call->field, sizeof miss->call->field, "%s", error->field);
    finish(miss, NULL);
}

static void answer(struct miss *miss, const Gatehouse__V1__IntrospectResponse *response)
{
    if (response->error != NULL) {
        fail_entry(miss, response->error);
        return;
    }
    gatehouse_misses_learn(miss->misses->memory, &miss->key, response, miss->sent);
    gatehouse_error_clear(miss->call);
    finish(miss, miss->how & INVOKE_GIVES_RESPONSE ? gatehouse_message_copy(&response->base) : &response->base);
}

/* What the server answers to all of them each is told. The batch had the time of the one that came first: others may
 * have more, and ask by themselves. */
static void answer_failed(struct miss *miss, const struct gatehouse_call *call)
{
    if (call->status == GATEHOUSE_DEADLINE_EXCEEDED && left_of(miss) > 0) {
        struct misses *misses = miss->misses;
        pthread_mutex_lock(&misses->lock);
        misses->under_way++;
        pthread_mutex_unlock(&misses->lock);
        send(miss);
        return;
    }
    gatehouse_error_copy(miss->call, call);
    finish(miss, NULL);
}

static void on_batch(const ProtobufCMessage *message, void *data)
{
    struct batch *batch = data;
    const Gatehouse__V1__BatchIntrospectResponse *response = (const Gatehouse__V1__BatchIntrospectResponse *)message;
    size_t i = 0;
    go_on(batch->misses);
    for (struct miss *miss = batch->first, *next; miss != NULL; miss = next, i++) {
        next = miss->next;
        miss->next = NULL;
        if (response == NULL)
            answer_failed(miss, &batch->call);
        else if (i < response->n_responses)
            answer(miss, response->responses[i]);
        else
            fail(miss, GATEHOUSE_INTERNAL, "the server has answered fewer than it was asked");
    }
    free(batch);
}

static void send_batch(struct miss *group)
{
    Gatehouse__V1__BatchIntrospectRequest request = GATEHOUSE__V1__BATCH_INTROSPECT_REQUEST__INIT;
    struct misses *misses = group->misses;
    struct batch *batch = must(calloc(1, sizeof *batch));
    batch->misses = misses;
    batch->first = group;
    batch->call.timeout_ms = left_of(group);
    for (struct miss *miss = group; miss != NULL; miss = miss->next) {
        const Gatehouse__V1__IntrospectRequest *asked = miss->request;
        Gatehouse__V1__BatchIntrospectEntry *entry = &batch->entries[request.n_requests];
        gatehouse__v1__batch_introspect_entry__init(entry);
        entry->token = asked->token;
        entry->api = asked->api;
        entry->n_required_roles = asked->n_required_roles;
        entry->required_roles = asked->required_roles;
        entry->no_touch = asked->no_touch;
        entry->peer = asked->peer;
        batch->pointers[request.n_requests++] = entry;
        miss->call->is_from_memory = 0;
        miss->sent = gatehouse_cache_clock();
    }
    request.requests = batch->pointers;
    atomic_fetch_add(&misses->batched, request.n_requests);
    gatehouse_invocation_start(misses->gatehouse->auth, misses->batch, &request.base, on_batch, &batch->call, batch, 0);
}

/* A group that is counted as one that is under way. */
static void send(struct miss *group)
{
    int64_t left = left_of(group);
    if (left <= 0) { /* the others, if any, came later, but hardly */
        struct miss *rest = group->next;
        group->next = NULL;
        if (rest != NULL)
            send(rest);
        else
            go_on(group->misses);
        fail(group, GATEHOUSE_DEADLINE_EXCEEDED, "the deadline has passed");
    } else if (group->next != NULL) {
        send_batch(group);
    } else {
        group->call->timeout_ms = left;
        send_one(group, &group->request->base);
    }
}

/* Waiting; under the lock. NULL: none waits. A group has one timeout, so that none has to fail by another's. */
static struct miss *take_group(struct misses *misses)
{
    struct miss *group = misses->first, *last = group;
    if (group == NULL)
        return NULL;
    for (int count = 1; count < BATCH_MAX && last->next != NULL && last->next->timeout_ms == group->timeout_ms; count++)
        last = last->next;
    misses->first = last->next;
    if (misses->first == NULL)
        misses->last = NULL;
    last->next = NULL;
    misses->under_way++;
    return group;
}

/* One that was under way is not any more. */
static void go_on(struct misses *misses)
{
    pthread_mutex_lock(&misses->lock);
    misses->under_way--;
    struct miss *group = take_group(misses);
    pthread_mutex_unlock(&misses->lock);
    if (group != NULL)
        send(group);
}

int64_t gatehouse_misses_run(struct misses *misses, int64_t now)
{
    for (;;) {
        pthread_mutex_lock(&misses->lock);
        int64_t due = misses->first == NULL ? INT64_MAX : misses->first->asked + WAIT_MOST;
        struct miss *group = now >= due ? take_group(misses) : NULL;
        pthread_mutex_unlock(&misses->lock);
        if (group == NULL)
            return due;
        send(group);
    }
}

/* What is the call's own to say, or has an error of its own, goes by itself. */
static bool may_wait(const Gatehouse__V1__IntrospectRequest *request, const struct gatehouse_call *call)
{
    return request->min_position == NULL && call->request_id == NULL && call->traceparent == NULL;
}

/* Under the lock. Returns whether it is the first. */
static bool wait_for_others(struct misses *misses, struct miss *miss, const ProtobufCMessage *request)
{
    bool is_first = misses->first == NULL;
    miss->request = (Gatehouse__V1__IntrospectRequest *)gatehouse_message_copy(request);
    *(is_first ? &misses->first : &misses->last->next) = miss;
    misses->last = miss;
    return is_first;
}

void gatehouse_misses_ask(struct misses *misses, const struct memory_key *key,
                          const Gatehouse__V1__IntrospectRequest *request, ProtobufCClosure closure,
                          struct gatehouse_call *call, void *closure_data, unsigned how)
{
    struct miss *miss = must(calloc(1, sizeof *miss));
    bool must_wake = false;
    *miss = (struct miss){.misses = misses,
                          .key = *key,
                          .asked = gatehouse_cache_clock(),
                          .closure = closure,
                          .call = call,
                          .closure_data = closure_data,
                          .how = how,
                          .timeout_ms = call->timeout_ms};
    pthread_mutex_lock(&misses->lock);
    bool goes = misses->under_way < AT_ONCE || !may_wait(request, call);
    if (goes)
        misses->under_way++;
    else
        must_wake = wait_for_others(misses, miss, &request->base);
    pthread_mutex_unlock(&misses->lock);
    if (goes)
        send_one(miss, &request->base);
    else if (must_wake)
        gatehouse_wake_now(misses->gatehouse);
}
