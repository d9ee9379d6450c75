/* SPDX-License-Identifier: Apache-2.0 */
#include "ending.h"

#include "caches.h"
#include "calls.h"
#include "facts.h"
#include "random.h"

static void begin(struct world *world, int process, enum call_kind kind, int token, int credential)
{
    struct sim_call *call = call_make(world, process, kind, token, credential);
    if (call != NULL)
        call_begin(call);
}

static void start_all(struct world *world)
{
    world_heal(world);
    world_set_database_offset(world, 0);
    for (int i = 0; i < world->process_count; i++) {
        world_set_offset(world, &world->processes[i], 0);
        if (!world->processes[i].is_up && process_start(world, &world->processes[i]) != STATUS_OK)
            world_fail(world, "%d cannot be started", i);
    }
}

static void settle(struct world *world)
{
    world->is_settling = true;
    world_drain(world);
    for (int i = 0; i < 30 && world->calls != NULL; i++) { /* until what was to be obeyed everywhere is */
        world_advance(world, CLOCK_SECOND);
        for (int p = 0; p < world->process_count; p++)
            caches_serve(&world->processes[p]);
        world_drain(world);
    }
    /* So that each use is worth a write: of the shortest, where credentials have idle timeouts of their own, or those
     * would be at their end when all are compared. */
    world_advance(world, (world->is_own ? 60 * CLOCK_SECOND : facts_idle_timeout(world)) / 20 + 1);
    for (int t = 0; t < world->model.token_count; t++)
        for (int i = 0; i < world->process_count && world->model.tokens[t].is_lost; i++)
            begin(world, i, CALL_USE, t, -1);
    world_drain(world);
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < world->process_count; i++) {
            process_follow(world, &world->processes[i]);
            process_round(world, &world->processes[i]);
            world_drain(world);
        }
    world_advance(world, world->lease);
    for (int i = 0; i < world->process_count; i++)
        process_follow(world, &world->processes[i]);
    world_drain(world);
}

struct asking {
    int answers[SIM_TOKENS]; /* of the process that was just started: 1 active, 0 not, -1 none */
    bool is_first;
};

static void compare(struct sim_call *call)
{
    struct asking *asking = call->data;
    int answer = call->status == STATUS_OK ? call->is_active : -1;
    if (asking->is_first)
        asking->answers[call->token] = answer;
    else if (answer != asking->answers[call->token])
        world_fail(call->world, "token %d is %s at %d, and a process that has just started says %s", call->token,
                   answer == 1   ? "active"
                   : answer == 0 ? "inactive"
                                 : "unknown",
                   call->process->index, asking->answers[call->token] == 1 ? "active" : "inactive");
}

static void ask_all(struct world *world, int process, struct asking *asking)
{
    for (int i = 0; i < world->model.token_count; i++) {
        struct sim_call *call = call_make(world, process, CALL_LOOK, i, -1);
        if (call == NULL)
            continue;
        call->data = asking;
        call->then = compare;
        call_begin(call);
    }
    world_drain(world);
}

static void compare_all(struct world *world)
{
    struct asking asking = {.is_first = true};
    int fresh = world->process_count++; /* one more, for the comparison */
    world->processes[fresh].offset = 0;
    world->processes[fresh].lease = world->lease;
    if (process_start(world, &world->processes[fresh]) != STATUS_OK)
        world_fail(world, "a new process cannot be started");
    ask_all(world, fresh, &asking);
    asking.is_first = false;
    for (int i = 0; i < fresh; i++)
        ask_all(world, i, &asking);
    process_crash(world, &world->processes[fresh]);
    world->process_count--;
}

/* Some minutes in which clocks are right and the database is well: tokens that are used live. */
static void live_on(struct world *world)
{
    for (int turn = 0; turn < 24; turn++) {
        for (int i = 0; i < 3 * world->process_count; i++) {
            process_round(world, &world->processes[i % world->process_count]);
            world_drain(world);
        }
        world_advance(world, 45 * CLOCK_SECOND);
        for (int c = 0; c < world->model.credential_count && turn % 5 == 0; c++)
            if (world->model.credentials[c].is_made)
                begin(world, random_below(world->process_count), CALL_ISSUE, -1, c);
        for (int t = 0; t < world->model.token_count; t++)
            begin(world, random_below(world->process_count), CALL_USE, t, -1);
        world_drain(world);
    }
}

void ending(struct world *world)
{
    start_all(world);
    if (!world->has_failed)
        settle(world);
    if (!world->has_failed && world->right_since != 0) {
        live_on(world);
        settle(world);
    }
    if (!world->has_failed)
        compare_all(world);
}
