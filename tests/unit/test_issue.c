/* SPDX-License-Identifier: Apache-2.0 */
/* A limit to live tokens: what it costs, and that it holds. The driver counts how often tokens are counted. */
#include "fixture.h"

#include "domain/authenticate.h"
#include "domain/credential.h"
#include "domain/revoke.h"
#include "records/credential.h"
#include "records/setting.h"

enum { LIMIT = 50 };

static int counts, commits;

static enum status count_counts(struct connection *connection, const char *sql, const struct store_value *values,
                                size_t count, store_row_fn *each, void *arg)
{
    counts += strstr(sql, "SELECT 1 FROM token WHERE credential") != NULL;
    return sqlite_driver.run(connection, sql, values, count, each, arg);
}

static enum status count_commits(struct connection *connection)
{
    commits++;
    return sqlite_driver.commit(connection);
}

static struct fixture fixture;
static struct credential *credential;
static int64_t behind; /* so many epochs does who issues lag behind */

static enum status limit(struct work *work, void *arg)
{
    const int *most = arg;
    struct settings settings;
    TRY(setting_row_load(work->tx, &settings));
    settings.max_tokens = *most;
    settings.version++;
    TRY(setting_row_save(work->tx, &settings));
    return work_change_settings(work, &settings);
}

static void set_limit(int most)
{
    assert_int_equal(do_work(&fixture, limit, &most, NULL), STATUS_OK);
}

static void open_it(const char *file)
{
    static struct driver driver;
    driver = sqlite_driver;
    driver.run = count_counts;
    driver.commit = count_commits;
    fixture_open(&fixture, file, &driver);
    credential = make_credential(&fixture, "issue", "work_creator");
    set_limit(LIMIT);
    counts = commits = 0;
}

struct asking {
    struct issuing issuing; /* first */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
    enum status status;
};

static void issued(enum status status, struct issuing *issuing)
{
    struct asking *asking = (struct asking *)issuing;
    pthread_mutex_lock(&asking->lock);
    asking->status = status;
    asking->is_done = true;
    pthread_cond_signal(&asking->changed);
    pthread_mutex_unlock(&asking->lock);
}

static enum status issue(struct token_key *ret_key)
{
    struct asking asking = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct directory *directory = fixture.domain->memory->directory;
    struct credential_facts facts;
    uint64_t turn;
    do {
        turn = directory_begin(directory);
        asking.issuing.client.entry = directory_find_id(directory, credential->id);
        asking.issuing.client.epoch = directory_facts(asking.issuing.client.entry, &facts)->epoch;
    } while (!directory_end(directory, turn));
    asking.issuing.client.epoch -= behind;
    asking.issuing.client.credential_id = credential->id;
    asking.issuing.done = issued;
    issue_begin(&fixture.domain->issue, &asking.issuing);
    pthread_mutex_lock(&asking.lock);
    while (!asking.is_done)
        pthread_cond_wait(&asking.changed, &asking.lock);
    pthread_mutex_unlock(&asking.lock);
    if (ret_key != NULL)
        *ret_key = asking.issuing.row.key;
    return asking.status;
}

static void fill_up(struct token_key *ret_last)
{
    for (int i = 0; i < LIMIT; i++)
        assert_int_equal(issue(ret_last), STATUS_OK);
    assert_int_equal(issue(NULL), STATUS_RESOURCE_EXHAUSTED);
}

static enum status revoke_it(struct work *work, void *arg)
{
    int64_t whose;
    TRY(revoke_token(work, arg, &whose));
    assert_int_not_equal(whose, 0);
    return STATUS_OK;
}

