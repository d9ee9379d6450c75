/* SPDX-License-Identifier: Apache-2.0 */
#include "unheard.h"

#include "caches.h"
#include "calls.h"
#include "random.h"

void unheard_wait(struct world *world)
{
    int64_t lease = world->processes[random_below(world->process_count)].lease, cache_lease = world->cache_lease;
    const int64_t waits[] = {lease, lease + cache_lease, cache_lease, lease - lease / 100};
    world_pass(world, waits[random_below(4)]);
}

void unheard_silence(struct world *world)
{
    int silent = random_below(world->process_count);
    int turns = random_chance(50) ? 17 : 29; /* so that its row has gone, or also what the others have heard of it */
    for (int turn = 0; turn < turns; turn++) {
        world_pass(world, 14 * CLOCK_SECOND); /* the others speak without a pause */
        for (int i = 0; i < world->process_count; i++) {
            process_follow(world, &world->processes[i]);
            if (i != silent)
                process_round(world, &world->processes[i]);
        }
        world_drain(world);
    }
}

void unheard_come(struct world *world)
{
    struct process *process = &world->processes[random_below(world->process_count)];
    world_keep(world, COPY_STANDBY);
    process_crash(world, process);
    process->lease = process->leases[process->leases[1] > process->leases[0] ? 1 : 0];
    (void)!process_start(world, process);
    world_go_back(world, COPY_STANDBY);
}

static void look_everywhere(struct world *world, int token)
{
    for (int i = 0; i < world->process_count; i++) {
        struct sim_call *call = call_make(world, i, CALL_LOOK, token, -1);
        if (call != NULL)
            call_begin(call);
    }
    for (int i = 0; i < 2 && world->caches != NULL; i++)
        caches_ask(world->caches, token, random_below(world->process_count));
    world_drain(world);
}

static void step_caches(struct world *world, int times)
{
    for (int i = 0; i < times && world->caches != NULL; i++)
        caches_step(world->caches);
}

static void hear_all(struct world *world, int token)
{
    for (int i = 0; i < world->process_count; i++)
        process_follow(world, &world->processes[i]);
    for (int i = 0; i < 3; i++) {
        look_everywhere(world, token);
        step_caches(world, 20);
    }
    if (world->caches != NULL && random_chance(20))
        caches_cut(world->caches);
}

static void issue_everywhere(struct world *world, int credential)
{
    for (int i = 0; i < world->process_count; i++) {
        struct sim_call *call = call_make(world, i, CALL_ISSUE, -1, credential);
        if (call != NULL)
            call_begin(call);
    }
    world_drain(world);
}

static void resume(struct world *world, int by, int credential)
{
    struct sim_call *call = call_make(world, by, CALL_RESUME, -1, credential);
    if (call != NULL)
        call_begin(call);
    world_drain(world);
}

void unheard_end(struct world *world, int token)
{
    static const enum call_kind ends[] = {CALL_REVOKE, CALL_END_TOKEN, CALL_SUSPEND};
    enum call_kind kind = ends[random_below(3)];
    int by = random_below(world->process_count), credential = world->model.tokens[token].credential;
    world_drain(world);
    hear_all(world, token);
    bool is_suspended = kind == CALL_SUSPEND;
    struct sim_call *call = call_make(world, by, kind, is_suspended ? -1 : token, is_suspended ? credential : -1);
    if (call == NULL)
        return;
    if (random_chance(60))
        call_asks_for_all(call);
    call_begin(call);
    for (int turn = 0; turn < 3; turn++) {
        world_drain(world);
        unheard_wait(world);
        caches_serve(&world->processes[by]);
        step_caches(world, random_chance(50) ? random_below(8) : 0); /* few: somebody may hear of it */
        caches_serve(&world->processes[by]);
        world_drain(world);
        look_everywhere(world, token);
        if (is_suspended)
            issue_everywhere(world, credential);
    }
    if (!is_suspended)
        return;
    resume(world, by, credential);
    look_everywhere(world, token);
}
