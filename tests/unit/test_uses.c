/* SPDX-License-Identifier: Apache-2.0 */
/* Uses on their way to the store, in a table that has room for next to nothing: none is lost, whatever is asked for
 * meanwhile and whether the store takes them or not. */
#include "fixture.h"

#include "faulty.h"

enum { NEIGHBOURS = 100 };

/* Of the tests all are static: where one fails, its threads go on. */
struct scene {
    struct fixture fixture;
    struct faulty faulty;
    struct credential *credential;
    struct token_key used;
    struct token_key neighbours[NEIGHBOURS];
};

/* Which share their part of the table with the token. */
static enum status insert_neighbours(struct store_tx *tx, void *arg)
{
    struct scene *scene = arg;
    int64_t now = clock_now(scene->fixture.clock);
    for (int i = 0; i < NEIGHBOURS; i++) {
        struct token_row row = {.credential_id = scene->credential->id, .epoch = scene->credential->epoch};
        row.key = token_key_at(now);
        row.last_used = now;
        crypto_random(row.key.bytes + 4, TOKEN_KEY_BYTES - 4);
        row.key.bytes[4] = scene->used.bytes[4];
        int64_t inserted = 0;
        TRY(token_row_insert(tx, &row, scene->credential->client_id, &inserted));
        scene->neighbours[i] = row.key;
    }
    return STATUS_OK;
}

/* A token of START that was used 15 minutes later, which the store does not know yet. */
static void set_scene(struct scene *scene, const char *file)
{
    faulty_init(&scene->faulty, &sqlite_driver);
    fixture_open(&scene->fixture, file, &scene->faulty.driver);
    struct domain *domain = scene->fixture.domain;
    token_table_free(domain->memory->tokens);
    domain->memory->tokens = token_table_new(1);
    scene->credential = make_credential(&scene->fixture, "uses", "work_creator");
    scene->used = make_token(&scene->fixture, scene->credential);
    clock_advance(scene->fixture.clock, 15 * MINUTE);
    assert_int_equal(store_write_wait(scene->fixture.store, insert_neighbours, scene), STATUS_OK);
    assert_true(is_active(&scene->fixture, &scene->used, true));
}

static void ask_for_neighbours(struct scene *scene)
{
    for (int i = 0; i < NEIGHBOURS; i++)
        assert_true(is_active(&scene->fixture, &scene->neighbours[i], false));
}

static enum status read_number(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

static enum status count_used(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT count(*) FROM token WHERE last_used = $1 AND last_api = 'GET /'", read_number, arg,
                     store_int(START + 15 * MINUTE));
}

static void a_use_is_known_while_its_flush_is_under_way(void **state)
{
    (void)state;
    static struct scene scene;
    static struct door door;
    set_scene(&scene, "under-way.db");
    door_hold_writer(&door, scene.fixture.store);
    flush_begin(scene.fixture.domain->flush, FLUSH_ROUND, NULL, NULL);
    ask_for_neighbours(&scene);
    clock_advance(scene.fixture.clock, 4 * MINUTE);
    ask_for_neighbours(&scene);
    clock_advance(scene.fixture.clock, 2 * MINUTE); /* 21 since its issue, 6 since its use */
    assert_true(is_active(&scene.fixture, &scene.used, false));
    door_open(&door);
    assert_int_equal(flush(&scene.fixture), STATUS_OK);
    assert_int_equal(query_number(&scene.fixture, count_used), 1);
    assert_true(is_active(&scene.fixture, &scene.used, false));
    fixture_close(&scene.fixture);
}

static void a_use_whose_flush_has_failed_is_known_and_stored_later(void **state)
{
    (void)state;
    static struct scene scene;
    static struct door door;
    set_scene(&scene, "failed.db");
    door_hold_writer(&door, scene.fixture.store);
    flush_begin(scene.fixture.domain->flush, FLUSH_ROUND, NULL, NULL);
    ask_for_neighbours(&scene);
    faulty_arm(&scene.faulty, 1, FAULTY_COMMIT, STATUS_UNAVAILABLE);
    atomic_store(&scene.faulty.is_lasting, true);
    door_open(&door);
    assert_int_equal(flush(&scene.fixture), STATUS_UNAVAILABLE);
    assert_true(faulty_disarm(&scene.faulty));
    ask_for_neighbours(&scene);
    clock_advance(scene.fixture.clock, 6 * MINUTE);
    assert_true(is_active(&scene.fixture, &scene.used, false));
    assert_int_equal(flush(&scene.fixture), STATUS_OK);
    assert_int_equal(query_number(&scene.fixture, count_used), 1);
    fixture_crash(&scene.fixture, "failed.db");
    assert_true(is_active(&scene.fixture, &scene.used, false));
    fixture_close(&scene.fixture);
}

static void a_use_that_follows_one_under_way_is_stored_too(void **state)
{
    (void)state;
    static struct scene scene;
    static struct door door;
    set_scene(&scene, "follows.db");
    door_hold_writer(&door, scene.fixture.store);
    flush_begin(scene.fixture.domain->flush, FLUSH_ROUND, NULL, NULL);
    ask_for_neighbours(&scene);
    clock_advance(scene.fixture.clock, 4 * MINUTE);
    assert_true(is_active(&scene.fixture, &scene.used, true));
    faulty_arm(&scene.faulty, 1, FAULTY_COMMIT, STATUS_UNAVAILABLE);
    atomic_store(&scene.faulty.is_lasting, true);
    door_open(&door);
    assert_int_equal(flush(&scene.fixture), STATUS_UNAVAILABLE);
    assert_true(faulty_disarm(&scene.faulty));
    assert_int_equal(flush(&scene.fixture), STATUS_OK);
    fixture_crash(&scene.fixture, "follows.db");
    clock_advance(scene.fixture.clock, 19 * MINUTE);
    assert_true(is_active(&scene.fixture, &scene.used, false)); /* the later use counts */
    fixture_close(&scene.fixture);
}

static enum status count_rows(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT count(*) FROM token", read_number, arg);
}

static void the_reaper_spares_what_was_used_and_is_not_stored(void **state)
{
    (void)state;
    static struct scene scene;
    struct reaped reaped;
    set_scene(&scene, "spares.db");
    clock_advance(scene.fixture.clock, 19 * MINUTE); /* 34 since its issue */
    assert_true(is_active(&scene.fixture, &scene.used, true));
    enum status status = reap_round(scene.fixture.domain->reap, &reaped); /* or is refused */
    assert_true(status != STATUS_OK || reaped.removed == 0);
    assert_int_equal(query_number(&scene.fixture, count_rows), NEIGHBOURS + 1);
    assert_int_equal(flush(&scene.fixture), STATUS_OK);
    fixture_crash(&scene.fixture, "spares.db");
    assert_true(is_active(&scene.fixture, &scene.used, false));
    fixture_close(&scene.fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_use_is_known_while_its_flush_is_under_way),
        cmocka_unit_test(a_use_whose_flush_has_failed_is_known_and_stored_later),
        cmocka_unit_test(a_use_that_follows_one_under_way_is_stored_too),
        cmocka_unit_test(the_reaper_spares_what_was_used_and_is_not_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
