/* SPDX-License-Identifier: Apache-2.0 */
/* The model's judgement of what is said of a token: by a process that was asked, or by a cache. */
#include "calls.h"
#include "facts.h"
#include "model_internal.h"
#include "world.h"

#include "rules/settings.h"

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void check_roles(struct world *world, const struct sim_call *call, const struct sim_token *token)
{
    const struct sim_credential *credential = &world->model.credentials[token->credential];
    if (!model_was_quiet(call, &credential->quiet, call->quiet_credential))
        return;
    int roles = facts_roles_granted(world, credential) & (credential->is_owned ? facts_roles_of_owner(world) : ~0);
    if (roles != call->roles)
        world_fail(world, "token %d at %d carries roles %d, and its credential has %d", call->token,
                   call->process->index, call->roles, roles);
}

/* Is there another call that may have noted a use already, and was not answered yet? */
static bool is_being_used(const struct sim_call *question)
{
    const struct sim_call *call = question->world->calls;
    while (call != NULL && (call->kind != CALL_USE || call->token != question->token))
        call = call->next;
    return call != NULL;
}

static void check_active(struct world *world, struct sim_call *call, const struct sim_token *token)
{
    const struct model *model = &world->model;
    int by = model_forbids(&token->ends, call);
    if (by >= 0)
        world_fail(world, "token %d is active at %d, though process %d ended it, acknowledged at %llu, asked at %llu",
                   call->token, call->process->index, by, (unsigned long long)token->ends.by[by].acknowledged,
                   (unsigned long long)call->begun);
    if (token->ended_everywhere != 0 && token->ended_everywhere < call->begun)
        world_fail(world, "token %d is active at %d, though it was ended everywhere, acknowledged at %llu", call->token,
                   call->process->index, (unsigned long long)token->ended_everywhere);
    check_roles(world, call, token);
    model_check_own(world, call, token);
    if (!call_has_one_clock(call))
        return;
    int64_t idle = model_idle(world, token->credential);
    if (model_knew_idle(call, token->credential) && !is_being_used(call) && token->latest + idle <= call->clock)
        world_fail(world, "token %d is active at %d, though idle for %lld s too long", call->token,
                   call->process->index, (long long)((call->clock - token->latest - idle) / CLOCK_SECOND));
    if (call->expire_time <= call->clock)
        world_fail(world, "token %d is active at %d, and expire_time is in the past by %lld us", call->token,
                   call->process->index, (long long)(call->clock - call->expire_time));
    const struct sim_credential *credential = &model->credentials[token->credential];
    if (model_was_quiet(call, &credential->quiet, call->quiet_credential)) {
        int64_t expiry = facts_expiry(world, credential);
        if (expiry > 0 && expiry <= call->clock)
            world_fail(world, "token %d is active at %d, though its credential has expired", call->token,
                       call->process->index);
    }
}

static void check_revision(struct world *world, const struct sim_call *call, const struct sim_token *token)
{
    const struct model *model = &world->model;
    bool is_one_history = call->failovers == model->failovers &&
                          (model->failovers == 0 || call->begun_at >= model->failed_over + world->lease);
    for (int i = 0; i < SIM_PROCESSES && is_one_history; i++) {
        const struct end *end = &token->ends.by[i];
        if (end->is_set && !end->is_idle && end->failovers == model->failovers && end->revision <= call->revision)
            world_fail(world, "token %d is active at %d as of revision %lld, and %lld is that of its end", call->token,
                       call->process->index, (long long)call->revision, (long long)end->revision);
    }
}

static void note_use(struct world *world, const struct sim_call *call, struct sim_token *token)
{
    const struct model *model = &world->model;
    token->latest = max(token->latest, call_latest(call));
    /* What is noted after a failover and before it is noticed may be forgotten with the rest. */
    if (call->incarnation == call->process->incarnation && call->failovers == model->failovers &&
        (model->failovers == 0 || call->begun_at >= model->failed_over + world->lease))
        token->known[call->process->index] = max(token->known[call->process->index], call_earliest(call));
    /* Where others ask the same store: it would not have been answered if the store called the token idle so soon. */
    if (world->is_shared && call->was_right && call_has_one_clock(call) && call->failovers == model->failovers &&
        !token->is_lost && model_knew_idle(call, token->credential)) {
        const struct settings settings = {.idle_timeout = model_idle(world, token->credential)};
        int64_t ends = call_earliest(call) + settings_store_margin(&settings, 0);
        token->stored = max(token->stored, ends - settings.idle_timeout);
    }
}

static void check_inactive(struct world *world, struct sim_call *call, const struct sim_token *token)
{
    struct model *model = &world->model;
    const struct sim_credential *credential = &model->credentials[token->credential];
    int64_t now = clock_now(call->process->clock);
    if (token->first_end != 0 || token->is_doubtful || credential->is_doubtful || !call_has_one_clock(call) ||
        !model_was_quiet(call, &credential->quiet, call->quiet_credential) ||
        !model_was_quiet(call, &model->settings, call->quiet_settings))
        return;
    int64_t idle = model_idle(world, token->credential), expiry = facts_expiry(world, credential);
    if (expiry < 0 || (expiry > 0 && expiry <= now) || call->certain + idle <= now ||
        model_own_excuses(world, call, token))
        return;
    if (!call->was_right && facts_have_row(world, token))
        return;
    world_fail(world, "token %d is inactive at %d, though it was used %lld s ago and nothing ended it", call->token,
               call->process->index, (long long)((now - call->certain) / CLOCK_SECOND));
}

void model_end_question(struct world *world, struct sim_call *call)
{
    struct sim_token *token = &world->model.tokens[call->token];
    if (call->status != STATUS_OK) {
        if (call->status != STATUS_UNAVAILABLE && (call->status != STATUS_CANCELLED || call->patience == 0))
            world_fail(world, "Introspect at %d: %s", call->process->index, status_name(call->status));
        return;
    }
    if (!call->is_active) {
        check_inactive(world, call, token);
        return;
    }
    check_active(world, call, token);
    for (int i = 0; i < SIM_PROCESSES && !call->was_right; i++) /* in use again, by a clock that is behind */
        token->ends.by[i].is_set &= !token->ends.by[i].is_idle;
    check_revision(world, call, token);
    if (call->kind == CALL_USE)
        note_use(world, call, token);
}

void model_hit(struct world *world, int cache, int64_t lease, int token, const char *peer)
{
    const struct sim_token *of = &world->model.tokens[token];
    int64_t bound = lease + (world->is_shared && !world->is_strict ? world->lease : 0);
    if (of->ended_everywhere != 0)
        world_fail(world, "token %d is active in cache %d, though it was ended everywhere, acknowledged at %llu", token,
                   cache, (unsigned long long)of->ended_everywhere);
    model_check_own_hit(world, of, bound, peer);
    for (int i = 0; i < SIM_PROCESSES; i++) {
        const struct end *end = &of->ends.by[i];
        if (end->is_set && !end->is_idle && world->time >= end->time + bound)
            world_fail(world,
                       "token %d is active in cache %d, %lld ms after process %d ended it, and the bound is %lld",
                       token, cache, (long long)(world->time - end->time) / 1000, i, (long long)bound / 1000);
    }
}
