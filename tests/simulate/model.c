/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include "calls.h"
#include "facts.h"
#include "model_internal.h"
#include "world.h"

#include "rules/settings.h"

#include <stdio.h>
#include <string.h>

#define MINUTE (60 * CLOCK_SECOND)
#define RETENTION (30 * 24 * 60 * MINUTE) /* as settings.c: of what is deleted */

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Quiet */

bool model_is_quiet(const struct world *world, const struct quiet *quiet)
{
    return quiet->under_way == 0 && quiet->since + world->lease <= world->time;
}

static bool is_user_call(const struct sim_call *call)
{
    return call->kind == CALL_SET_USER || call->kind == CALL_DELETE_USER;
}

static bool is_of_credential(const struct sim_call *call)
{
    return call->kind >= CALL_END_TOKENS && call->kind != CALL_SETTINGS;
}

/* Does the call disturb what is known of this credential? */
static bool concerns(const struct sim_call *call, const struct model *model, int credential)
{
    if (is_user_call(call))
        return model->credentials[credential].is_owned;
    return is_of_credential(call) && call->credential == credential;
}

/* What it concerned when it began: a credential that is made meanwhile was not counted. */
static void count_call(struct world *world, struct sim_call *call, int by)
{
    struct model *model = &world->model;
    for (int i = 0; i < SIM_CREDENTIALS; i++) {
        call->counted |= by > 0 && concerns(call, model, i) ? 1u << i : 0;
        if ((call->counted >> i & 1) == 0)
            continue;
        model->credentials[i].quiet.under_way += by;
        model->credentials[i].quiet.begun += by > 0;
        model->credentials[i].quiet.since = world->time;
    }
    if (call->kind == CALL_SETTINGS) {
        model->settings.under_way += by;
        model->settings.begun += by > 0;
        model->settings.since = world->time;
    }
}

/* Nothing else was under way since before it began. */
bool model_was_quiet(const struct sim_call *call, const struct quiet *quiet, int then)
{
    int own = is_of_credential(call) || call->kind == CALL_SETTINGS;
    return then >= 0 && quiet->begun == then + own && call->failovers == call->world->model.failovers;
}

/* Ends */

static bool may_end(const struct sim_call *call)
{
    return call->kind >= CALL_REVOKE && call->kind != CALL_SETTINGS && call->kind != CALL_EXPIRY &&
           call->kind != CALL_UNDELETE && call->kind != CALL_RESUME && call->kind < CALL_CREATE;
}

static bool is_in_scope(const struct sim_call *call, int token)
{
    if (call->kind == CALL_REVOKE || call->kind == CALL_END_TOKEN)
        return call->token == token;
    return concerns(call, &call->world->model, call->world->model.tokens[token].credential);
}

void model_suspect_token(struct sim_token *token, const struct sim_call *call)
{
    if (token->first_end == 0)
        token->first_end = call->begun;
}

static void suspect_all(struct world *world, const struct sim_call *call)
{
    for (int i = 0; i < world->model.token_count; i++)
        if (is_in_scope(call, i))
            model_suspect_token(&world->model.tokens[i], call);
}

static void set_end(struct ends *ends, const struct sim_call *call)
{
    struct world *world = call->world;
    struct end *end = &ends->by[call->process->index];
    if (end->is_set || call->failovers != world->model.failovers) /* what it did may be lost already */
        return;
    *end = (struct end){
        .is_set = true,
        .begun = call->begun,
        .acknowledged = world->order,
        .time = world->time,
        .revision = facts_revision(world),
        .failovers = call->failovers,
        .is_idle = call->kind == CALL_SETTINGS || call->kind == CALL_LIMITS,
    };
}

void model_end_token(struct sim_token *token, const struct sim_call *call)
{
    model_suspect_token(token, call);
    if (token->issue_acknowledged >= call->begun)
        return;
    set_end(&token->ends, call);
    if (call->is_everywhere && call->failovers == call->world->model.failovers)
        token->ended_everywhere = call->world->order;
}

