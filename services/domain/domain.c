/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/domain.h"

#include "base/log.h"
#include "base/must.h"
#include "domain/news.h"
#include "records/change_log.h"
#include "records/instance.h"
#include "records/role.h"
#include "store/floor.h"

#include <stdio.h>

enum { DEFAULT_TOKENS = 2000000, DEFAULT_FLUSH_MS = 2000, DEFAULT_LEASE_MS = 1000, DEFAULT_CACHE_LEASE_MS = 1000 };
#define SAID_REST (24 * 3600 * CLOCK_SECOND)

struct opening {
    struct domain *domain;
    int64_t now;
    bool begins_history;
    int64_t revision;
    struct position last;
    struct work work;
    bool is_new;
    char taken[ROLES_BUILT_IN][ROLE_ID_MAX + 1]; /* ids that are the operator's own */
    size_t taken_count;
};

/* What a new database needs once. */

/* The others that serve from this store hear of a role that an older program did not bring. */
static enum status note_role(const struct role *role, void *arg)
{
    struct opening *opening = arg;
    if (!role->is_built_in)
        snprintf(opening->taken[opening->taken_count++], ROLE_ID_MAX + 1, "%s", role->id);
    return opening->is_new || !role->is_built_in ? STATUS_OK : work_change_role(&opening->work, role);
}

static enum status seed_roles(struct store_tx *tx, struct opening *opening)
{
    opening->work = (struct work){.tx = tx, .now = opening->now};
    opening->taken_count = 0;
    TRY(change_log_revision(tx, &opening->revision));
    opening->is_new = opening->revision == 0;
    enum status status = role_row_seed(tx, opening->now, note_role, opening);
    work_reset(&opening->work);
    return status;
}

/* Its holder is no administrator: a name gives no right. */
static void warn_of_taken(const struct opening *opening)
{
    for (size_t i = 0; i < opening->taken_count; i++)
        log_write(LOG_LEVEL_WARN, "role_name_taken", "role", opening->taken[i], "message",
                  "a role of this installation has the name of one that Gatehouse brings; it gives no right in "
                  "administration, and Gatehouse's own is not there",
                  NULL);
}

/* A log whose last change has no id, or has gone, names no history. */
static enum status seed_history(struct store_tx *tx, struct opening *opening)
{
    struct work work = {.tx = tx, .now = opening->now};
    TRY(change_log_revision(tx, &opening->revision));
    TRY(change_log_last(tx, &opening->last));
    bool is_named =
        opening->last.revision == opening->revision && (opening->revision == 0 || opening->last.change_id != 0);
    if (is_named && !opening->begins_history)
        return STATUS_OK;
    enum status status = work_change_all(&work);
    work_reset(&work);
    return status;
}

static enum status seed_tx(struct store_tx *tx, void *arg)
{
    struct opening *opening = arg;
    TRY(seed_roles(tx, opening));
    TRY(seed_history(tx, opening));
    uint8_t *key = opening->domain->instance_key;
    enum status status = instance_load_key(tx, key);
    if (status != STATUS_NOT_FOUND)
        return status;
    crypto_random(key, SHA256_BYTES);
    return instance_insert_key(tx, key);
}

static enum status read_floor_tx(struct store_tx *tx, void *arg)
{
    return floor_read(tx, arg);
}

static enum status load_tx(struct store_tx *tx, void *arg)
{
    return news_read(tx, arg);
}

/* Before anything is loaded: what has ended is seen by this clock, not by the system's, which may be behind. */
static enum status start_clock(struct domain *domain)
{
    int64_t floor = 0;
    TRY(store_read_wait(domain->store, read_floor_tx, &floor));
    domain->clock = clock_new(floor);
    domain->owns_clock = true;
    struct clock_state state;
    clock_describe(domain->clock, &state);
    if (state.ahead > CLOCK_SECOND)
        log_write(LOG_LEVEL_WARN, "clock_behind", "seconds", log_number(state.ahead / CLOCK_SECOND).text, "message",
                  "the system's clock is behind the last time that the database saw; continuing from that time. If the "
                  "database saw a clock that was wrong, see gatehouse admin clock",
                  NULL);
    else if (state.unsettled > SAID_REST)
        log_write(LOG_LEVEL_INFO, "rested", "seconds", log_number(state.unsettled / CLOCK_SECOND).text, "message",
                  "so long ago is the last time that the database saw", NULL);
    return STATUS_OK;
}