static void tokens_are_counted_once_and_not_at_each_issue(void **state)
{
    (void)state;
    struct token_key last;
    open_it("count.db");
    fill_up(&last);
    assert_int_equal(counts, 1);
    assert_in_range(commits, LIMIT, LIMIT + 2); /* no flush each */
    for (int i = 0; i < 100; i++)
        assert_int_equal(issue(NULL), STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(counts, 1);
    clock_advance(fixture.clock, 2 * CLOCK_SECOND); /* one may have ended by itself */
    for (int i = 0; i < 100; i++)
        assert_int_equal(issue(NULL), STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(counts, 2);
    fixture_close(&fixture);
}

static void a_token_that_is_revoked_leaves_its_place_at_once(void **state)
{
    (void)state;
    struct token_key last;
    open_it("revoked.db");
    fill_up(&last);
    assert_int_equal(do_work(&fixture, revoke_it, &last, NULL), STATUS_OK);
    assert_int_equal(issue(&last), STATUS_OK);
    assert_int_equal(issue(NULL), STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(counts, 1);
    fixture_close(&fixture);
}

static void those_that_idled_out_leave_theirs_and_a_use_in_memory_keeps_one(void **state)
{
    (void)state;
    struct token_key last;
    open_it("idle.db");
    fill_up(&last);
    clock_advance(fixture.clock, 15 * MINUTE);
    assert_true(is_active(&fixture, &last, true)); /* not stored yet */
    clock_advance(fixture.clock, 15 * MINUTE);
    for (int i = 0; i < LIMIT - 1; i++)
        assert_int_equal(issue(NULL), STATUS_OK);
    assert_int_equal(issue(NULL), STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(counts, 2);
    fixture_close(&fixture);
}

static enum status end_all(struct work *work, void *arg)
{
    struct credential *loaded = NULL;
    (void)arg;
    TRY(credential_row_load_id(work->tx, work->arena, credential->id, work->now, &loaded));
    return credential_end_tokens(work, loaded);
}

static void all_that_are_ended_leave_theirs_at_once(void **state)
{
    (void)state;
    open_it("ended.db");
    fill_up(NULL);
    assert_int_equal(do_work(&fixture, end_all, NULL, NULL), STATUS_OK);
    fill_up(NULL);
    fixture_close(&fixture);
}

static void what_was_issued_without_a_limit_counts(void **state)
{
    (void)state;
    open_it("without.db");
    assert_int_equal(issue(NULL), STATUS_OK);
    set_limit(0);
    for (int i = 0; i < LIMIT; i++)
        assert_int_equal(issue(NULL), STATUS_OK);
    set_limit(LIMIT);
    assert_int_equal(issue(NULL), STATUS_RESOURCE_EXHAUSTED);
    set_limit(LIMIT + 5);
    for (int i = 0; i < 4; i++)
        assert_int_equal(issue(NULL), STATUS_OK);
    assert_int_equal(issue(NULL), STATUS_RESOURCE_EXHAUSTED);
    fixture_close(&fixture);
}

static enum status limit_hourly(struct work *work, void *arg)
{
    struct arena *arena = arg;
    struct credential *limited = NULL;
    TRY(credential_row_load_id(work->tx, arena, credential->id, work->now, &limited));
    limited->limits.of[LIMIT_TOKENS_PER_HOUR].value = 2;
    return credential_update(work, limited);
}

/* As on a replica that does not know of it yet, and tries again when it does. */
static void a_try_that_a_change_came_before_takes_none_of_an_hours_tokens(void **state)
{
    (void)state;
    struct arena arena = {0};
    open_it("hourly.db");
    assert_int_equal(do_work(&fixture, limit_hourly, &arena, NULL), STATUS_OK);
    behind = 1;
    for (int i = 0; i < 5; i++)
        assert_int_equal(issue(NULL), STATUS_ABORTED);
    behind = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(issue(NULL), STATUS_OK);
    assert_int_equal(issue(NULL), STATUS_RESOURCE_EXHAUSTED);
    arena_done(&arena);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_counted_once_and_not_at_each_issue),
        cmocka_unit_test(a_token_that_is_revoked_leaves_its_place_at_once),
        cmocka_unit_test(those_that_idled_out_leave_theirs_and_a_use_in_memory_keeps_one),
        cmocka_unit_test(all_that_are_ended_leave_theirs_at_once),
        cmocka_unit_test(what_was_issued_without_a_limit_counts),
        cmocka_unit_test(a_try_that_a_change_came_before_takes_none_of_an_hours_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
