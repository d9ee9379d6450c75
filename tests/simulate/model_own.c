/* SPDX-License-Identifier: Apache-2.0 */
/* What the model makes of limits of credentials' own, and of the networks from which they may be used. */
#include "facts.h"
#include "model_internal.h"

#include <string.h>

#define MINUTE (60 * CLOCK_SECOND)

static int64_t least(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

int64_t model_idle(struct world *world, int credential)
{
    int64_t own = world->is_own ? facts_own(world, &world->model.credentials[credential], LIMIT_IDLE_TIMEOUT) : 0;
    return own != 0 ? own : facts_idle_timeout(world);
}

static int64_t own_life(struct world *world, int credential)
{
    return facts_own(world, &world->model.credentials[credential], LIMIT_TOKEN_LIFE);
}

bool model_knew_idle(const struct sim_call *call, int credential)
{
    const struct model *model = &call->world->model;
    return model_was_quiet(call, &model->settings, call->quiet_settings) &&
           (!call->world->is_own ||
            model_was_quiet(call, &model->credentials[credential].quiet, call->quiet_credential));
}

bool model_lives_by_settings(const struct sim_call *call, int credential)
{
    struct world *world = call->world;
    const struct quiet *quiet = &world->model.credentials[credential].quiet;
    bool was_left_alone =
        quiet->under_way == 0 && quiet->begun == call->begun_counts[credential] && quiet->since <= call->begun_at;
    return !world->is_own ||
           (was_left_alone && facts_own(world, &world->model.credentials[credential], LIMIT_IDLE_TIMEOUT) == 0);
}

static bool is_outside(struct world *world, int credential, const char *peer)
{
    int networks = facts_networks(world, &world->model.credentials[credential]);
    if (peer == NULL || networks == SIM_ANYWHERE)
        return false;
    return strcmp(peer, networks == SIM_IN_A ? SIM_PEER_A : SIM_PEER_B) != 0;
}

void model_check_own(struct world *world, const struct sim_call *call, const struct sim_token *token)
{
    const struct sim_credential *credential = &world->model.credentials[token->credential];
    if (!world->is_own || !model_was_quiet(call, &credential->quiet, call->quiet_credential))
        return;
    int64_t life = own_life(world, token->credential);
    if (life != 0 && call_has_one_clock(call) && token->issued_latest + life <= call->clock)
        world_fail(world, "token %d is active at %d, past the life of its credential's own by %lld s", call->token,
                   call->process->index, (long long)((call->clock - token->issued_latest - life) / CLOCK_SECOND));
    if (is_outside(world, token->credential, call->peer))
        world_fail(world, "token %d is active at %d, from outside its networks", call->token, call->process->index);
}

/* What a server has reckoned stays in a cache for some minutes: known only where no clock was ever wrong. One that runs
 * slower by a hundredth makes a little more of it. */
static bool is_over(const struct world *world, int64_t begun, int64_t time)
{
    return world->right_since == 0 && begun + time + time / 50 <= world->time;
}

void model_check_own_hit(struct world *world, const struct sim_token *token, int64_t bound, const char *peer)
{
    const struct model *model = &world->model;
    const struct quiet *quiet = &model->credentials[token->credential].quiet;
    int number = (int)(token - model->tokens);
    if (!world->is_own || quiet->under_way != 0 || quiet->since + bound > world->time)
        return;
    if (is_outside(world, token->credential, peer))
        world_fail(world, "token %d is active in cache, from outside its networks", number);
    int64_t life = own_life(world, token->credential);
    if (life != 0 && is_over(world, token->issued_latest, life))
        world_fail(world, "token %d is active in cache, past the life of its credential's own", number);
    if (model->settings.under_way == 0 && model->settings.since + bound <= world->time &&
        is_over(world, token->latest, model_idle(world, token->credential)))
        world_fail(world, "token %d is active in cache, though idle for too long", number);
}

bool model_own_excuses(struct world *world, const struct sim_call *call, const struct sim_token *token)
{
    if (!world->is_own)
        return false;
    int64_t life = own_life(world, token->credential), now = clock_now(call->process->clock);
    return is_outside(world, token->credential, call->peer) ||
           (life != 0 && token->issued - CLOCK_SECOND + life <= now);
}

void model_check_own_issue(struct world *world, const struct sim_call *call)
{
    const struct sim_credential *credential = &world->model.credentials[call->credential];
    if (world->is_own && model_was_quiet(call, &credential->quiet, call->quiet_credential) &&
        is_outside(world, call->credential, call->call.peer))
        world_fail(world, "IssueToken at %d for credential %d, from outside its networks", call->process->index,
                   call->credential);
}

/* Other limits */

void model_begin_limits(struct world *world, struct sim_call *call)
{
    call->idle = model_idle(world, call->credential);
    call->life_before = own_life(world, call->credential);
}

static bool clocks_are_right(const struct world *world)
{
    bool are_right = true;
    for (int i = 0; i < world->process_count; i++)
        are_right &= !world->processes[i].is_up || clock_now(world->processes[i].clock) == world->time;
    return are_right;
}

static bool is_in_use(const struct world *world, int token)
{
    const struct sim_call *call = world->calls;
    while (call != NULL && (call->kind != CALL_USE || call->token != token))
        call = call->next;
    return call != NULL;
}

/* As of the settings: what was dead by the limits before stays dead, and what is by those that follow may be. */
void model_end_limits(struct world *world, struct sim_call *call)
{
    struct model *model = &world->model;
    bool is_known = model_knew_idle(call, call->credential), are_right = clocks_are_right(world);
    model->credentials[call->credential].is_doubtful |= call_latest(call) > world->time;
    int64_t now = call_latest(call), idle = is_known && !call->is_observed ? call->value : MINUTE;
    idle = is_known ? least(call->idle, idle) : MINUTE;
    int64_t life = is_known ? least(call->life, call->life_before) : MINUTE;
    for (int i = 0; i < model->token_count; i++) {
        struct sim_token *token = &model->tokens[i];
        if (token->credential != call->credential)
            continue;
        int64_t used = token->issued > token->stored ? token->issued : token->stored;
        if (used + idle <= now || (life != 0 && token->issued - CLOCK_SECOND + life <= now))
            model_suspect_token(token, call);
        bool was_dead = token->latest + call->idle <= call->begun_at ||
                        (call->life_before != 0 && token->issued_latest + call->life_before <= call->begun_at);
        if (call->status == STATUS_OK && is_known && are_right && was_dead && !is_in_use(world, i))
            model_end_token(token, call);
    }
}
