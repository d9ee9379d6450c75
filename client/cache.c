/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include "base/epoch.h"
#include "base/must.h"
#include "batch.h"
#include "changes.h"
#include "contract/contract.h"
#include "entries.h"
#include "misses.h"
#include "report.h"
#include "rules/role.h"
#include "tally.h"
#include "watch.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <grpc/support/time.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { REQUIRED_MAX = 32 }; /* as the contract says */
enum { USES_LEAST = 1000 }; /* a token may be used for several questions, and counted while a report is under way */
#define FAREWELL MEMORY_SECOND
#define AWAKE (10 * MEMORY_SECOND) /* after the last that was asked */

struct cache {
    struct service service; /* first */
    struct changes admin;
    struct gatehouse *gatehouse;
    struct memory *memory;
    struct uses *uses;
    struct misses *asking;
    struct watch *watch;
    struct contract *contract;
    unsigned introspect, batch, revoke; /* AuthService's methods */
    struct reporting reporting;
    struct tally looks; /* hits that are no uses: those are in `uses` */
    _Atomic uint64_t misses, passed, looked_at;
    atomic_bool is_resting; /* nobody has asked it for long */
    uint64_t asked;         /* of the connection's thread: how much there was when it looked last, and when that was */
    int64_t asked_at;
};

int64_t gatehouse_cache_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * MEMORY_SECOND + now.tv_nsec / 1000;
}

static void pass(struct cache *cache, unsigned method, const ProtobufCMessage *request, ProtobufCClosure closure,
                 struct gatehouse_call *call, void *closure_data, unsigned how)
{
    gatehouse_invocation_start(cache->gatehouse->auth, method, request, closure, call, closure_data, how);
}

/* Hits */

/* protobuf-c sends a NULL as an empty text. */
static bool has_texts(const Gatehouse__V1__IntrospectRequest *request)
{
    for (size_t i = 0; i < request->n_required_roles; i++)
        if (request->required_roles[i] == NULL)
            return false;
    return request->token != NULL && request->api != NULL && request->client_id != NULL &&
           request->client_secret != NULL && request->peer != NULL;
}

/* Whoever calls by another right than the connection's is judged by the server, and so is what has more to say than
 * that a token is used now. */
static bool is_for_cache(const Gatehouse__V1__IntrospectRequest *request, const struct gatehouse_call *call)
{
    return call->authorization == NULL && call->peer == NULL && has_texts(request) && *request->client_id == '\0' &&
           *request->client_secret == '\0' && request->use_count == 0 && request->used_ago == NULL;
}

/* What breaks a rule of the contract is for the server to refuse. */
static bool is_legal(const struct cache *cache, const Gatehouse__V1__IntrospectRequest *request)
{
    struct contract_violation violation;
    return contract_check(cache->contract->methods[cache->introspect].input, &request->base, &violation);
}

/* A role is known by its place in the answer, which has those that are carried, and no others. */
static int role_number(const void *answer, const char *id)
{
    const Gatehouse__V1__IntrospectResponse *response = answer;
    for (size_t i = 0; i < response->n_roles && i < ROLES_MAX; i++)
        if (strcmp(response->roles[i], id) == 0)
            return (int)i;
    return -1;
}

/* By the server's own rule. The catalogue cannot change without an event that ends the answer. */
static size_t list_missing(const Gatehouse__V1__IntrospectResponse *response,
                           const Gatehouse__V1__IntrospectRequest *request, char *missing[static REQUIRED_MAX])
{
    struct role_set carried = {{0}};
    for (size_t i = 0; i < response->n_roles && i < ROLES_MAX; i++)
        role_set_add(&carried, (int)i);
    return role_list_missing(&carried, request->required_roles, request->n_required_roles, role_number, response,
                             missing);
}

/* How a hit is answered, once it may be read without the epoch. */
struct given {
    struct answer *answer; /* gatehouse_answer_release */
    int64_t left;          /* of its valid_for */
    bool is_allowed;
};

/* The answer as a message, of which the parts are borrowed. */
struct worded {
    Gatehouse__V1__IntrospectResponse response;
    Google__Protobuf__Duration valid_for;
    char *missing[REQUIRED_MAX];
};

static void word(const struct given *given, const Gatehouse__V1__IntrospectRequest *request, struct worded *worded)
{
    Gatehouse__V1__IntrospectResponse *response = &worded->response;
    *response = *given->answer->response;
    gatehouse_duration_init(&worded->valid_for);
    worded->valid_for.seconds = given->left / MEMORY_SECOND;
    worded->valid_for.nanos = (int32_t)(given->left % MEMORY_SECOND * 1000);
    response->valid_for = &worded->valid_for;
    response->allowed = given->is_allowed;
    response->n_missing_roles = given->is_allowed ? 0 : list_missing(response, request, worded->missing);
    response->missing_roles = worded->missing;
}