void model_suspect(struct world *world, const struct sim_call *call)
{
    if (may_end(call))
        suspect_all(world, call);
}

int model_forbids(const struct ends *ends, const struct sim_call *question)
{
    const struct world *world = question->world;
    for (int i = 0; i < SIM_PROCESSES; i++) {
        const struct end *end = &ends->by[i];
        if (!end->is_set)
            continue;
        if (end->acknowledged >= question->begun) {
            /* Who asked before it, but is told later than the bound. */
            bool is_late = question->kind != CALL_ISSUE && /* a token that is dead already does no harm */
                           i != question->process->index && world->is_shared && !end->is_idle &&
                           end->acknowledged > question->begun && world->time > end->time + world->lease;
            if (is_late)
                return i;
            continue;
        }
        if (end->is_idle && !question->was_right) /* whose clock is behind, knows of no such end yet */
            continue;
        bool has_no_lease = world->is_strict || !world->is_shared || i == question->process->index ||
                            question->process->started > end->acknowledged;
        if (has_no_lease || question->begun_at >= end->time + world->lease)
            return i;
    }
    return -1;
}

/* A call begins */

static bool changes_roles(struct world *world, const struct sim_call *call, int credential)
{
    const struct sim_credential *of = &world->model.credentials[credential];
    int granted = facts_roles_granted(world, of), all = (1 << SIM_ROLES) - 1,
        has = of->is_owned ? facts_roles_of_owner(world) : all;
    switch (call->kind) {
    case CALL_GRANT:
        return ((~granted & has) >> call->role & 1) != 0;
    case CALL_REVOKE_ROLES:
        return ((granted & has) >> call->role & 1) != 0;
    case CALL_SET_USER:
        return (granted & has) != (granted & call->role);
    default:
        return (granted & has) != 0;
    }
}

static void begin_change(struct world *world, struct sim_call *call)
{
    struct model *model = &world->model;
    if (call->kind == CALL_SETTINGS)
        call->idle = facts_idle_timeout(world);
    if (call->kind == CALL_EXPIRY)
        call->expires = facts_expiry(world, &model->credentials[call->credential]);
    if (call->kind == CALL_LIMITS)
        model_begin_limits(world, call);
    if (call->kind == CALL_UNDELETE)
        model->credentials[call->credential].deleted = (struct ends){0};
    if (call->kind == CALL_RESUME)
        model->credentials[call->credential].suspended = (struct ends){0};
    for (int i = 0; i < model->credential_count; i++)
        if (call->kind >= CALL_GRANT && call->kind <= CALL_DELETE_USER && concerns(call, model, i) &&
            changes_roles(world, call, i))
            call->effective |= 1 << i;
    model_suspect(world, call);
}

static int64_t certain_use(const struct sim_token *token, int process)
{
    return max(max(token->issued, token->stored), token->known[process]);
}

static int count_if_quiet(const struct world *world, const struct quiet *quiet)
{
    return model_is_quiet(world, quiet) ? quiet->begun : -1;
}

void model_begin(struct world *world, struct sim_call *call)
{
    struct model *model = &world->model;
    int credential = call->token >= 0 ? model->tokens[call->token].credential : call->credential;
    call->quiet_settings = count_if_quiet(world, &model->settings);
    call->quiet_credential = credential >= 0 ? count_if_quiet(world, &model->credentials[credential].quiet) : -1;
    call->is_alone = true;
    for (int i = 0; i < SIM_CREDENTIALS; i++)
        call->is_alone &= !concerns(call, model, i) || model_is_quiet(world, &model->credentials[i].quiet);
    if (call->token >= 0)
        call->certain = certain_use(&model->tokens[call->token], call->process->index);
    begin_change(world, call);
    count_call(world, call, 1);
    for (int i = 0; i < SIM_CREDENTIALS; i++)
        call->begun_counts[i] = model->credentials[i].quiet.begun;
}

/* IssueToken is answered */

