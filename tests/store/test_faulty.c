/* SPDX-License-Identifier: Apache-2.0 */
/* A sequence of writes, again and again; each time its next call of the driver fails, until all have failed once. */
#include "faulty.h"
#include "records/schema.h"
#include "support.h"

enum { SHARING = 6, CALLS_MAX = 200 };

struct fixture {
    struct faulty faulty;
    struct store *store;
    char *name, *other;
};

static const struct driver *driver_of(const char *url)
{
    bool is_postgres = strncmp(url, postgres_driver.scheme, strlen(postgres_driver.scheme)) == 0;
    return is_postgres ? &postgres_driver : &sqlite_driver;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    char why[STORE_WHY_MAX] = "";
    faulty_init(&fixture->faulty, driver_of(test_url()));
    struct store_options options = {.url = test_url(), .schema = &records_schema, .create = true};
    if (store_open_driver(&fixture->faulty.driver, &options, &fixture->store, why) != STATUS_OK)
        fail_msg("%s", why);
    fixture->name = new_name();
    fixture->other = new_name();
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    store_close(fixture->store);
    free(fixture->name);
    free(fixture->other);
    free(fixture);
    return 0;
}

/* From one counter to another, in three statements. */
static enum status transfer(struct store_tx *tx, void *arg)
{
    const struct fixture *fixture = arg;
    int64_t value;
    TRY(counter_add(tx, fixture->name, -1));
    TRY(counter_get(tx, fixture->name, &value));
    return counter_add(tx, fixture->other, 1);
}

static enum status fill(struct store_tx *tx, void *arg)
{
    const struct fixture *fixture = arg;
    TRY(counter_add(tx, fixture->name, 1000));
    return counter_add(tx, fixture->other, 0);
}

static void a_write_of_which_any_call_fails_has_no_effect(void **state)
{
    struct fixture *fixture = *state;
    bool has_failed = true;
    int n = 1;
    assert_int_equal(store_write_wait(fixture->store, fill, fixture), STATUS_OK);
    for (; has_failed && n < CALLS_MAX; n++) {
        faulty_arm(&fixture->faulty, n, FAULTY_ANY, STATUS_UNAVAILABLE);
        enum status status = store_write_wait(fixture->store, transfer, fixture);
        has_failed = faulty_disarm(&fixture->faulty);
        assert_int_equal(status, has_failed ? STATUS_UNAVAILABLE : STATUS_OK);
        assert_int_equal(counter_read(fixture->store, fixture->other), has_failed ? 0 : 1);
        assert_int_equal(counter_read(fixture->store, fixture->name), has_failed ? 1000 : 999);
    }
    assert_int_equal(n - 1, 7); /* begin, lock, three statements and commit failed; then none */
}

static int64_t sum_of_done(struct pending pending[SHARING])
{
    int64_t sum = 0;
    for (int i = 0; i < SHARING; i++)
        sum += pending_wait(&pending[i]) == STATUS_OK ? pending[i].amount : 0;
    return sum;
}

/* The group's n-th call fails. One of its functions fails of itself after an effect, so that the group is also tried
 * again with marks. Each has a bit of its own. */
static void write_in_one_group(struct fixture *fixture, struct pending pending[SHARING], int n, enum faulty_kind kind,
                               enum status status)
{
    struct door door;
    door_hold_writer(&door, fixture->store);
    for (int i = 0; i < SHARING; i++) {
        pending_init(&pending[i], fixture->name, INT64_C(1) << i, i == 2 ? STATUS_NOT_FOUND : STATUS_OK);
        store_write(fixture->store, pending_add, pending_done, &pending[i]);
    }
    faulty_arm(&fixture->faulty, n + 1, kind, status); /* the first call is the door's commit */
    door_open(&door);
}

static void a_group_of_which_any_call_fails_has_the_effects_it_reports(void **state)
{
    struct fixture *fixture = *state;
    bool has_failed = true;
    int64_t before = 0;
    int n = 1;
    for (; has_failed && n < CALLS_MAX; n++) {
        struct pending pending[SHARING];
        write_in_one_group(fixture, pending, n, FAULTY_ANY, STATUS_UNAVAILABLE);
        int64_t sum = sum_of_done(pending);
        has_failed = faulty_disarm(&fixture->faulty);
        int64_t after = counter_read(fixture->store, fixture->name);
        assert_int_equal(sum, (after < 0 ? 0 : after) - before);
        assert_int_not_equal(pending[2].status, STATUS_OK);
        before += sum;
    }
    assert_in_range(n, 20, CALLS_MAX - 1);
}

