/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "caches.h"
#include "calls.h"
#include "random.h"

#include "domain/flush.h"
#include "memory/token_table.h"
#include "store/copy.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Some minutes: what it takes a clock to settle, and the flusher to come round to what is rarely done. */
#define RECOVERY (CLOCK_SETTLES + 90 * CLOCK_SECOND)
#define START (INT64_C(1800000000) * CLOCK_SECOND)
#define WRONG_MAX (500 * CLOCK_SECOND) /* a clock is wrong for so long: less than it takes to be believed */
#define CRASH_WAIT (60 * CLOCK_SECOND) /* longer than anything waits for leases */
enum { DEPTH_MAX = 2, YIELD_PERCENT = 25, INTRUDE_PERCENT = 20 };

static struct world *current; /* the linker's wraps below know no other way to it */

void world_open(struct world *world, struct cluster *cluster, struct cluster *other)
{
    world->cluster = cluster;
    world->other = other;
    world->time = START;
    cluster_reset(cluster, world->is_shared);
    cluster_reset(other, world->is_shared);
    world->database_time = START;
    cluster_set_clock(cluster, &world->database_time);
    for (int i = 0; i < PROCESSES_MAX; i++)
        world->processes[i].index = i;
    current = world;
}

void world_close(struct world *world)
{
    current = NULL;
    for (int i = 0; i < PROCESSES_MAX; i++)
        process_crash(world, &world->processes[i]);
}

void world_say(struct world *world, const char *format, ...)
{
    if (!world->is_verbose)
        return;
    va_list list;
    va_start(list, format);
    fprintf(stderr, "%12.6f ", (double)(world->time - START) / CLOCK_SECOND);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
}

void world_fail(struct world *world, const char *format, ...)
{
    va_list list;
    if (world->has_failed)
        return;
    world->has_failed = true;
    va_start(list, format);
    vsnprintf(world->failure, sizeof world->failure, format, list);
    va_end(list);
    world_say(world, "VIOLATION: %s", world->failure);
}

void world_note(struct world *world, uint64_t value)
{
    world->digest = (world->digest ^ value) * UINT64_C(0x100000001b3) ^ (uint64_t)world->time;
}

/* Time */

void world_advance(struct world *world, int64_t microseconds)
{
    world->time += microseconds;
    world->database_time += microseconds;
    for (int i = 0; i < world->process_count; i++) {
        const struct process *process = &world->processes[i];
        int64_t missed = process->is_slow ? microseconds / 100 : 0;
        if (!process->is_up)
            continue;
        clock_advance(process->clock, microseconds - missed);
        clock_step(process->clock, missed); /* somebody sets the wall clock right all the time */
    }
}

void world_set_offset(struct world *world, struct process *process, int64_t offset)
{
    if (process->is_up) {
        (void)clock_now(process->clock); /* some thread has looked at it */
        clock_step(process->clock, offset - process->offset);
        (void)clock_now(process->clock);
    }
    process->clock_steps += process->offset != offset;
    if (offset == 0 && process->offset != 0 && world->time - process->wrong_since > 10 * CLOCK_SECOND)
        process->believed_at = world->time + 2 * CLOCK_SETTLES;
    if (process->offset != offset)
        world->right_since = world->time;
    process->offset = offset;
    world_say(world, "%d its clock is off by %lld s", process->index, (long long)(offset / CLOCK_SECOND));
}

void world_set_database_offset(struct world *world, int64_t offset)
{
    if (world->database_offset != offset)
        world->right_since = world->time;
    world->database_time += offset - world->database_offset;
    world->database_offset = offset;
    world_say(world, "the database's clock is off by %lld s", (long long)(offset / CLOCK_SECOND));
}

void world_pass(struct world *world, int64_t microseconds)
{
    for (int i = 0; i < world->process_count; i++) {
        struct process *process = &world->processes[i];
        if (process->offset != 0 && world->time + microseconds - process->wrong_since > WRONG_MAX)
            world_set_offset(world, process, 0);
    }
    if (world->database_offset != 0 && world->time + microseconds - world->database_wrong_since > WRONG_MAX)
        world_set_database_offset(world, 0);
    world_advance(world, microseconds);
}

/* What happens */

bool world_is_right(const struct world *world)
{
    bool is_right = world->time - world->right_since > RECOVERY && world->database_offset == 0;
    for (int i = 0; i < world->process_count; i++)
        is_right &= world->processes[i].offset == 0;
    return is_right;
}

bool world_step(struct world *world)
{
    struct process *able[PROCESSES_MAX];
    int count = 0;
    for (int i = 0; i < world->process_count; i++)
        if (world->processes[i].is_up && !store_is_idle(world->processes[i].store))
            able[count++] = &world->processes[i];
    return count > 0 && store_step(able[random_below(count)]->store);
}

void world_drain(struct world *world)
{
    while (world_step(world))
        ;
}

void world_yield_current(void)
{
    struct world *world = current;
    if (world == NULL || world->depth >= DEPTH_MAX || cluster_is_busy(world->cluster) || !random_chance(YIELD_PERCENT))
        return;
    world->depth++;
    for (int i = random_below(4); i >= 0; i--)
        (void)world_step(world);
    if (world->intrude != NULL && random_chance(INTRUDE_PERCENT))
        world->intrude(world);
    world->depth--;
}

