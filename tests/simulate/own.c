/* SPDX-License-Identifier: Apache-2.0 */
#include "own.h"

#include "caches.h"
#include "random.h"

#define MINUTE (60 * CLOCK_SECOND)

const char *own_peer(const struct world *world)
{
    static const char *const peers[] = {NULL, SIM_PEER_A, SIM_PEER_A, SIM_PEER_B};
    return world->is_own ? peers[random_below(4)] : NULL;
}

static Google__Protobuf__Duration *duration(struct sim_call *call, int64_t microseconds)
{
    Google__Protobuf__Duration *made = arena_new(&call->arena, Google__Protobuf__Duration);
    google__protobuf__duration__init(made);
    made->seconds = microseconds / CLOCK_SECOND;
    return made;
}

Gatehouse__V1__CredentialLimits *own_limits_message(struct sim_call *call)
{
    Gatehouse__V1__CredentialLimits *made = arena_new(&call->arena, Gatehouse__V1__CredentialLimits);
    gatehouse__v1__credential_limits__init(made);
    made->observe_only = arena_array(&call->arena, Gatehouse__V1__Limit, 2);
    if (call->value != 0)
        made->idle_timeout = duration(call, call->value);
    if (call->life != 0)
        made->max_token_life = duration(call, call->life);
    if (call->is_observed) {
        made->observe_only[made->n_observe_only++] = GATEHOUSE__V1__LIMIT__LIMIT_IDLE_TIMEOUT;
        made->observe_only[made->n_observe_only++] = GATEHOUSE__V1__LIMIT__LIMIT_MAX_TOKEN_LIFE;
    }
    return made;
}

Gatehouse__V1__SourceAddresses *own_networks_message(struct sim_call *call)
{
    static char *const networks[] = {SIM_NETWORK_A, SIM_NETWORK_B};
    if (call->networks == SIM_ANYWHERE)
        return NULL;
    Gatehouse__V1__SourceAddresses *made = arena_new(&call->arena, Gatehouse__V1__SourceAddresses);
    gatehouse__v1__source_addresses__init(made);
    made->networks = arena_array(&call->arena, char *, 1);
    made->networks[0] = arena_text(&call->arena, networks[call->networks - 1]);
    made->n_networks = 1;
    made->observe_only = call->is_observed;
    return made;
}

static void change(struct world *world, int process, int credential)
{
    static const int idle[] = {0, 0, 1, 1, 2, 5, 20}, life[] = {0, 0, 0, 1, 2, 10};
    bool is_of_limits = random_chance(60);
    struct sim_call *call = call_make(world, process, is_of_limits ? CALL_LIMITS : CALL_NETWORKS, -1, credential);
    if (call == NULL)
        return;
    call->is_observed = random_chance(20);
    if (is_of_limits) {
        call->value = idle[random_below(7)] * MINUTE;
        call->life = life[random_below(6)] * MINUTE;
    } else {
        call->networks = random_below(3);
    }
    call_begin(call);
}

static void ask(struct world *world, int process, enum call_kind kind, int token)
{
    struct sim_call *call = call_make(world, process, kind, token, -1);
    if (call == NULL)
        return;
    call->peer = own_peer(world);
    call_begin(call);
}

static void ask_everywhere(struct world *world, int token)
{
    for (int i = 0; i < world->process_count; i++)
        ask(world, i, random_chance(30) ? CALL_USE : CALL_LOOK, token);
    for (int i = 0; i < 3 && world->caches != NULL; i++)
        caches_ask(world->caches, token, random_below(world->process_count));
    world_drain(world);
    for (int i = 0; i < 8 && world->caches != NULL; i++)
        caches_step(world->caches);
}

/* A token is idle by a limit that is taken away then, mostly. */
static void loosen(struct world *world, int credential, int token)
{
    for (int turn = 0; turn < 2; turn++) {
        struct sim_call *call = call_make(world, random_below(world->process_count), CALL_LIMITS, -1, credential);
        if (call == NULL)
            return;
        call->value = turn == 0 ? MINUTE : random_chance(50) ? 20 * MINUTE : 0;
        call_begin(call);
        world_drain(world);
        world_pass(world, turn == 0 ? random_between(55, 70) * CLOCK_SECOND : world->lease);
        for (int i = 0; i < world->process_count; i++)
            process_follow(world, &world->processes[i]);
        if (turn == 1)
            ask_everywhere(world, token);
    }
}

static void issue(struct world *world, int credential)
{
    struct sim_call *call = call_make(world, random_below(world->process_count), CALL_ISSUE, -1, credential);
    if (call == NULL)
        return;
    call->call.peer = random_chance(70) ? SIM_PEER_A : SIM_PEER_B;
    call_begin(call);
    world_drain(world);
}

/* A token that everybody remembers; what its credential may changes, once or twice; it lives on for some minutes. */
static void outlast(struct world *world, int credential)
{
    struct model *model = &world->model;
    issue(world, credential);
    int token = model->token_count - 1;
    if (token < 0 || model->tokens[token].credential != credential)
        return;
    for (int i = 0; i < 3; i++)
        ask_everywhere(world, token);
    if (random_chance(30)) {
        loosen(world, credential, token);
        return;
    }
    for (int turn = 0; turn < 6; turn++) {
        if (random_chance(40))
            change(world, random_below(world->process_count), credential);
        world_drain(world);
        world_pass(world,
                   random_chance(50) ? world->lease + world->cache_lease : random_between(10, 70) * CLOCK_SECOND);
        for (int i = 0; i < world->process_count && random_chance(50); i++) {
            process_follow(world, &world->processes[i]);
            process_flush(world, &world->processes[i]);
        }
        caches_serve(&world->processes[random_below(world->process_count)]);
        ask_everywhere(world, token);
    }
}

void own_step(struct world *world)
{
    struct model *model = &world->model;
    int credential = random_below(model->credential_count);
    if (!model->credentials[credential].is_made)
        return;
    if (random_chance(50) && model->token_count < SIM_TOKENS)
        outlast(world, credential);
    else
        change(world, random_below(world->process_count), credential);
}