static void add_token(struct world *world, const struct sim_call *call)
{
    struct model *model = &world->model;
    if (model->token_count == SIM_TOKENS)
        return;
    struct sim_credential *credential = &model->credentials[call->credential];
    struct sim_token *token = &model->tokens[model->token_count++];
    *token = (struct sim_token){
        .credential = call->credential,
        .issue_begun = call->begun,
        .issue_acknowledged = world->order,
        .issued = call_earliest(call),
        .issued_latest = call_latest(call),
        .latest = call_latest(call),
        .is_lost = call->failovers != model->failovers,
        .is_doubtful = !model_was_quiet(call, &credential->quiet, call->quiet_credential) ||
                       !model_was_quiet(call, &model->settings, call->quiet_settings),
    };
    memcpy(token->text, call->text, sizeof token->text);
    memcpy(token->accessor, call->accessor, sizeof token->accessor);
    world_say(world, "%d issued token %d%s", call->process->index, model->token_count - 1,
              token->is_doubtful ? ", doubtful" : "");
}

static void end_issue(struct world *world, struct sim_call *call)
{
    struct model *model = &world->model;
    struct sim_credential *credential = &model->credentials[call->credential];
    bool is_known = model_was_quiet(call, &credential->quiet, call->quiet_credential) && call_has_one_clock(call);
    int64_t expiry = is_known ? facts_expiry(world, credential) : -1;
    if (call->status == STATUS_OK) {
        if (model_forbids(&credential->deleted, call) >= 0)
            world_fail(world, "IssueToken at %d for credential %d, which was deleted", call->process->index,
                       call->credential);
        if (model_forbids(&credential->suspended, call) >= 0)
            world_fail(world, "IssueToken at %d for credential %d, which was suspended", call->process->index,
                       call->credential);
        if (is_known && expiry > 0 && expiry <= call->clock)
            world_fail(world, "IssueToken at %d for credential %d, which has expired", call->process->index,
                       call->credential);
        if (call->kind == CALL_ISSUE_OLD && model_forbids(&credential->old_secret_ended, call) >= 0)
            world_fail(world, "IssueToken at %d for credential %d with a secret key that was replaced",
                       call->process->index, call->credential);
        model_check_own_issue(world, call);
        add_token(world, call);
        return;
    }
    bool is_alive = expiry == 0 || expiry > clock_now(call->process->clock);
    if (call->status == STATUS_UNAUTHENTICATED && call->kind == CALL_ISSUE && is_known && is_alive &&
        facts_have_secret(world, credential))
        world_fail(world, "IssueToken at %d for credential %d is refused, and nothing is wrong with it",
                   call->process->index, call->credential);
}

/* A change is answered */

static void end_settings(struct world *world, struct sim_call *call)
{
    struct model *model = &world->model;
    bool is_known = model_was_quiet(call, &model->settings, call->quiet_settings);
    int64_t now = call_latest(call), least = min(call->value, is_known ? call->idle : MINUTE);
    bool are_right = true;
    for (int i = 0; i < world->process_count; i++)
        are_right &= !world->processes[i].is_up || clock_now(world->processes[i].clock) == world->time;
    for (int i = 0; i < model->token_count; i++) {
        struct sim_token *token = &model->tokens[i];
        if (max(token->issued, token->stored) + least <= now)
            model_suspect_token(token, call);
        if (call->status == STATUS_OK && is_known && are_right && token->latest + call->idle <= call->begun_at &&
            model_lives_by_settings(call, token->credential))
            model_end_token(token, call);
    }
}

static void end_expiry(struct world *world, struct sim_call *call)
{
    struct model *model = &world->model;
    const struct quiet *quiet = &model->credentials[call->credential].quiet;
    int64_t now = call_latest(call), then = call_earliest(call);
    bool is_known = model_was_quiet(call, quiet, call->quiet_credential);
    bool may = (call->value > 0 && call->value <= now) || !is_known || (call->expires > 0 && call->expires <= now);
    bool must = (call->value > 0 && call->value <= then) || (is_known && call->expires > 0 && call->expires <= then);
    for (int i = 0; i < model->token_count; i++) {
        struct sim_token *token = &model->tokens[i];
        if (token->credential != call->credential)
            continue;
        if (may)
            model_suspect_token(token, call);
        if (must && call->status == STATUS_OK)
            model_end_token(token, call);
    }
}

