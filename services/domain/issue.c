/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/issue.h"

#include "records/audit.h"
#include "records/token_count.h"

enum { FULL_RETRY_MS = 60000 };
#define HOUR (3600 * CLOCK_SECOND)
#define COUNT_HOLDS HOUR
#define COUNT_AGAIN CLOCK_SECOND /* where a limit is reached: a token may have ended by itself */

static bool is_younger(const struct token_count_row *count, int64_t now, int64_t age)
{
    return count->counted > now - age && count->counted < now + age;
}

/* 0: none, of either. */
static int64_t least_of(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static int64_t most_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool is_limited(const struct issuing *issuing)
{
    return issuing->max_tokens > 0 || issuing->observed_tokens > 0 || issuing->tokens_per_hour > 0;
}

static void judge(struct issuing *issuing, int64_t live)
{
    issuing->is_full = issuing->max_tokens > 0 && live >= issuing->max_tokens;
    issuing->is_over = issuing->observed_tokens > 0 && live >= issuing->observed_tokens;
}

static enum status count_exactly(struct store_tx *tx, struct issuing *issuing)
{
    const struct token_row *row = &issuing->row;
    int64_t live = 0, most = most_of(issuing->max_tokens, issuing->observed_tokens);
    TRY(token_row_count_up_to(tx, row->credential_id, row->epoch, &issuing->limits, most + 1, &live));
    if (live > most) /* by how many is not known, and so not what is left when some end */
        live = TOKEN_COUNT_MANY;
    judge(issuing, live);
    const struct token_count_row count = {.credential_id = row->credential_id,
                                          .epoch = row->epoch,
                                          .version = issuing->limits_version,
                                          .live = live + !issuing->is_full,
                                          .counted = row->last_used};
    return token_count_row_save(tx, &count);
}

/* Is there room for one more? Tokens that have ended by themselves are counted with the others until a limit seems
 * reached. Then all are counted, at most once a second. */
static enum status take_place(struct store_tx *tx, struct issuing *issuing, const struct token_count_row *count)
{
    const struct token_row *row = &issuing->row;
    bool is_known = count->epoch == row->epoch && count->version == issuing->limits_version &&
                    is_younger(count, row->last_used, COUNT_HOLDS);
    bool is_new = is_known && is_younger(count, row->last_used, COUNT_AGAIN);
    if (is_known && (is_new || count->live < least_of(issuing->max_tokens, issuing->observed_tokens))) {
        judge(issuing, count->live);
        return issuing->is_full ? STATUS_RESOURCE_EXHAUSTED
                                : token_count_row_add(tx, row->credential_id, row->epoch, 1);
    }
    if (issuing->is_flushed)
        return count_exactly(tx, issuing);
    issuing->must_count = true;
    return STATUS_RESOURCE_EXHAUSTED;
}

/* Tokens issued an hour: a bucket that holds so many, and fills evenly. It is full at `turn`, or was. */
static enum status take_turn(struct store_tx *tx, struct issuing *issuing, int64_t turn)
{
    int64_t now = issuing->row.last_used, each = HOUR / issuing->tokens_per_hour;
    if (turn < now || turn > now + HOUR + CLOCK_TOLERANCE) /* by a clock that was ahead */
        turn = now;
    int64_t wait = turn + each - now - HOUR;
    if (wait <= 0)
        return token_count_row_save_turn(tx, issuing->row.credential_id, issuing->row.epoch, turn + each);
    issuing->is_too_fast = issuing->is_hour_observed;
    issuing->refused_by = LIMIT_TOKENS_PER_HOUR;
    issuing->retry_ms = wait / 1000 + 1;
    return issuing->is_hour_observed ? STATUS_OK : STATUS_RESOURCE_EXHAUSTED;
}

static enum status take(struct store_tx *tx, struct issuing *issuing)
{
    struct token_count_row count;
    enum status status = token_count_row_load(tx, issuing->row.credential_id, &count);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    if (issuing->max_tokens > 0 || issuing->observed_tokens > 0)
        TRY(take_place(tx, issuing, &count));
    return issuing->tokens_per_hour > 0 && !issuing->is_full ? take_turn(tx, issuing, count.turn) : STATUS_OK;
}

static enum status insert_tx(struct store_tx *tx, void *arg)
{
    struct issuing *issuing = arg;
    const struct token_row *row = &issuing->row;
    issuing->must_count = issuing->is_full = issuing->is_over = issuing->is_too_fast = false;
    issuing->refused_by = LIMIT_TOKENS;
    issuing->retry_ms = FULL_RETRY_MS;
    issuing->inserted = 0;
    if (is_limited(issuing))
        TRY(take(tx, issuing));
    if (issuing->is_full) /* which is to be stored */
        return STATUS_OK;
    TRY(token_row_insert(tx, row, directory_client_id(issuing->client.entry), &issuing->inserted));
    return issuing->event != NULL && issuing->inserted > 0 ? audit_row_append(tx, issuing->event) : STATUS_OK;
}

/* A store_done_fn: what others did is known. */
static void caught_up(enum status status, void *arg)
{
    struct issuing *issuing = arg;
    issuing->done(status == STATUS_OK ? STATUS_ABORTED : STATUS_UNAVAILABLE, issuing);
}

/* What an observed limit would have refused, or observed networks. */
static void note_observed(const struct issuing *issuing)
{
    const struct token_row *row = &issuing->row;
    struct memory *memory = issuing->issue->memory;
    if (issuing->is_over)
        memory_note_observed(memory, row->credential_id, LIMIT_TOKENS, row->last_used, 1);
    if (issuing->is_too_fast)
        memory_note_observed(memory, row->credential_id, LIMIT_TOKENS_PER_HOUR, row->last_used, 1);
    if (issuing->is_over || issuing->is_too_fast || issuing->client.verdict == SOURCE_OBSERVED) {
        memory_count_observed(memory, row->credential_id, issuing->method, row->last_used, 1);
        memory_note_news(memory);
    }
}

static void insert_flushed(enum status status, void *arg);

static void insert_done(enum status status, void *arg)
{
    struct issuing *issuing = arg;
    const struct issue *issue = issuing->issue;
    if (status == STATUS_RESOURCE_EXHAUSTED && issuing->must_count) {
        flush_begin(issue->flush, FLUSH_NOTED, insert_flushed, issuing);
        return;
    }
    if (status == STATUS_OK && issuing->is_full)
        status = STATUS_RESOURCE_EXHAUSTED;
    if (status == STATUS_OK && issuing->inserted == 0) {
        /* Somebody has changed the credential meanwhile, or another replica a while ago. What is known now decides. */
        if (issue->follow != NULL)
            follow_refresh(issue->follow, caught_up, issuing);
        else
            caught_up(STATUS_OK, issuing);
        return;
    }
    if (status == STATUS_OK) {
        const struct token_facts facts = {
            .key = issuing->row.key,
            .credential = issuing->client.entry,
            .last_used = issuing->row.last_used,
            .stored = issuing->row.last_used,
            .epoch = issuing->row.epoch,
            .is_narrowed = issuing->row.is_narrowed,
            .roles = issuing->row.roles,
        };
        token_table_put(issue->memory->tokens, &facts, issuing->generation, 0);
        note_observed(issuing);
    }
    issuing->done(status, issuing);
}

static void insert(struct issuing *issuing, enum store_kind kind)
{
    store_submit(issuing->issue->store, &(struct store_job){.kind = kind,
                                                            .fn = insert_tx,
                                                            .done = insert_done,
                                                            .arg = issuing,
                                                            .waits = issuing->waits,
                                                            .waiter = issuing->waiter});
}

/* Whom flush_begin calls: what was noted is stored, and it is tried again. */
static void insert_flushed(enum status status, void *arg)
{
    struct issuing *issuing = arg;
    issuing->is_flushed = true;
    if (status != STATUS_OK) /* a token whose use is not stored might not be counted */
        issuing->done(STATUS_UNAVAILABLE, issuing);
    else
        insert(issuing, STORE_WRITE);
}

/* What it will be. */
static enum status prepare(struct issuing *issuing)
{
    const struct issue *issue = issuing->issue;
    struct token_row *row = &issuing->row;
    int64_t now = clock_now(issue->clock);
    row->last_used = now;
    row->credential_id = issuing->client.credential_id;
    row->epoch = issuing->client.epoch;
    if (!token_text_new(now, crypto_random, issuing->text) || !token_text_parse(issuing->text, &row->key))
        return STATUS_FAILED_PRECONDITION;
    struct credential_facts facts;
    struct settings settings;
    uint64_t turn;
    do {
        turn = directory_begin(issue->memory->directory);
        directory_facts(issuing->client.entry, &facts);
        issuing->limits = own_token_limits(&facts.limits, directory_settings(issue->memory->directory), now);
        settings = own_settings(&facts.limits, directory_settings(issue->memory->directory));
    } while (!directory_end(issue->memory->directory, turn));
    int64_t expires = facts.expires;
    const struct own_limit *tokens = &facts.limits.of[LIMIT_TOKENS], *hour = &facts.limits.of[LIMIT_TOKENS_PER_HOUR];
    issuing->max_tokens = settings.max_tokens;
    issuing->observed_tokens = tokens->is_observed ? tokens->value : 0;
    issuing->tokens_per_hour = hour->value;
    issuing->is_hour_observed = hour->is_observed;
    issuing->limits_version = settings.version + facts.version; /* both only grow */
    issuing->is_flushed = issuing->must_count = false;
    issuing->expires_in = settings.idle_timeout;
    if (settings.max_token_life != 0 && settings.max_token_life < issuing->expires_in)
        issuing->expires_in = settings.max_token_life;
    if (expires != 0 && expires - now < issuing->expires_in)
        issuing->expires_in = expires > now ? expires - now : 0;
    struct token_facts none;
    token_table_get(issue->memory->tokens, &row->key, &none, &issuing->generation);
    return STATUS_OK;
}

void issue_begin(const struct issue *issue, struct issuing *issuing)
{
    issuing->issue = issue;
    enum status status = prepare(issuing);
    if (status != STATUS_OK)
        issuing->done(status, issuing);
    else if (is_limited(issuing)) /* counting and inserting is one step: alone */
        insert(issuing, STORE_WRITE);
    else if (issuing->event != NULL) /* the log's rows are made one after the other */
        store_write(issue->store, insert_tx, insert_done, issuing);
    else
        insert(issuing, STORE_WRITE_BESIDE);
}
