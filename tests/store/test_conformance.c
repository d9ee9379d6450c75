/* SPDX-License-Identifier: Apache-2.0 */
/* What store.h promises, on whatever store GATEHOUSE_TEST_STORE names. */
#include "support.h"

static int set_up(void **state)
{
    *state = open_test_store();
    return 0;
}

static int tear_down(void **state)
{
    store_close(*state);
    return 0;
}

/* Values */

struct sample {
    const char *id;
    const char *actor;
    struct store_value digest, response;
    int64_t at;
    int rows;
};

static enum status compare_sample(const struct store_row *row, void *arg)
{
    struct sample *sample = arg;
    const struct store_value *blobs[] = {&sample->digest, &sample->response};
    sample->rows++;
    assert_string_equal(store_row_text(row, 0), sample->id);
    assert_int_equal(store_row_int(row, 1), sample->at);
    for (int i = 0; i < 2; i++) {
        size_t len = 99;
        const void *data = store_row_blob(row, 2 + i, &len);
        assert_int_equal(store_row_is_null(row, 2 + i), blobs[i]->type == STORE_NULL);
        assert_int_equal(data == NULL, blobs[i]->type == STORE_NULL);
        assert_int_equal(len, blobs[i]->len);
        if (len > 0)
            assert_memory_equal(data, blobs[i]->data, len);
    }
    assert_false(store_row_is_null(row, 0));
    return STATUS_OK;
}

static enum status insert_sample(struct store_tx *tx, void *arg)
{
    const struct sample *sample = arg;
    return store_run(tx,
                     "INSERT INTO request (id, actor, method, digest, response, at) VALUES ($1, $2, $3, $4, $5, $6)",
                     NULL, NULL, store_text(sample->id), store_text(sample->actor), store_text(""), sample->digest,
                     sample->response, store_int(sample->at));
}

static enum status read_sample(struct store_tx *tx, void *arg)
{
    struct sample *sample = arg;
    sample->rows = 0;
    return store_run(tx, "SELECT id, at, digest, response FROM request WHERE actor = $1 AND id = $2", compare_sample,
                     sample, store_text(sample->actor), store_text(sample->id));
}

static void values_come_back_as_they_went_in(void **state)
{
    static const unsigned char bytes[] = {0x00, 0xff, 0x00, '\'', 0x80, 0x00};
    static char large[100000];
    memset(large, 0xa5, sizeof large);
    struct sample samples[] = {
        {.id = "plain", .digest = store_blob("abc", 3), .response = store_blob(bytes, sizeof bytes), .at = 1},
        {.id = "", .digest = store_blob("", 0), .response = store_blob(NULL, 0), .at = 0},
        {.id = "Größe 証明 🔑 'quoted' \"twice\" $1 \\", .digest = store_null(), .response = store_null(), .at = -1},
        {.id = "least", .digest = store_null(), .response = store_blob(large, sizeof large), .at = INT64_MIN},
        {.id = "most", .digest = store_null(), .response = store_blob("", 1), .at = INT64_MAX},
    };
    char *actor = new_name();
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        samples[i].actor = actor;
        assert_int_equal(store_write_wait(*state, insert_sample, &samples[i]), STATUS_OK);
        assert_int_equal(store_read_wait(*state, read_sample, &samples[i]), STATUS_OK);
        assert_int_equal(samples[i].rows, 1);
    }
    free(actor);
}

static enum status expect_nothing(const struct store_row *row, void *arg)
{
    size_t len = 99;
    assert_true(store_row_is_null(row, 0));
    assert_int_equal(store_row_int(row, 0), 0);
    assert_null(store_row_text(row, 0));
    assert_null(store_row_blob(row, 0, &len));
    assert_int_equal(len, 0);
    ++*(int *)arg;
    return STATUS_OK;
}

static enum status insert_and_read_null(struct store_tx *tx, void *arg)
{
    char *name = new_name();
    enum status status = store_run(tx,
                                   "INSERT INTO role (id, number, name, role_group, created) SELECT $1, "
                                   "coalesce(max(number), 0) + 1, $2, $3, 0 FROM role",
                                   NULL, NULL, store_text(name), store_text("role"), store_text(NULL));
    if (status == STATUS_OK)
        status = store_run(tx, "SELECT role_group FROM role WHERE id = $1", expect_nothing, arg, store_text(name));
    free(name);
    return status;
}

static void null_reads_as_zero_and_as_nothing(void **state)
{
    int rows = 0;
    assert_int_equal(store_write_wait(*state, insert_and_read_null, &rows), STATUS_OK);
    assert_int_equal(rows, 1);
}

/* Statements */