/* Of a question that is new for this token: NULL where it is not legal, or where there is no room. */
static struct use_count *ask_first(struct cache *cache, struct entry *entry,
                                   const Gatehouse__V1__IntrospectRequest *request)
{
    char *missing[REQUIRED_MAX];
    if (!is_legal(cache, request))
        return NULL;
    bool is_allowed = list_missing(entry->answer->response, request, missing) == 0;
    return gatehouse_uses_add(cache->uses, &entry->uses, request, is_allowed);
}

/* By the server's own rule. What comes from outside the networks, or from no address, is for the server to refuse. */
static bool is_within(const struct entry *entry, const char *peer, struct source *ret_source)
{
    ret_source->kind = SOURCE_NOT_TOLD;
    if (*peer == '\0')
        return true;
    ret_source->kind = SOURCE_ADDRESS;
    if (!address_parse_with_port(peer, strlen(peer), &ret_source->address) || entry->has_unknown_network)
        return false;
    return source_judge(&entry->sources, ret_source) == SOURCE_WITHIN;
}

/* Inside the epoch. A use for which there is no room makes the hit a call. */
static bool find(struct cache *cache, const struct memory_key *key, const Gatehouse__V1__IntrospectRequest *request,
                 struct hit *ret_hit, bool *ret_is_allowed, bool *ret_must_wake)
{
    if (!gatehouse_memory_find(cache->memory, key, request->min_position, ret_hit))
        return false;
    struct entry *entry = ret_hit->entry;
    struct source peer;
    if (!is_within(entry, request->peer, &peer))
        return false;
    struct use_count *count = gatehouse_uses_find(&entry->uses, request);
    if (count == NULL)
        count = ask_first(cache, entry, request);
    const struct use_now use = {request->token, &peer, ret_hit->now};
    *ret_must_wake = false;
    if (count == NULL || (!request->no_touch && !gatehouse_uses_note(cache->uses, count, &use, ret_must_wake)))
        return false;
    if (request->no_touch)
        tally_add(&cache->looks, 1);
    *ret_is_allowed = count->is_allowed;
    return true;
}

/* A hit; *ret_given is to be released. */
static bool take(struct cache *cache, const struct memory_key *key, const Gatehouse__V1__IntrospectRequest *request,
                 struct given *ret_given)
{
    struct hit hit;
    bool must_wake;
    epoch_enter();
    bool is_hit = find(cache, key, request, &hit, &ret_given->is_allowed, &must_wake);
    if (is_hit) {
        ret_given->answer = hit.entry->answer;
        ret_given->left = hit.entry->until - hit.now;
        atomic_fetch_add_explicit(&ret_given->answer->references, 1, memory_order_relaxed);
    }
    epoch_leave();
    if (is_hit && must_wake)
        gatehouse_wake_now(cache->gatehouse);
    return is_hit;
}

static bool answer_from_memory(struct cache *cache, const struct memory_key *key,
                               const Gatehouse__V1__IntrospectRequest *request, ProtobufCClosure closure,
                               struct gatehouse_call *call, void *closure_data, unsigned how)
{
    struct given given;
    struct worded worded;
    if (!take(cache, key, request, &given))
        return false;
    word(&given, request, &worded);
    gatehouse_error_clear(call);
    call->is_from_memory = 1;
    closure(how & INVOKE_GIVES_RESPONSE ? gatehouse_message_copy(&worded.response.base) : &worded.response.base,
            closure_data);
    gatehouse_answer_release(given.answer);
    return true;
}

/* gatehouse_check: a hit without a message, without memory of its own, and without anybody else's. */

bool gatehouse_cache_check(struct cache *cache, const Gatehouse__V1__IntrospectRequest *request,
                           struct gatehouse_check *check)
{
    struct hit hit;
    bool must_wake, is_allowed;
    if (gatehouse_process_is_forked() || !has_texts(request))
        return false;
    struct memory_key key = gatehouse_memory_key(cache->memory, request->token);
    epoch_enter();
    bool is_hit = find(cache, &key, request, &hit, &is_allowed, &must_wake);
    if (is_hit) {
        check->is_active = 1;
        check->is_allowed = is_allowed;
        memcpy(check->client_id, hit.entry->client_id, sizeof check->client_id);
    }
    epoch_leave();
    if (is_hit && must_wake)
        gatehouse_wake_now(cache->gatehouse);
    return is_hit;
}

/* A revocation by this connection. */

struct revoking {
    struct cache *cache;
    struct memory_key key;
    ProtobufCClosure closure;
    void *closure_data;
};

