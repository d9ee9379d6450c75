/* SPDX-License-Identifier: Apache-2.0 */
#include "steps.h"

#include "caches.h"
#include "calls.h"
#include "copies.h"
#include "ending.h"
#include "facts.h"
#include "own.h"
#include "random.h"
#include "unheard.h"

#include <string.h>

#define MINUTE (60 * CLOCK_SECOND)

/* Which steps a run takes, and how often. Every run leaves out some: what is rare elsewhere is frequent there. */
enum step_kind {
    STEP_ISSUE,
    STEP_USE,
    STEP_LOOK,
    STEP_END_TOKEN,
    STEP_CHANGE,
    STEP_SETTINGS,
    STEP_CREATE,
    STEP_SOME,
    STEP_DRAIN,
    STEP_FOLLOW,
    STEP_ROUND,
    STEP_FLUSH,
    STEP_WAIT,
    STEP_PASS,
    STEP_CRASH,
    STEP_START,
    STEP_OUTAGE,
    STEP_OUTLIVE,
    STEP_DEAF,
    STEP_HEAL,
    STEP_KEEP,
    STEP_GO_BACK,
    STEP_CACHE,
    STEP_CACHED,
    STEP_SERVE,
    STEP_REST,
    STEP_AHEAD,
    STEP_BEHIND,
    STEP_DATABASE_CLOCK,
    STEP_STOP, /* from here on in wide worlds only */
    STEP_COPY,
    STEP_MOVE,
    STEP_UNHEARD,
    STEP_OWN, /* in own worlds only */
    STEP_KINDS
};

static const struct {
    const char *name;
    int weight;
    int percent; /* of the runs that have it */
} kinds[STEP_KINDS] = {
    [STEP_ISSUE] = {"issue", 10, 100},   [STEP_USE] = {"use", 20, 100},
    [STEP_LOOK] = {"look", 15, 100},     [STEP_END_TOKEN] = {"end-token", 6, 85},
    [STEP_CHANGE] = {"change", 6, 70},   [STEP_SETTINGS] = {"settings", 2, 40},
    [STEP_CREATE] = {"create", 2, 60},   [STEP_SOME] = {"some", 40, 100},
    [STEP_DRAIN] = {"drain", 8, 80},     [STEP_FOLLOW] = {"follow", 10, 80},
    [STEP_ROUND] = {"round", 8, 90},     [STEP_WAIT] = {"wait", 20, 100},
    [STEP_PASS] = {"pass", 4, 70},       [STEP_CRASH] = {"crash", 2, 40},
    [STEP_START] = {"start", 4, 100},    [STEP_OUTAGE] = {"outage", 2, 40},
    [STEP_DEAF] = {"deaf", 1, 15},       [STEP_HEAL] = {"heal", 4, 100},
    [STEP_KEEP] = {"keep", 3, 45},       [STEP_GO_BACK] = {"go-back", 2, 45},
    [STEP_REST] = {"rest", 1, 10},       [STEP_AHEAD] = {"ahead", 3, 35},
    [STEP_BEHIND] = {"behind", 2, 20},   [STEP_DATABASE_CLOCK] = {"database-clock", 2, 10},
    [STEP_CACHE] = {"cache", 60, 50},    [STEP_CACHED] = {"ask-cache", 40, 100},
    [STEP_SERVE] = {"serve", 20, 95},    [STEP_FLUSH] = {"flush", 4, 50},
    [STEP_OUTLIVE] = {"outlive", 2, 50}, [STEP_STOP] = {"stop", 2, 40},
    [STEP_COPY] = {"copy", 2, 30},       [STEP_MOVE] = {"move", 2, 30},
    [STEP_UNHEARD] = {"unheard", 3, 75}, [STEP_OWN] = {"own", 12, 100},
};

/* In a dense world: little else than what it is there for. */
static const int dense_weights[STEP_KINDS] = {
    [STEP_ISSUE] = 10, [STEP_USE] = 10,   [STEP_LOOK] = 5,   [STEP_CHANGE] = 3, [STEP_SOME] = 10,
    [STEP_DRAIN] = 5,  [STEP_FOLLOW] = 5, [STEP_ROUND] = 10, [STEP_WAIT] = 10,  [STEP_PASS] = 3,
    [STEP_CRASH] = 1,  [STEP_START] = 4,  [STEP_HEAL] = 2,   [STEP_CACHE] = 20, [STEP_CACHED] = 10,
    [STEP_SERVE] = 10, [STEP_STOP] = 1,   [STEP_COPY] = 3,   [STEP_MOVE] = 3,   [STEP_UNHEARD] = 60,
};