/* Where a thread may be held up between two looks at what others change, and holds no lock: the linker puts these
 * in (--wrap). */
bool __real_token_table_get(struct token_table *table, const struct token_key *key, struct token_facts *ret_facts,
                            uint64_t *ret_generation);
bool __wrap_token_table_get(struct token_table *table, const struct token_key *key, struct token_facts *ret_facts,
                            uint64_t *ret_generation);
bool __real_token_table_put(struct token_table *table, const struct token_facts *facts, uint64_t generation,
                            uint32_t api);
bool __wrap_token_table_put(struct token_table *table, const struct token_facts *facts, uint64_t generation,
                            uint32_t api);
const struct credential_facts *__real_directory_facts(const struct credential_entry *entry,
                                                      struct credential_facts *ret_facts);
const struct credential_facts *__wrap_directory_facts(const struct credential_entry *entry,
                                                      struct credential_facts *ret_facts);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

bool __wrap_token_table_get(struct token_table *table, const struct token_key *key, struct token_facts *ret_facts,
                            uint64_t *ret_generation)
{
    bool is_hit = __real_token_table_get(table, key, ret_facts, ret_generation);
    world_yield_current();
    return is_hit;
}

bool __wrap_token_table_put(struct token_table *table, const struct token_facts *facts, uint64_t generation,
                            uint32_t api)
{
    world_yield_current();
    return __real_token_table_put(table, facts, generation, api);
}

/* Between the settings and the credential: what is decided by must be of one moment, and stay there. */
const struct credential_facts *__wrap_directory_facts(const struct credential_entry *entry,
                                                      struct credential_facts *ret_facts)
{
    const struct credential_facts *facts = __real_directory_facts(entry, ret_facts);
    world_yield_current();
    return facts;
}

/* Few parts of the token table, so that tokens push each other out: a key's fifth byte, which chooses the part, is the
 * digest's first. */
void __real_crypto_sha256(const void *data, size_t len, uint8_t digest[static SHA256_BYTES]);
void __wrap_crypto_sha256(const void *data, size_t len, uint8_t digest[static SHA256_BYTES]);

void __wrap_crypto_sha256(const void *data, size_t len, uint8_t digest[static SHA256_BYTES])
{
    __real_crypto_sha256(data, len, digest);
    digest[0] &= 1;
}

/* A copy waits for a time to pass, and others go on meanwhile. */
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
    (void)left;
    if (wanted->tv_sec == 0)
        return 0;
    world_advance(current, wanted->tv_sec * CLOCK_SECOND);
    for (int i = 0; i < current->process_count; i++)
        process_round(current, &current->processes[i]);
    return 0;
}

/* Whoever waits for another thread: something happens, then it looks again. */
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    (void)condition;
    pthread_mutex_unlock(mutex);
    current->depth++;
    if (cluster_faults(current->cluster)->writes_hang) {
        cluster_faults(current->cluster)->writes_hang = false;
    } else if (!world_step(current)) {
        fprintf(stderr, "a thread waits for what never comes\n");
        abort();
    }
    if (current->intrude != NULL && random_chance(INTRUDE_PERCENT))
        current->intrude(current);
    current->depth--;
    pthread_mutex_lock(mutex);
    return 0;
}

/* The watch's thread: caches_serve takes its turns. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg);
int __wrap_pthread_setname_np(pthread_t thread, const char *name);
int __wrap_pthread_join(pthread_t thread, void **ret_value);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
    (void)attributes, (void)run, (void)arg;
    *thread = pthread_self();
    return 0;
}

int __wrap_pthread_setname_np(pthread_t thread, const char *name)
{
    (void)thread, (void)name;
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **ret_value)
{
    (void)thread, (void)ret_value;
    return 0;
}

/* Processes */

/* As domain_open does it for a clock of its own: from the last settled time that the store saw. */
static struct clock *make_clock(struct world *world, int64_t wall)
{
    int64_t floor = cluster_ask(world->cluster, "SELECT value FROM counter WHERE name = 'clock'", NULL, 0, 0);
    struct clock *clock = clock_new_manual(floor);
    clock_step(clock, wall - floor);
    return clock;
}

/* As services/local.c does it. */
static enum status open_domain(struct world *world, struct process *process)
{
    char why[STORE_WHY_MAX] = "";
    bool was_copy = false;
    if (world->is_wide)
        TRY(copy_claim(process->store, &was_copy, why));
    const struct domain_options options = {
        .store = process->store,
        .clock = process->clock,
        .max_tokens_in_memory = world->max_tokens,
        .flush_interval_ms = -1,
        .lease_ms = process->lease / 1000,
        .cache_lease_ms = world->cache_lease / 1000,
        .is_strict = world->is_strict,
        .begins_history = was_copy,
    };
    return domain_open(&options, &process->domain);
}