static bool was_alone(const struct sim_call *call)
{
    const struct model *model = &call->world->model;
    bool was = call->is_alone && call->failovers == model->failovers;
    for (int i = 0; i < SIM_CREDENTIALS; i++)
        was &= !concerns(call, model, i) || call->begun_counts[i] == model->credentials[i].quiet.begun;
    return was;
}

static bool must_end(const struct sim_call *call, int credential)
{
    bool is_of_roles = call->kind >= CALL_GRANT && call->kind <= CALL_DELETE_USER;
    return !is_of_roles || (was_alone(call) && (call->effective >> credential & 1) != 0);
}

static void end_credential_change(struct world *world, struct sim_call *call)
{
    struct model *model = &world->model;
    struct sim_credential *credential = &model->credentials[call->credential];
    if (call->kind == CALL_CREATE) {
        credential->is_made = true;
        memcpy(credential->client_id, call->client_id, sizeof credential->client_id);
        memcpy(credential->secret, call->text, sizeof credential->secret);
    } else if (call->kind == CALL_DELETE) {
        credential->deleted_at = world->time;
        if (was_alone(call))
            set_end(&credential->deleted, call);
    } else if (call->kind == CALL_SUSPEND) {
        if (was_alone(call))
            set_end(&credential->suspended, call);
    } else if (call->kind == CALL_REGENERATE) {
        memcpy(credential->old_secret, credential->secret, sizeof credential->old_secret);
        memcpy(credential->secret, call->text, sizeof credential->secret);
        credential->old_secret_ended = (struct ends){0};
        if (was_alone(call))
            set_end(&credential->old_secret_ended, call);
    }
}

static void end_undelete(struct world *world, struct sim_call *call)
{
    const struct sim_credential *credential = &world->model.credentials[call->credential];
    if (call->status == STATUS_NOT_FOUND && world->model.failovers == 0 && was_alone(call) &&
        credential->deleted_at != 0 && world->time - credential->deleted_at < RETENTION)
        world_fail(world, "credential %d is purged %lld s after it was deleted", call->credential,
                   (long long)((world->time - credential->deleted_at) / CLOCK_SECOND));
}

static void end_change(struct world *world, struct sim_call *call)
{
    struct model *model = &world->model;
    if (call->kind == CALL_SETTINGS)
        end_settings(world, call);
    if (call->kind == CALL_EXPIRY)
        end_expiry(world, call);
    if (call->kind == CALL_LIMITS)
        model_end_limits(world, call);
    if (call->kind == CALL_UNDELETE)
        end_undelete(world, call);
    model_suspect(world, call);
    if (call->status != STATUS_OK)
        return;
    if (call->credential >= 0)
        end_credential_change(world, call);
    for (int i = 0; i < model->token_count && may_end(call); i++)
        if (is_in_scope(call, i) && must_end(call, model->tokens[i].credential))
            model_end_token(&model->tokens[i], call);
}

void model_end(struct world *world, struct sim_call *call)
{
    struct model *model = &world->model;
    count_call(world, call, -1);
    if (call->status == STATUS_INTERNAL)
        world_fail(world, "%s at %d: an internal error", call_name(call->kind), call->process->index);
    if (call->kind == CALL_USE && call->status != STATUS_OK) /* it may be stored nevertheless */
        model->tokens[call->token].latest = max(model->tokens[call->token].latest, call_latest(call));
    if (call->is_dropped && call->kind < CALL_REVOKE)
        return;
    if (call->kind == CALL_USE || call->kind == CALL_LOOK)
        model_end_question(world, call);
    else if (call->kind == CALL_ISSUE || call->kind == CALL_ISSUE_OLD)
        end_issue(world, call);
    else
        end_change(world, call);
}
