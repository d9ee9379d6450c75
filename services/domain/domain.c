/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/domain.h"

#include "domain/credential.h"
#include "domain/flusher.h"
#include "domain/news.h"
#include "log.h"
#include "store/floor.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TOKENS = 2000000, DEFAULT_FLUSH_MS = 2000, DEFAULT_LEASE_MS = 1000 };
enum { FLUSHES_PER_IDLE_TIME = 8 };
#define SAID_REST (24 * 3600 * CLOCK_SECOND)

struct opening {
    struct domain *domain;
    int64_t now;
    bool begins_history;
    bool has_key;
    int64_t revision;
    struct position last;
};

/* What a new database needs once. */

static enum status read_key(const struct store_row *row, void *arg)
{
    struct opening *opening = arg;
    size_t len = 0;
    const void *key = store_row_blob(row, 0, &len);
    if (len != SHA256_BYTES)
        return STATUS_INTERNAL;
    memcpy(opening->domain->instance_key, key, SHA256_BYTES);
    opening->has_key = true;
    return STATUS_OK;
}

static enum status read_counter(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

static enum status read_position(const struct store_row *row, void *arg)
{
    *(struct position *)arg = (struct position){store_row_int(row, 0), store_row_int(row, 1)};
    return STATUS_OK;
}

/* A log whose last change has no id, or has gone, names no history. */
static enum status seed_history(struct store_tx *tx, struct opening *opening)
{
    struct work work = {.tx = tx, .now = opening->now};
    opening->revision = 0;
    opening->last = (struct position){0};
    TRY(store_run(tx, "SELECT value FROM counter WHERE name = 'revision'", read_counter, &opening->revision));
    TRY(store_run(tx, "SELECT revision, change_id FROM change_log ORDER BY revision DESC LIMIT 1", read_position,
                  &opening->last));
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
    TRY(role_seed(tx, opening->now));
    TRY(seed_history(tx, opening));
    opening->has_key = false;
    TRY(store_run(tx, "SELECT value FROM instance WHERE name = 'page_key'", read_key, opening));
    if (opening->has_key)
        return STATUS_OK;
    crypto_random(opening->domain->instance_key, SHA256_BYTES);
    return store_run(tx, "INSERT INTO instance (name, value) VALUES ('page_key', $1)", NULL, NULL,
                     store_blob(opening->domain->instance_key, SHA256_BYTES));
}

static enum status read_floor(struct store_tx *tx, void *arg)
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
    TRY(store_read_wait(domain->store, read_floor, &floor));
    domain->clock = clock_new(floor);
    domain->owns_clock = true;
    struct clock_state state;
    clock_describe(domain->clock, &state);
    if (state.ahead > CLOCK_SECOND)
        log_write(LOG_LEVEL_WARN, "clock_behind", "seconds", log_number(state.ahead / CLOCK_SECOND).text, "message",
                  "the system's clock is behind the last time that the database saw; going on from that time. If the "
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
    struct news news = {.domain = domain, .is_start = true, .now = opening.now};
    TRY(store_write_wait(domain->store, seed_tx, &opening));
    *ret_confirmed = clock_steady(domain->clock);
    enum status status = store_read_wait(domain->store, load_tx, &news);
    if (status == STATUS_OK)
        news_apply(&news);
    news_done(&news);
    return status;
}

enum status domain_open(const struct domain_options *options, struct domain **ret_domain)
{
    struct domain *domain = calloc(1, sizeof *domain);
    if (domain == NULL)
        abort();
    domain->store = options->store;
    domain->directory = directory_new();
    domain->tokens =
        token_table_new(options->max_tokens_in_memory == 0 ? DEFAULT_TOKENS : options->max_tokens_in_memory);
    domain->usage = usage_new();
    domain->audit = audit_queue_new();
    domain->clock = options->clock;
    int64_t confirmed = 0;
    enum status status = load(domain, options->begins_history, &confirmed);
    if (status != STATUS_OK) {
        domain_close(domain);
        return status;
    }
    int64_t flush_ms = options->flush_interval_ms == 0 ? DEFAULT_FLUSH_MS : options->flush_interval_ms;
    domain->flush_interval = flush_ms < 0 ? 0 : flush_ms * 1000;
    if (store_is_shared(domain->store)) {
        int64_t lease_ms = options->lease_ms == 0 ? DEFAULT_LEASE_MS : options->lease_ms;
        struct replica_options replica_options = {
            .lease = lease_ms * 1000, .is_strict = options->is_strict, .has_thread = options->flush_interval_ms >= 0};
        domain->replica = replica_new(domain, &replica_options, confirmed);
        status = replica_start(domain->replica);
        if (status != STATUS_OK) {
            domain_close(domain);
            return status;
        }
    }
    domain->flusher = flusher_new(domain, flush_ms);
    *ret_domain = domain;
    return STATUS_OK;
}

void domain_close(struct domain *domain)
{
    if (domain == NULL)
        return;
    if (domain->flusher != NULL)
        flusher_stop(domain->flusher);
    replica_free(domain->replica);
    flusher_free(domain->flusher);
    token_table_free(domain->tokens);
    usage_free(domain->usage);
    audit_queue_free(domain->audit);
    directory_free(domain->directory);
    if (domain->owns_clock)
        clock_free(domain->clock);
    free(domain);
}

void domain_flush(struct domain *domain, store_done_fn *done, void *arg)
{
    flusher_flush(domain->flusher, done, arg);
}

int64_t domain_flush_pause(const struct domain *domain, const struct settings *settings)
{
    if (domain->flush_interval == 0) /* no thread: whoever flushes may take its time */
        return settings->idle_timeout / 4;
    int64_t most = settings->idle_timeout / FLUSHES_PER_IDLE_TIME;
    return domain->flush_interval < most ? domain->flush_interval : most;
}

int64_t domain_store_margin(const struct domain *domain, const struct settings *settings)
{
    return 2 * domain_flush_pause(domain, settings) + 2 * CLOCK_SECOND;
}