static enum status load(struct domain *domain, bool begins_history, int64_t *ret_confirmed)
{
    if (domain->clock == NULL)
        TRY(start_clock(domain));
    struct opening opening = {.domain = domain, .now = clock_now(domain->clock), .begins_history = begins_history};
    struct news news = {.is_start = true, .now = opening.now};
    TRY(store_write_wait(domain->store, seed_tx, &opening));
    warn_of_taken(&opening);
    *ret_confirmed = clock_steady(domain->clock);
    enum status status = store_read_wait(domain->store, load_tx, &news);
    if (status == STATUS_OK)
        news_apply(domain->memory, &news);
    news_done(&news);
    return status;
}

struct work domain_work(const struct domain *domain, struct arena *arena, const char *actor)
{
    return (struct work){
        .memory = domain->memory, .clock = domain->clock, .follow = domain->follow, .arena = arena, .actor = actor};
}

/* 0: no threads. */
static int64_t flush_interval(const struct domain_options *options)
{
    int64_t ms = options->flush_interval_ms == 0 ? DEFAULT_FLUSH_MS : options->flush_interval_ms;
    return ms < 0 ? 0 : ms * 1000;
}

static enum status start_following(struct domain *domain, const struct domain_options *options, int64_t confirmed)
{
    if (!store_is_shared(domain->store))
        return STATUS_OK;
    int64_t lease_ms = options->lease_ms == 0 ? DEFAULT_LEASE_MS : options->lease_ms;
    const struct follow_options follow_options = {.self = {.lease = lease_ms * 1000,
                                                           .cache_lease = domain->cache_lease,
                                                           .interval = flush_interval(options),
                                                           .host = options->host},
                                                  .is_strict = options->is_strict,
                                                  .confirmed = confirmed};
    domain->follow = follow_new(domain->memory, domain->store, domain->clock, &follow_options);
    return follow_start(domain->follow);
}

static void start_acting(struct domain *domain, const struct domain_options *options)
{
    int64_t interval = flush_interval(options);
    struct group *group = domain->follow == NULL ? NULL : follow_group(domain->follow);
    domain->flush = flush_new(domain->memory, domain->store, domain->clock, group, interval);
    domain->reap = reap_new(domain->memory, domain->store, domain->clock, domain->follow);
    domain->archive = archive_new(domain->memory, domain->store, domain->clock, options->audit_archive);
    domain->introspect =
        (struct introspect){domain->memory, domain->store, domain->clock, domain->flush, domain->follow, interval};
    domain->issue = (struct issue){domain->memory, domain->store, domain->clock, domain->flush, domain->follow};
    domain->background = background_new(&(struct background_parts){domain->memory, domain->flush, domain->reap,
                                                                   domain->archive, domain->follow, interval});
    if (options->flush_interval_ms >= 0)
        background_start(domain->background);
}

enum status domain_open(const struct domain_options *options, struct domain **ret_domain)
{
    struct domain *domain = must(calloc(1, sizeof *domain));
    domain->store = options->store;
    domain->cache_lease = (options->cache_lease_ms == 0 ? DEFAULT_CACHE_LEASE_MS : options->cache_lease_ms) * 1000;
    domain->memory = memory_new(options->max_tokens_in_memory == 0 ? DEFAULT_TOKENS : options->max_tokens_in_memory);
    domain->clock = options->clock;
    domain->host = options->host == NULL ? "" : options->host;
    int64_t confirmed = 0;
    enum status status = load(domain, options->begins_history, &confirmed);
    if (status == STATUS_OK)
        status = start_following(domain, options, confirmed);
    if (status != STATUS_OK) {
        domain_close(domain);
        return status;
    }
    start_acting(domain, options);
    domain->started = clock_now(domain->clock);
    *ret_domain = domain;
    return STATUS_OK;
}

void domain_close(struct domain *domain)
{
    if (domain == NULL)
        return;
    background_stop(domain->background);
    if (domain->flush != NULL) {
        flush_begin_last(domain->flush);
        follow_leave(domain->follow);
        flush_wait(domain->flush);
    }
    background_free(domain->background);
    archive_free(domain->archive);
    reap_free(domain->reap);
    flush_free(domain->flush);
    follow_free(domain->follow);
    memory_free(domain->memory);
    if (domain->owns_clock)
        clock_free(domain->clock);
    free(domain);
}