static int any_process(struct world *world)
{
    return random_below(world->process_count);
}

static void begin_call(struct sim_call *call)
{
    if (!call->world->is_settling && random_chance(5))
        call_loses_patience(call);
    if (!call->world->is_settling && call->world->caches != NULL && random_chance(20))
        call_asks_for_all(call);
    call_begin(call);
}

static void begin(struct world *world, int process, enum call_kind kind, int token, int credential)
{
    struct sim_call *call = call_make(world, process, kind, token, credential);
    if (call == NULL)
        return;
    if (token >= 0)
        call->peer = own_peer(world);
    else if (world->is_own)
        call->call.peer = SIM_PEER_A; /* of whom a token is issued to */
    begin_call(call);
}

/* Recent ones more often: they live. */
static int any_token(struct world *world)
{
    int count = world->model.token_count;
    int recent = count > 8 && random_chance(70) ? 8 : count;
    return count == 0 ? -1 : count - 1 - random_below(recent);
}

static int any_credential(struct world *world)
{
    int made[SIM_CREDENTIALS], count = 0;
    for (int i = 0; i < world->model.credential_count; i++)
        if (world->model.credentials[i].is_made)
            made[count++] = i;
    return count == 0 ? -1 : made[random_below(count)];
}

static void question(struct world *world, enum call_kind kind)
{
    int token = any_token(world);
    if (token >= 0)
        begin(world, any_process(world), kind, token, -1);
}

/* The same few again and again: a cache is for those. */
static void ask_caches(struct world *world)
{
    int count = world->model.token_count;
    for (int i = random_below(6); i >= 0 && world->caches != NULL && count > 0; i--)
        caches_ask(world->caches, count - 1 - random_below(count < 3 ? count : 3), any_process(world));
}

static void issue(struct world *world)
{
    int credential = any_credential(world);
    if (credential < 0 || world->model.token_count == SIM_TOKENS)
        return;
    bool is_old = world->model.credentials[credential].old_secret[0] != '\0' && random_chance(15);
    begin(world, any_process(world), is_old ? CALL_ISSUE_OLD : CALL_ISSUE, -1, credential);
}

static void create(struct world *world)
{
    struct model *model = &world->model;
    if (model->credential_count == SIM_CREDENTIALS)
        return;
    model->credentials[model->credential_count].is_owned = random_chance(40);
    begin(world, any_process(world), CALL_CREATE, -1, model->credential_count++);
}

/* Of those that are suspended, if any is: otherwise their tokens would be idle before they are resumed. */
static int suspended_credential(const struct world *world)
{
    const struct model *model = &world->model;
    for (int i = 0; i < model->credential_count; i++)
        for (int j = 0; j < SIM_PROCESSES; j++)
            if (model->credentials[i].suspended.by[j].is_set)
                return i;
    return -1;
}

static void change(struct world *world)
{
    static const enum call_kind changes[] = {CALL_END_TOKENS, CALL_GRANT,    CALL_REVOKE_ROLES, CALL_REVOKE_ROLES,
                                             CALL_SET_USER,   CALL_SET_USER, CALL_DELETE_USER,  CALL_DELETE,
                                             CALL_UNDELETE,   CALL_EXPIRY,   CALL_EXPIRY,       CALL_REGENERATE,
                                             CALL_SUSPEND,    CALL_RESUME,   CALL_RESUME};
    enum { NARROW = 12, WIDE = sizeof changes / sizeof changes[0] };
    enum call_kind kind = changes[random_below(world->is_wide ? WIDE : NARROW)];
    bool is_of_user = kind == CALL_SET_USER || kind == CALL_DELETE_USER;
    int credential = is_of_user ? -1 : any_credential(world);
    if (credential < 0 && !is_of_user)
        return;
    if (kind == CALL_RESUME && suspended_credential(world) >= 0)
        credential = suspended_credential(world);
    struct sim_call *call = call_make(world, any_process(world), kind, -1, credential);
    if (call == NULL)
        return;
    call->role = kind == CALL_SET_USER ? random_below(1 << SIM_ROLES) : random_below(SIM_ROLES);
    if (kind == CALL_EXPIRY && !random_chance(30))
        call->value = world->time + (random_chance(25) ? -CLOCK_SECOND : random_between(1, 90) * MINUTE);
    begin_call(call);
}