static void on_revoked(const ProtobufCMessage *response, void *data)
{
    struct revoking revoking = *(struct revoking *)data;
    free(data);
    if (response != NULL) /* not even by an answer that was asked for before */
        gatehouse_memory_remove(revoking.cache->memory, &revoking.key, true);
    revoking.closure(response, revoking.closure_data);
}

/* Whoever asks it now must not wait for the next ping of a cache that rests. */
static void stay_awake(struct cache *cache)
{
    if (atomic_load_explicit(&cache->is_resting, memory_order_relaxed) && atomic_exchange(&cache->is_resting, false))
        gatehouse_wake_now(cache->gatehouse);
}

static void introspect(struct cache *cache, const ProtobufCMessage *message, ProtobufCClosure closure,
                       struct gatehouse_call *call, void *closure_data, unsigned how)
{
    const Gatehouse__V1__IntrospectRequest *request = (const Gatehouse__V1__IntrospectRequest *)message;
    struct memory_key key;
    bool is_ours = is_for_cache(request, call);
    if (is_ours) {
        key = gatehouse_memory_key(cache->memory, request->token);
        if (answer_from_memory(cache, &key, request, closure, call, closure_data, how))
            return;
    }
    if (!is_ours || !is_legal(cache, request)) {
        atomic_fetch_add_explicit(&cache->passed, 1, memory_order_relaxed);
        pass(cache, cache->introspect, message, closure, call, closure_data, how);
        return;
    }
    atomic_fetch_add_explicit(&cache->misses, 1, memory_order_relaxed);
    stay_awake(cache);
    gatehouse_misses_ask(cache->asking, &key, request, closure, call, closure_data, how);
}

/* For batch.c */

Gatehouse__V1__IntrospectResponse *gatehouse_cache_look(struct cache *cache,
                                                        const Gatehouse__V1__IntrospectRequest *request,
                                                        const struct gatehouse_call *call, struct memory_key *ret_key,
                                                        bool *ret_is_learnt)
{
    struct given given;
    struct worded worded;
    *ret_is_learnt = is_for_cache(request, call);
    if (*ret_is_learnt)
        *ret_key = gatehouse_memory_key(cache->memory, request->token);
    if (*ret_is_learnt && take(cache, ret_key, request, &given)) {
        word(&given, request, &worded);
        ProtobufCMessage *copy = gatehouse_message_copy(&worded.response.base);
        gatehouse_answer_release(given.answer);
        return (Gatehouse__V1__IntrospectResponse *)copy;
    }
    *ret_is_learnt = *ret_is_learnt && is_legal(cache, request);
    atomic_fetch_add_explicit(*ret_is_learnt ? &cache->misses : &cache->passed, 1, memory_order_relaxed);
    stay_awake(cache);
    return NULL;
}

void gatehouse_cache_learn(struct cache *cache, const struct memory_key *key,
                           const Gatehouse__V1__IntrospectResponse *response, int64_t sent)
{
    gatehouse_misses_learn(cache->memory, key, response, sent);
}

static void revoke(struct cache *cache, const ProtobufCMessage *message, ProtobufCClosure closure,
                   struct gatehouse_call *call, void *closure_data, unsigned how)
{
    const Gatehouse__V1__RevokeRequest *request = (const Gatehouse__V1__RevokeRequest *)message;
    if (request->token == NULL) {
        pass(cache, cache->revoke, message, closure, call, closure_data, how);
        return;
    }
    struct revoking *revoking = must(malloc(sizeof *revoking));
    *revoking = (struct revoking){cache, gatehouse_memory_key(cache->memory, request->token), closure, closure_data};
    pass(cache, cache->revoke, message, on_revoked, call, revoking, how);
}

static void start(struct service *service, unsigned method, const ProtobufCMessage *request, ProtobufCClosure closure,
                  struct gatehouse_call *call, void *closure_data, unsigned how)
{
    struct cache *cache = (struct cache *)service;
    bool is_off =
        gatehouse_process_is_forked() || atomic_load_explicit(&cache->reporting.is_closing, memory_order_relaxed);
    if (!is_off && method == cache->introspect)
        introspect(cache, request, closure, call, closure_data, how);
    else if (!is_off && method == cache->batch)
        gatehouse_batch_start(cache, cache->gatehouse, request, closure, call, closure_data, how);
    else if (!is_off && method == cache->revoke)
        revoke(cache, request, closure, call, closure_data, how);
    else
        pass(cache, method, request, closure, call, closure_data, how);
}

/* The connection's thread */

static uint64_t count_asked(struct cache *cache)
{
    struct gatehouse_cache_stats stats;
    gatehouse_uses_stats(cache->uses, &stats);
    return stats.hits + tally_sum(&cache->looks) + cache->misses + cache->looked_at;
}

static bool may_rest(struct cache *cache, int64_t now)
{
    uint64_t asked = count_asked(cache);
    if (asked != cache->asked) {
        cache->asked = asked;
        cache->asked_at = now;
    }
    bool may = now - cache->asked_at > AWAKE;
    atomic_store(&cache->is_resting, may);
    return may;
}