static void a_conflict_anywhere_in_a_write_is_tried_again(void **state)
{
    struct fixture *fixture = *state;
    bool has_failed = true;
    int64_t times = 0;
    assert_int_equal(store_write_wait(fixture->store, fill, fixture), STATUS_OK);
    for (int n = 1; has_failed; n++) {
        faulty_arm(&fixture->faulty, n, FAULTY_ANY, STATUS_CONFLICT);
        assert_int_equal(store_write_wait(fixture->store, transfer, fixture), STATUS_OK);
        has_failed = faulty_disarm(&fixture->faulty);
        times++;
        assert_int_equal(counter_read(fixture->store, fixture->other), times);
        assert_int_equal(counter_read(fixture->store, fixture->name), 1000 - times);
    }
    assert_int_equal(times, 7);
}

static void a_conflict_anywhere_in_a_group_is_tried_again(void **state)
{
    struct fixture *fixture = *state;
    bool has_failed = true;
    int64_t before = 0;
    int n = 1;
    for (; has_failed && n < CALLS_MAX; n++) {
        struct pending pending[SHARING];
        write_in_one_group(fixture, pending, n, FAULTY_ANY, STATUS_CONFLICT);
        int64_t sum = sum_of_done(pending);
        has_failed = faulty_disarm(&fixture->faulty);
        assert_int_equal(sum, 0x3f - 4);
        assert_int_equal(pending[2].status, STATUS_NOT_FOUND);
        assert_int_equal(counter_read(fixture->store, fixture->name) - before, sum);
        before += sum;
    }
    assert_in_range(n, 20, CALLS_MAX - 1);
}

static enum status abort_itself(struct store_tx *tx, void *arg)
{
    (void)tx;
    ++*(int *)arg;
    return STATUS_ABORTED;
}

static void what_a_function_calls_aborted_is_no_conflict(void **state)
{
    struct fixture *fixture = *state;
    int times = 0;
    assert_int_equal(store_write_wait(fixture->store, abort_itself, &times), STATUS_ABORTED);
    assert_int_equal(store_read_wait(fixture->store, abort_itself, &times), STATUS_ABORTED);
    assert_int_equal(times, 2);
}

static void a_conflict_without_end_is_unavailable(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->faulty.is_lasting, true);
    assert_int_equal(store_write_wait(fixture->store, fill, fixture), STATUS_OK);
    faulty_arm(&fixture->faulty, 1, FAULTY_COMMIT, STATUS_CONFLICT);
    assert_int_equal(store_write_wait(fixture->store, transfer, fixture), STATUS_UNAVAILABLE);
    assert_true(faulty_disarm(&fixture->faulty));
    assert_int_equal(counter_read(fixture->store, fixture->other), 0);
    assert_int_equal(store_write_wait(fixture->store, transfer, fixture), STATUS_OK);
}

static void a_commit_that_nobody_knows_about_is_unknown_and_not_tried_again(void **state)
{
    struct fixture *fixture = *state;
    struct pending pending[SHARING], alone;
    fixture->faulty.has_effect = true;
    pending_init(&alone, fixture->name, 64, STATUS_OK);
    faulty_arm(&fixture->faulty, 1, FAULTY_COMMIT, STATUS_UNKNOWN);
    assert_int_equal(store_write_wait(fixture->store, pending_add, &alone), STATUS_UNKNOWN);
    assert_true(faulty_disarm(&fixture->faulty));
    assert_int_equal(alone.calls, 1);
    assert_int_equal(counter_read(fixture->store, fixture->name), 64);

    write_in_one_group(fixture, pending, 1, FAULTY_COMMIT, STATUS_UNKNOWN);
    assert_int_equal(sum_of_done(pending), 0);
    assert_true(faulty_disarm(&fixture->faulty));
    for (int i = 0; i < SHARING; i++) {
        assert_int_equal(pending[i].status, STATUS_UNKNOWN);
        assert_int_equal(pending[i].calls, i <= 2 ? 2 : 1); /* without marks up to the failure, and with marks */
    }
    assert_int_equal(counter_read(fixture->store, fixture->name), 64 + 0x3f - 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_of_which_any_call_fails_has_no_effect),
        TEST(a_group_of_which_any_call_fails_has_the_effects_it_reports),
        TEST(a_conflict_anywhere_in_a_write_is_tried_again),
        TEST(a_conflict_anywhere_in_a_group_is_tried_again),
        TEST(what_a_function_calls_aborted_is_no_conflict),
        TEST(a_conflict_without_end_is_unavailable),
        TEST(a_commit_that_nobody_knows_about_is_unknown_and_not_tried_again),
    };
    return cmocka_run_group_tests_name("a store with faults", tests, NULL, NULL);
}