static void settings(struct world *world)
{
    static const int minutes[] = {1, 2, 5, 20};
    struct sim_call *call = call_make(world, any_process(world), CALL_SETTINGS, -1, -1);
    if (call == NULL)
        return;
    call->value = minutes[random_below(4)] * MINUTE;
    begin_call(call);
}

/* Time */

/* Minutes: with or without the processes' threads at work. */
static void pass(struct world *world)
{
    int parts = 1 + random_below(4);
    bool is_awake = random_chance(70);
    int64_t part = random_between(CLOCK_SECOND, 4 * MINUTE);
    for (int i = 0; i < parts; i++) {
        world_pass(world, part);
        if (!is_awake)
            continue;
        for (int p = 0; p < world->process_count; p++) {
            process_follow(world, &world->processes[p]);
            process_round(world, &world->processes[p]);
        }
        world_drain(world);
    }
}

static void wait_a_little(struct world *world)
{
    if (world->is_wide && random_chance(15)) {
        unheard_wait(world);
        return;
    }
    world_pass(world, random_chance(70) ? random_between(0, world->lease / 2) : random_between(0, 4 * world->lease));
}

static int64_t any_offset(void)
{
    static const int64_t offsets[] = {5, 25 * 60, 2 * 3600, 40 * 86400, 15 * 365 * 86400};
    return offsets[random_below(sizeof offsets / sizeof offsets[0])] * CLOCK_SECOND;
}

static void set_clock(struct world *world, int direction)
{
    struct process *process = &world->processes[any_process(world)];
    if (process->offset != 0) {
        world_set_offset(world, process, 0);
        return;
    }
    /* Wrong for some minutes, right for some minutes: a clock that is wrong most of the time is believed. */
    if (process->believed_at > world->time)
        return;
    process->wrong_since = world->time;
    world_set_offset(world, process, direction * any_offset());
}

static void set_database_clock(struct world *world)
{
    bool was_right = world->database_offset == 0;
    if (was_right)
        world->database_wrong_since = world->time;
    world_set_database_offset(world, was_right ? any_offset() * (random_chance(50) ? 1 : -1) : 0);
}

/* By another lease, perhaps. */
static void restart(struct world *world, struct process *process)
{
    process->lease = process->leases[world->is_wide ? random_below(2) : 0];
    (void)!process_start(world, process);
}

/* Nothing runs for a month, then everything does. */
static void rest(struct world *world)
{
    for (int i = 0; i < world->process_count; i++)
        process_crash(world, &world->processes[i]);
    world_pass(world, 31 * INT64_C(86400) * CLOCK_SECOND);
    for (int i = 0; i < world->process_count; i++)
        (void)!process_start(world, &world->processes[i]);
}

/* Faults of the database */

static void go_back(struct world *world)
{
    enum cluster_copy copy = random_chance(75) ? COPY_STANDBY : COPY_BACKUP;
    if (world->model.kept[copy] == 0)
        return;
    if (!world->is_shared) /* a file is put back while nobody uses it */
        process_crash(world, &world->processes[0]);
    world_go_back(world, copy);
}

static void keep(struct world *world)
{
    enum cluster_copy copy = random_chance(75) ? COPY_STANDBY : COPY_BACKUP;
    if (copy == COPY_STANDBY || world->model.kept[copy] == 0)
        world_keep(world, copy);
}

/* One of them reaps before the others have stored what they know. */
static void end_outage(struct world *world)
{
    world_heal(world);
    process_round(world, &world->processes[any_process(world)]);
    world_drain(world);
    for (int i = 0; i < 6; i++)
        question(world, CALL_USE);
    world_drain(world);
}

static void intrude(struct world *world);

/* Tokens stay in use for longer than the idle timeout, while nothing is stored, until it is again: between any two of
 * what was queued meanwhile. A database elsewhere lets nobody wait for as long as that: it fails. */
