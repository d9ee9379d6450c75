/* SPDX-License-Identifier: Apache-2.0 */
#include "copies.h"

#include "random.h"

#include "store/copy.h"

static bool was_in_use(const struct world *world)
{
    bool was = false;
    for (int i = 0; i < world->process_count; i++)
        was |= world->processes[i].incarnation > 0;
    return was;
}

/* None of them can say that it is there, until just now. */
static void be_silent(struct world *world)
{
    world_stop_writes(world, false);
    world_pass(world, COPY_PROCESS_GONE + CLOCK_SECOND);
    world_heal(world);
}

void copies_make(struct world *world)
{
    struct copy_result result;
    char why[STORE_WHY_MAX] = "";
    if (!world->is_shared)
        return;
    world_drain(world);
    if (random_chance(25))
        be_silent(world);
    else
        for (int i = 0; i < world->process_count; i++)
            process_round(world, &world->processes[i]);
    world_drain(world);
    if (!was_in_use(world))
        return;
    world_say(world, "it is copied");
    enum status status = cluster_copy(world->cluster, world->other, &result, why);
    world_say(world, "it was copied: %s%s%s", status_name(status), result.is_source_used ? ", at work" : "", why);
    if (status == STATUS_FAILED_PRECONDITION)
        world_fail(world, "it cannot be copied: %s", why);
    for (int i = 0; i < world->process_count && status == STATUS_OK && !result.is_source_used; i++)
        if (world->processes[i].is_up)
            world_fail(world, "the copy counts as the last one, though process %d serves", i);
    world->copied = status == STATUS_OK && result.is_source_used ? COPY_FIRST : COPY_LAST;
}

static void stop_all(struct world *world)
{
    for (int i = 0; i < world->process_count; i++)
        if (random_chance(20) || !process_stop(world, &world->processes[i]))
            process_crash(world, &world->processes[i]);
}

/* STATUS_FAILED_PRECONDITION: they refuse. */
static enum status start_all(struct world *world)
{
    enum status status = STATUS_OK;
    for (int i = 0; i < world->process_count && status != STATUS_FAILED_PRECONDITION; i++)
        status = process_start(world, &world->processes[i]);
    return status;
}

void copies_move(struct world *world)
{
    if (!world->is_shared)
        return;
    stop_all(world);
    if (random_chance(30)) /* until those that were killed are known to be gone */
        world_advance(world, COPY_PROCESS_GONE);
    if (random_chance(70))
        copies_make(world);
    if (world->copied != COPY_NONE) {
        world_say(world, "the copy becomes the database");
        cluster_swap(world->cluster, world->other);
        if (start_all(world) != STATUS_FAILED_PRECONDITION) {
            cluster_reset(world->other, true);
            world->copied = COPY_NONE;
            return;
        }
        world_say(world, "the copy is refused");
        cluster_swap(world->cluster, world->other);
    }
    (void)!start_all(world);
}
