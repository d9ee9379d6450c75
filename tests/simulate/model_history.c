/* SPDX-License-Identifier: Apache-2.0 */
/* What the model makes of crashes, flushes, the reaper, and of a database that goes back. */
#include "calls.h"
#include "facts.h"
#include "model_internal.h"
#include "store/copy.h"
#include "world.h"

#include <string.h>

#define MINUTE (60 * CLOCK_SECOND)

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A use that is not later than the stored one by a step need not be stored. */
void model_flush_begins(struct world *world, int process, int64_t step, int64_t dates[SIM_TOKENS])
{
    const struct model *model = &world->model;
    for (int i = 0; i < model->token_count; i++) {
        int credential = model->tokens[i].credential;
        int64_t own = !world->is_own ? 0
                      : model_is_quiet(world, &model->credentials[credential].quiet)
                          ? model_idle(world, credential) / 20
                          : MINUTE; /* of 20 minutes, which is the longest */
        dates[i] = model->tokens[i].known[process] - max(step, own);
    }
}

void model_flushed(struct world *world, const int64_t dates[SIM_TOKENS], int failovers)
{
    if (failovers != world->model.failovers)
        return;
    for (int i = 0; i < world->model.token_count; i++)
        world->model.tokens[i].stored = max(world->model.tokens[i].stored, dates[i]);
}

void model_crash(struct world *world, int process)
{
    for (int i = 0; i < world->model.token_count; i++)
        world->model.tokens[i].known[process] = 0;
}

/* Must others spare what this process knows, and has not stored? It is there for them until it was silent for three
 * minutes, in which it could have spoken. */
static bool is_there(const struct world *world, const struct process *process)
{
    if (!process->is_up || process->said == 0 || !world_is_right(world))
        return false;
    if (world->time - process->said < COPY_PROCESS_GONE)
        return true;
    int64_t until = world->outage_until == 0 ? world->time : world->outage_until;
    return world->outage_since - process->said < COPY_PROCESS_GONE && until - world->outage_since > 2 * MINUTE &&
           world->time - until < COPY_PROCESS_GONE;
}

static int64_t last_known_use(const struct world *world, const struct sim_token *token, int process)
{
    int64_t used = max(max(token->issued, token->stored), token->known[process]);
    for (int i = 0; i < world->process_count; i++)
        if (is_there(world, &world->processes[i]))
            used = max(used, token->known[i]);
    return used;
}

/* By the true time: a process whose clock is wrong must not do what the others would not. */
void model_reap(struct world *world, int process)
{
    struct model *model = &world->model;
    bool is_quiet = model->settings.under_way == 0 && model->settings.since + world->lease <= world->time;
    int64_t idle = MINUTE;
    if (is_quiet)
        idle =
            cluster_ask(world->cluster, "SELECT value FROM setting WHERE name = 'idle_timeout'", NULL, 0, 20 * MINUTE);
    for (int i = 0; i < model->token_count; i++) {
        struct sim_token *token = &model->tokens[i];
        int64_t own = idle;
        if (world->is_own && is_quiet)
            own = model_is_quiet(world, &model->credentials[token->credential].quiet)
                      ? model_idle(world, token->credential)
                      : MINUTE;
        if (last_known_use(world, token, process) + own + MINUTE <= world->time)
            token->is_doubtful = true;
    }
}

void model_keep(struct world *world, enum cluster_copy copy)
{
    struct model *model = &world->model;
    model->kept[copy] = world->order;
    for (int i = 0; i < model->token_count; i++)
        model->tokens[i].stored_then[copy] = model->tokens[i].stored;
}

static void go_back_ends(struct ends *ends, uint64_t kept)
{
    for (int i = 0; i < SIM_PROCESSES; i++)
        if (ends->by[i].is_set && ends->by[i].acknowledged > kept)
            ends->by[i] = (struct end){.is_set = false};
}

static void go_back_token(struct world *world, struct sim_token *token, enum cluster_copy copy)
{
    uint64_t kept = world->model.kept[copy];
    go_back_ends(&token->ends, kept);
    if (token->ended_everywhere > kept)
        token->ended_everywhere = 0;
    if (token->first_end > kept)
        token->first_end = 0;
    token->stored = token->stored_then[copy];
    memset(token->known, 0, sizeof token->known);
    token->is_lost = true; /* or a use of it */
    if (token->issue_begun > kept) {
        token->first_end = token->issue_begun;
    } else if (token->issue_acknowledged > kept) {
        token->is_doubtful = true;
    }
}

void model_go_back(struct world *world, enum cluster_copy copy)
{
    struct model *model = &world->model;
    model->failovers++;
    model->failed_over = world->time;
    model->settings.since = world->time;
    for (int i = 0; i < model->token_count; i++)
        go_back_token(world, &model->tokens[i], copy);
    for (int i = 0; i < model->credential_count; i++) {
        struct sim_credential *credential = &model->credentials[i];
        credential->quiet.since = world->time;
        go_back_ends(&credential->deleted, model->kept[copy]);
        go_back_ends(&credential->suspended, model->kept[copy]);
        go_back_ends(&credential->old_secret_ended, model->kept[copy]);
    }
    /* What is under way may take effect yet. */
    for (struct sim_call *call = world->calls; call != NULL; call = call->next)
        model_suspect(world, call);
    for (int i = 0; i < COPY_COUNT; i++) /* a copy of what is no more */
        if (model->kept[i] > model->kept[copy])
            model->kept[i] = 0;
}