static void outlive(struct world *world)
{
    int64_t part = facts_idle_timeout(world) / 6;
    bool hangs = random_chance(50) && !world->is_shared;
    if (world->is_shared) {
        for (int i = 0; i < world->process_count; i++) /* each has spoken lately */
            process_round(world, &world->processes[i]);
        world->intrude = NULL; /* it would end the outage */
    }
    world_drain(world);
    for (int i = 0; i < 4; i++)
        issue(world);
    world_drain(world); /* what is not known while something is under way would not be known for all that time */
    world_stop_writes(world, hangs);
    world_say(world, "the database takes no writes for long");
    /* Of a shared store: until what is stored is idle for long, and the last use that could be answered is not. */
    for (int turn = 0; turn < (world->is_shared ? 7 : 10); turn++) {
        world_pass(world, part);
        for (int i = 0; i < 6; i++)
            question(world, CALL_USE);
        for (int i = 0; i < world->process_count; i++)
            if (random_chance(40))
                (hangs || world->is_shared ? process_flush : process_round)(world, &world->processes[i]);
        for (int i = random_below(20); i >= 0; i--)
            (void)world_step(world);
        if (world->is_shared)
            world_drain(world);
    }
    cluster_faults(world->cluster)->writes_hang = false;
    world_drain(world); /* what has waited for so long fails: the store has a limit */
    world->intrude = intrude;
    if (world->is_shared)
        end_outage(world);
    else if (random_chance(50))
        world_heal(world);
}

/* Of a token that was just issued, mostly: it lives. */
static void end_unheard(struct world *world)
{
    world_drain(world);
    if (random_chance(30))
        unheard_silence(world);
    issue(world);
    world_drain(world);
    int token = random_chance(70) ? world->model.token_count - 1 : any_token(world);
    if (world->is_shared && random_chance(20)) {
        unheard_come(world);
        world_drain(world);
    }
    if (token >= 0)
        unheard_end(world, token);
}

/* While something else is under way: a question, or the end of an outage. */
static void intrude(struct world *world)
{
    const struct cluster_faults *faults = cluster_faults(world->cluster);
    if (faults->writes_fail && !faults->writes_hang && random_chance(30))
        world_heal(world);
    else
        question(world, random_chance(50) ? CALL_USE : CALL_LOOK);
}

static void take(struct world *world, enum step_kind kind)
{
    struct process *process = &world->processes[any_process(world)];
    switch (kind) {
    case STEP_ISSUE:
        issue(world);
        break;
    case STEP_USE:
        question(world, CALL_USE);
        break;
    case STEP_LOOK:
        question(world, CALL_LOOK);
        break;
    case STEP_END_TOKEN:
        question(world, random_chance(50) ? CALL_REVOKE : CALL_END_TOKEN);
        break;
    case STEP_CHANGE:
        change(world);
        break;
    case STEP_SETTINGS:
        settings(world);
        break;
    case STEP_CREATE:
        create(world);
        break;
    case STEP_SOME:
        for (int i = random_below(12); i >= 0; i--)
            (void)world_step(world);
        break;
    case STEP_DRAIN:
        world_drain(world);
        break;
    case STEP_FOLLOW:
        process_follow(world, process);
        break;
    case STEP_ROUND:
        process_round(world, process);
        break;
    case STEP_FLUSH:
        process_flush(world, process);
        break;
    case STEP_WAIT:
        wait_a_little(world);
        break;
    case STEP_PASS:
        pass(world);
        break;
    case STEP_CRASH:
        process_crash(world, process);
        break;
    case STEP_START:
        if (!process->is_up)
            restart(world, process);
        break;
    case STEP_OUTAGE:
        world_stop_writes(world, false);
        world_say(world, "the database takes no writes");
        break;
    case STEP_OUTLIVE:
        if (!world->is_shared || world_is_right(world)) /* a clock that was wrong is mended by the next flushes */
            outlive(world);
        break;
    case STEP_DEAF:
        world_stop_writes(world, false);
        cluster_faults(world->cluster)->reads_fail = true;
        world_say(world, "the database is away");
        break;
    case STEP_HEAL:
        world_heal(world);
        break;
    case STEP_KEEP:
        keep(world);
        break;
    case STEP_GO_BACK:
        go_back(world);
        break;
    case STEP_CACHE:
        for (int i = random_below(12); i >= 0 && world->caches != NULL; i--)
            caches_step(world->caches);
        break;
    case STEP_CACHED:
        ask_caches(world);
        break;
    case STEP_SERVE:
        caches_serve(process);
        break;
    case STEP_UNHEARD:
        end_unheard(world);
        break;
    case STEP_OWN:
        own_step(world);
        break;
    case STEP_STOP:
        (void)process_stop(world, process);
        break;
    case STEP_COPY:
        copies_make(world);
        break;
    case STEP_MOVE:
        copies_move(world);
        break;
    case STEP_REST:
        rest(world);
        break;
    case STEP_AHEAD:
        set_clock(world, 1);
        break;
    case STEP_BEHIND:
        set_clock(world, -1);
        break;
    case STEP_DATABASE_CLOCK:
        set_database_clock(world);
        break;
    case STEP_KINDS:
        break;
    }
}