/* What was the last copy is none any more: nobody would start on it. */
static void copy_is_outdated(struct world *world)
{
    if (world->copied == COPY_LAST)
        world->copied = COPY_NONE;
}

enum status process_start(struct world *world, struct process *process)
{
    static const char *const identities[] = {"simulator", NULL};
    process->store = cluster_connect(world->cluster);
    process->clock = make_clock(world, world->time + process->offset);
    process->started = ++world->order;
    enum status status = open_domain(world, process);
    world_say(world, "%d starts: %s", process->index, status_name(status));
    if (status != STATUS_OK) {
        store_close(process->store);
        clock_free(process->clock);
        return status;
    }
    process->api = api_new(&(struct api_options){
        .domain = process->domain, .introspect_identities = identities, .admin_identities = identities});
    process->is_up = true;
    copy_is_outdated(world);
    process->incarnation++;
    process->said = world->time;
    if (world->right_since != 0) /* it has yet to find out what its clock is worth */
        world->right_since = world->time;
    return STATUS_OK;
}

void process_crash(struct world *world, struct process *process)
{
    if (!process->is_up)
        return;
    world_say(world, "%d crashes", process->index);
    for (struct sim_call *call = world->calls; call != NULL; call = call->next)
        call->is_dropped |= call->process == process;
    store_crash(process->store);
    process->is_up = false;
    caches_lose(world, process, CRASH_WAIT);
    api_free(process->api);
    domain_close(process->domain);
    store_close(process->store);
    clock_free(process->clock);
    model_crash(world, process->index);
}

bool process_stop(struct world *world, struct process *process)
{
    if (!process->is_up)
        return true;
    world_drain(world);
    for (const struct sim_call *call = world->calls; call != NULL; call = call->next)
        if (call->process == process)
            return false;
    world_say(world, "%d stops", process->index);
    process->is_stopping = true;
    caches_lose(world, process, 0);
    api_free(process->api);
    domain_close(process->domain);
    while (store_step(process->store))
        ;
    process->is_stopping = process->is_up = false;
    store_close(process->store);
    clock_free(process->clock);
    model_crash(world, process->index); /* what it has stored at last, nobody was told */
    return true;
}

void process_follow(struct world *world, struct process *process)
{
    if (!process->is_up || process->domain->follow == NULL || process->is_busy)
        return;
    world_say(world, "%d follows", process->index);
    process->is_busy = true;
    follow_once(process->domain->follow);
    process->is_busy = false;
}

struct flushing {
    struct world *world;
    int process, incarnation;
    int failovers;
    int64_t begun;
    int64_t dates[SIM_TOKENS];
};

static void process_said(struct process *process, int64_t at)
{
    if (at > process->said)
        process->said = at;
}

static void flushed(enum status status, void *arg)
{
    struct flushing *flushing = arg;
    world_say(flushing->world, "%d flushed: %s", flushing->process, status_name(status));
    if (status == STATUS_OK) {
        process_said(&flushing->world->processes[flushing->process], flushing->begun);
        model_flushed(flushing->world, flushing->dates, flushing->failovers);
    }
    free(flushing);
}

void world_stop_writes(struct world *world, bool hangs)
{
    struct cluster_faults *faults = cluster_faults(world->cluster);
    if (!faults->writes_fail)
        world->outage_since = world->time;
    world->outage_until = 0;
    faults->writes_hang = hangs;
    faults->writes_fail = true;
}

void world_heal(struct world *world)
{
    if (cluster_faults(world->cluster)->writes_fail)
        world->outage_until = world->time;
    *cluster_faults(world->cluster) = (struct cluster_faults){.writes_fail = false};
    world_say(world, "the database is well");
}

void process_flush(struct world *world, struct process *process)
{
    if (!process->is_up)
        return;
    struct flushing *flushing = calloc(1, sizeof *flushing);
    if (flushing == NULL)
        abort();
    flushing->world = world;
    flushing->process = process->index;
    flushing->begun = world->time;
    flushing->failovers = world->model.failovers;
    struct settings settings = memory_settings(process->domain->memory);
    model_flush_begins(world, process->index, settings_use_step(&settings), flushing->dates);
    world_say(world, "%d flushes", process->index);
    flush_begin(process->domain->flush, FLUSH_ROUND, flushed, flushing);
}

void process_round(struct world *world, struct process *process)
{
    struct reaped reaped;
    if (!process->is_up || process->is_busy)
        return;
    process->is_busy = true;
    process_flush(world, process);
    world_say(world, "%d flushes and reaps", process->index);
    model_reap(world, process->index);
    background_round(process->domain->background, &reaped);
    world_say(world, "%d reaped %d", process->index, reaped.removed);
    process->is_busy = false;
}

void world_keep(struct world *world, enum cluster_copy copy)
{
    world_say(world, "copy %d is taken", copy);
    cluster_keep(world->cluster, copy);
    world->order++;
    model_keep(world, copy);
}

void world_go_back(struct world *world, enum cluster_copy copy)
{
    world_say(world, "copy %d becomes the database", copy);
    cluster_go_back(world->cluster, copy);
    copy_is_outdated(world);
    world->order++;
    model_go_back(world, copy);
}