static enum status count_changes(struct store_tx *tx, void *arg)
{
    const char *name = arg;
    int64_t rows;
    TRY(counter_insert(tx, name, 1));
    TRY(store_changes(tx, &rows));
    assert_int_equal(rows, 1);
    TRY(counter_get(tx, name, &rows));
    TRY(store_changes(tx, &rows));
    assert_int_equal(rows, 0);
    TRY(store_run(tx, "UPDATE counter SET value = 2 WHERE name = $1 AND value = 7", NULL, NULL, store_text(name)));
    TRY(store_changes(tx, &rows));
    assert_int_equal(rows, 0);
    TRY(store_run(tx, "INSERT INTO counter (name, value) VALUES ($1, 3) ON CONFLICT DO NOTHING", NULL, NULL,
                  store_text(name)));
    TRY(store_changes(tx, &rows));
    assert_int_equal(rows, 0);
    TRY(store_run(tx, "DELETE FROM counter WHERE name = $1", NULL, NULL, store_text(name)));
    TRY(store_changes(tx, &rows));
    assert_int_equal(rows, 1);
    return STATUS_OK;
}

static void changes_counts_the_rows_of_the_last_statement(void **state)
{
    char *name = new_name();
    assert_int_equal(store_write_wait(*state, count_changes, name), STATUS_OK);
    free(name);
}

static enum status insert_twice(struct store_tx *tx, void *arg)
{
    TRY(counter_insert(tx, arg, 1));
    return counter_insert(tx, arg, 2);
}

static enum status insert_twice_and_call_it_well(struct store_tx *tx, void *arg)
{
    int64_t value;
    assert_int_equal(insert_twice(tx, arg), STATUS_ALREADY_EXISTS);
    assert_int_equal(counter_get(tx, arg, &value), STATUS_ALREADY_EXISTS);
    return STATUS_OK;
}

static enum status insert_twice_and_call_it_otherwise(struct store_tx *tx, void *arg)
{
    return insert_twice(tx, arg) == STATUS_ALREADY_EXISTS ? STATUS_FAILED_PRECONDITION : STATUS_INTERNAL;
}

static void a_key_that_is_taken_already_exists(void **state)
{
    char *name = new_name();
    assert_int_equal(store_write_wait(*state, insert_twice, name), STATUS_ALREADY_EXISTS);
    assert_int_equal(counter_read(*state, name), -1);
    free(name);
}

static void a_failed_statement_is_the_last_of_its_transaction(void **state)
{
    char *name = new_name();
    assert_int_equal(store_write_wait(*state, insert_twice_and_call_it_well, name), STATUS_ALREADY_EXISTS);
    assert_int_equal(store_write_wait(*state, insert_twice_and_call_it_otherwise, name), STATUS_FAILED_PRECONDITION);
    assert_int_equal(counter_read(*state, name), -1);
    free(name);
}

static enum status run_nonsense(struct store_tx *tx, void *arg)
{
    (void)arg;
    return store_run(tx, "SELECT value FROM nowhere", NULL, NULL);
}

static enum status run_with_too_few_values(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT value FROM counter WHERE name = $1 AND value = $2", NULL, NULL, store_text(arg));
}

static void a_wrong_statement_is_internal(void **state)
{
    assert_int_equal(store_write_wait(*state, run_nonsense, NULL), STATUS_INTERNAL);
    assert_int_equal(store_read_wait(*state, run_nonsense, NULL), STATUS_INTERNAL);
    assert_int_equal(store_write_wait(*state, run_with_too_few_values, ""), STATUS_INTERNAL);
}

/* Rows */

static enum status stop_at_second(const struct store_row *row, void *arg)
{
    (void)row;
    return ++*(int *)arg == 2 ? STATUS_RESOURCE_EXHAUSTED : STATUS_OK;
}