static int choose_weight(const struct world *world, enum step_kind kind)
{
    bool is_in_all = kinds[kind].percent == 100 || kind == STEP_UNHEARD;
    if (world->is_dense)
        return dense_weights[kind] * (is_in_all ? 1 + random_below(2) : random_below(3));
    return random_chance(kinds[kind].percent) ? kinds[kind].weight * (1 + random_below(3)) : 0;
}

static void choose(struct world *world, int weights[STEP_KINDS])
{
    world->is_shared = random_chance(75);
    world->process_count = !world->is_shared ? 1 : random_chance(75) ? 2 : 3;
    world->is_strict = world->is_shared && random_chance(15);
    for (int i = 0; i < PROCESSES_MAX; i++) {
        struct process *process = &world->processes[i];
        for (int j = 0; j < (world->is_wide ? 2 : 1); j++) {
            process->leases[j] =
                random_chance(world->is_dense ? 50 : 80) ? CLOCK_SECOND : random_between(1, 60) * CLOCK_SECOND;
            if (i < world->process_count && process->leases[j] > world->lease)
                world->lease = process->leases[j];
        }
        process->lease = process->leases[0];
        process->is_slow = world->is_wide && random_chance(world->is_dense ? 50 : 20);
    }
    world->max_tokens = random_chance(world->is_dense ? 10 : 40) ? 1 : 0;
    world->cache_lease = random_chance(50) ? CLOCK_SECOND : random_between(2, 10) * CLOCK_SECOND;
    for (int i = 0; i < (world->is_own ? STEP_KINDS : world->is_wide ? STEP_OWN : STEP_STOP); i++)
        weights[i] = choose_weight(world, (enum step_kind)i);
    for (int i = 0; i < STEP_KINDS; i++)
        if (world->without != NULL && strstr(world->without, kinds[i].name) != NULL)
            weights[i] = 0;
}

void steps_run(struct world *world, struct cluster *cluster, struct cluster *other, uint64_t seed, int steps)
{
    int weights[STEP_KINDS] = {0}, total = 0;
    random_seed(seed);
    world->seed = seed;
    world->is_wide = seed > SIM_NARROW;
    world->is_dense = seed > SIM_WIDE && seed <= SIM_DENSE;
    world->is_own = seed > SIM_DENSE;
    if (world->is_dense)
        steps /= 4; /* most of them are long */
    choose(world, weights);
    world->intrude = intrude;
    world_open(world, cluster, other);
    if (world->is_shared && random_chance(20))
        cluster_faults(cluster)->unknown_percent = 10;
    for (int i = 0; i < STEP_KINDS; i++)
        total += weights[i];
    if (weights[STEP_CACHE] > 0)
        world->caches = caches_new(world);
    for (int i = 0; i < world->process_count; i++)
        (void)!process_start(world, &world->processes[i]);
    for (int i = 0; i < 2; i++) {
        create(world);
        world_drain(world);
    }
    for (int i = 0; i < steps && !world->has_failed; i++) {
        int kind = 0;
        for (int at = random_below(total); at >= weights[kind]; kind++)
            at -= weights[kind];
        take(world, (enum step_kind)kind);
    }
    world->intrude = NULL;
    if (!world->has_failed)
        ending(world);
    world_close(world);
    caches_free(world->caches);
    world->caches = NULL;
}