gpr_timespec gatehouse_cache_run(struct cache *cache)
{
    int64_t now = gatehouse_cache_clock();
    gatehouse_memory_tidy(cache->memory);
    int64_t wake = gatehouse_watch_run(cache->watch, now, may_rest(cache, now)),
            misses = gatehouse_misses_run(cache->asking, now);
    wake = wake < misses ? wake : misses;
    struct use *due;
    while ((due = gatehouse_uses_take(cache->uses, now)) != NULL)
        gatehouse_report_send(&cache->reporting, due);
    wake = gatehouse_uses_plan(cache->uses, wake);
    if (wake == INT64_MAX)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    int64_t left = wake > now ? wake - now : 0;
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(left, GPR_TIMESPAN));
}

void gatehouse_cache_token(struct cache *cache, bool has_token)
{
    gatehouse_watch_token(cache->watch, has_token);
}

/* For gatehouse.c */

unsigned gatehouse_auth_method(const char *name)
{
    const ProtobufCServiceDescriptor *descriptor = &gatehouse__v1__auth_service__descriptor;
    return (unsigned)(protobuf_c_service_descriptor_get_method_by_name(descriptor, name) - descriptor->methods);
}

struct cache *gatehouse_cache_new(struct gatehouse *gatehouse, const struct gatehouse_options *options)
{
    if (options->cache_entries == 0)
        return NULL;
    struct cache *cache = must(aligned_alloc(_Alignof(struct cache), sizeof *cache));
    memset(cache, 0, sizeof *cache);
    struct siphash_key secret;
    int64_t lease = options->cache_lease_ms > 0 ? options->cache_lease_ms * 1000 : MEMORY_SECOND;
    if (getrandom(&secret, sizeof secret, 0) != sizeof secret)
        abort();
    cache->service = gatehouse_service_of(&gatehouse__v1__auth_service__descriptor, start);
    cache->gatehouse = gatehouse;
    cache->uses = gatehouse_uses_new(2 * options->cache_entries + USES_LEAST);
    cache->memory = gatehouse_memory_new(options->cache_entries, lease, &secret, gatehouse_cache_clock, cache->uses);
    cache->asked_at = gatehouse_cache_clock();
    cache->asking = gatehouse_misses_new(gatehouse, cache->memory);
    cache->watch = gatehouse_watch_new(gatehouse, cache->memory, lease);
    gatehouse_changes_init(&cache->admin, gatehouse, cache->memory);
    cache->contract = contract_new(&gatehouse__v1__auth_service__descriptor);
    cache->introspect = gatehouse_auth_method("Introspect");
    cache->batch = gatehouse_auth_method("BatchIntrospect");
    cache->revoke = gatehouse_auth_method("Revoke");
    cache->reporting = (struct reporting){.gatehouse = gatehouse, .memory = cache->memory, .uses = cache->uses};
    explicit_bzero(&secret, sizeof secret);
    return cache;
}

void gatehouse_cache_close(struct cache *cache)
{
    if (cache == NULL)
        return;
    atomic_store(&cache->reporting.is_closing, true);
    gatehouse_uses_flush(cache->uses);
    gatehouse_watch_stop(cache->watch); /* wakes the thread, too */
    gatehouse_uses_await(cache->uses, FAREWELL);
}

void gatehouse_cache_free(struct cache *cache)
{
    if (cache == NULL)
        return;
    gatehouse_watch_free(cache->watch);
    gatehouse_misses_free(cache->asking);
    gatehouse_memory_free(cache->memory);
    contract_free(cache->contract);
    free(cache);
}

struct service *gatehouse_cache_service(struct cache *cache)
{
    return &cache->service;
}

struct service *gatehouse_cache_admin(struct cache *cache)
{
    return &cache->admin.service;
}

void gatehouse_cache_stats(struct gatehouse *gatehouse, struct gatehouse_cache_stats *ret_stats)
{
    struct cache *cache = gatehouse->cache;
    *ret_stats = (struct gatehouse_cache_stats){.pong_age_ms = 0};
    if (cache == NULL || gatehouse_process_is_forked())
        return;
    atomic_fetch_add(&cache->looked_at, 1); /* who looks whether it is trusted wants it to be */
    stay_awake(cache);
    gatehouse_memory_stats(cache->memory, ret_stats);
    gatehouse_uses_stats(cache->uses, ret_stats);
    gatehouse_watch_stats(cache->watch, ret_stats);
    ret_stats->hits += tally_sum(&cache->looks);
    ret_stats->misses = cache->misses;
    ret_stats->passed = cache->passed;
    ret_stats->batched = gatehouse_misses_batched(cache->asking);
}