static enum status stop_early_and_go_on(struct store_tx *tx, void *arg)
{
    int rows = 0;
    char *names[3];
    for (int i = 0; i < 3; i++) {
        names[i] = new_name();
        assert_int_equal(counter_insert(tx, names[i], 1), STATUS_OK);
        free(names[i]);
    }
    assert_int_equal(store_run(tx, "SELECT name FROM counter", stop_at_second, &rows), STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(rows, 2);
    return counter_insert(tx, arg, 5);
}

static void a_row_function_ends_its_statement_and_nothing_else(void **state)
{
    char *name = new_name();
    assert_int_equal(store_write_wait(*state, stop_early_and_go_on, name), STATUS_OK);
    assert_int_equal(counter_read(*state, name), 5);
    free(name);
}

struct nested {
    struct store_tx *tx;
    const char *name;
};

static enum status run_in_row(const struct store_row *row, void *arg)
{
    const struct nested *nested = arg;
    (void)row;
    return counter_insert(nested->tx, nested->name, 1);
}

static enum status run_nested(struct store_tx *tx, void *arg)
{
    struct nested nested = {.tx = tx, .name = arg};
    return store_run(tx, "SELECT 1", run_in_row, &nested);
}

static void a_row_function_cannot_run_statements(void **state)
{
    char *name = new_name();
    assert_int_equal(store_write_wait(*state, run_nested, name), STATUS_INTERNAL);
    assert_int_equal(counter_read(*state, name), -1);
    free(name);
}

/* Atomicity */

static enum status add_and_look(struct store_tx *tx, void *arg)
{
    int64_t value;
    TRY(counter_add(tx, arg, 4));
    TRY(counter_add(tx, arg, 5));
    TRY(counter_get(tx, arg, &value));
    assert_int_equal(value, 9);
    return STATUS_OK;
}

static void a_transaction_sees_its_own_effects(void **state)
{
    char *name = new_name();
    assert_int_equal(store_write_wait(*state, add_and_look, name), STATUS_OK);
    free(name);
}

static void a_function_that_fails_leaves_nothing(void **state)
{
    struct pending pending;
    char *name = new_name();
    pending_init(&pending, name, 1, STATUS_FAILED_PRECONDITION);
    assert_int_equal(store_write_wait(*state, pending_add, &pending), STATUS_FAILED_PRECONDITION);
    assert_int_equal(counter_read(*state, name), -1);
    free(name);
}

enum { SHARING = 30 };

/* Queues all while the writer is held, so that they meet in one group. */
static void write_in_one_group(struct store *store, struct pending pending[SHARING])
{
    struct door door;
    door_hold_writer(&door, store);
    for (int i = 0; i < SHARING; i++)
        store_write(store, pending_add, pending_done, &pending[i]);
    door_open(&door);
    for (int i = 0; i < SHARING; i++)
        assert_int_equal(pending_wait(&pending[i]), pending[i].give);
}

static void functions_that_wait_share_a_commit(void **state)
{
    struct pending pending[SHARING];
    uint64_t commits[2], writes[2];
    char *name = new_name();
    for (int i = 0; i < SHARING; i++)
        pending_init(&pending[i], name, 1, STATUS_OK);
    store_counters(*state, &commits[0], &writes[0]);
    write_in_one_group(*state, pending);
    store_counters(*state, &commits[1], &writes[1]);
    assert_int_equal(commits[1] - commits[0], 2); /* with the one at the door */
    assert_int_equal(writes[1] - writes[0], SHARING + 1);
    assert_int_equal(counter_read(*state, name), SHARING);
    free(name);
}

static void a_function_that_fails_in_a_shared_commit_undoes_only_itself(void **state)
{
    static const enum status errors[] = {STATUS_ABORTED, STATUS_UNAVAILABLE, STATUS_NOT_FOUND, STATUS_INTERNAL};
    struct pending pending[SHARING];
    char *name = new_name();
    int64_t sum = 0;
    for (int i = 0; i < SHARING; i++) {
        pending_init(&pending[i], name, INT64_C(1) << i, i % 3 == 1 ? errors[i % 4] : STATUS_OK);
        sum += i % 3 == 1 ? 0 : INT64_C(1) << i;
    }
    write_in_one_group(*state, pending);
    assert_int_equal(counter_read(*state, name), sum);
    for (int i = 0; i < SHARING; i++)
        assert_in_range(pending[i].calls, 1, 3);
    free(name);
}

static void a_taken_key_in_a_shared_commit_undoes_only_its_function(void **state)
{
    struct pending pending[SHARING];
    char *name = new_name(), *other = new_name();
    for (int i = 0; i < SHARING; i++)
        pending_init(&pending[i], name, 1, STATUS_OK);
    pending[7].give = STATUS_ALREADY_EXISTS;
    pending[7].then = insert_twice;
    pending[7].then_arg = other;
    write_in_one_group(*state, pending);
    assert_int_equal(counter_read(*state, name), SHARING - 1);
    assert_int_equal(counter_read(*state, other), -1);
    free(name);
    free(other);
}

static void a_store_opened_again_has_what_was_written(void **state)
{
    struct pending pending;
    char *name = new_name();
    pending_init(&pending, name, 3, STATUS_OK);
    assert_int_equal(store_write_wait(*state, pending_add, &pending), STATUS_OK);
    store_close(*state);
    *state = open_test_store();
    assert_int_equal(counter_read(*state, name), 3);
    free(name);
}

static void an_unknown_address_is_refused(void **state)
{
    struct store *store = NULL;
    char why[STORE_WHY_MAX] = "";
    (void)state;
    assert_int_equal(store_open(&(struct store_options){.url = "paper:/drawer"}, &store, why), STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(why, "must begin with"));
    assert_null(store);
    store_close(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_come_back_as_they_went_in),
        TEST(null_reads_as_zero_and_as_nothing),
        TEST(changes_counts_the_rows_of_the_last_statement),
        TEST(a_key_that_is_taken_already_exists),
        TEST(a_failed_statement_is_the_last_of_its_transaction),
        TEST(a_wrong_statement_is_internal),
        TEST(a_row_function_ends_its_statement_and_nothing_else),
        TEST(a_row_function_cannot_run_statements),
        TEST(a_transaction_sees_its_own_effects),
        TEST(a_function_that_fails_leaves_nothing),
        TEST(functions_that_wait_share_a_commit),
        TEST(a_function_that_fails_in_a_shared_commit_undoes_only_itself),
        TEST(a_taken_key_in_a_shared_commit_undoes_only_its_function),
        TEST(a_store_opened_again_has_what_was_written),
        TEST(an_unknown_address_is_refused),
    };
    return cmocka_run_group_tests_name("the store's transactions", tests, NULL, NULL);
}
