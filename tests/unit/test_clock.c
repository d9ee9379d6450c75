/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

static void a_manual_clock_stands_still_until_it_is_moved(void **state)
{
    (void)state;
    struct clock *clock = clock_new_manual(START);
    assert_int_equal(clock_now(clock), START);
    clock_advance(clock, MINUTE);
    assert_int_equal(clock_now(clock), START + MINUTE);
    assert_int_equal(clock_settled(clock), START + MINUTE);
    assert_int_equal(clock_steady(clock), MINUTE);
    assert_int_equal(clock_ahead(clock), 0);
    clock_free(clock);
    clock_free(NULL);
}

static void a_wall_clock_that_is_set_back_is_not_followed(void **state)
{
    (void)state;
    struct clock *clock = clock_new_manual(START);
    clock_step(clock, -60 * MINUTE);
    assert_int_equal(clock_now(clock), START);
    assert_int_equal(clock_ahead(clock), 60 * MINUTE);
    for (int i = 1; i <= 30; i++) {
        clock_advance(clock, MINUTE);
        assert_int_equal(clock_now(clock), START + i * MINUTE);
    }
    clock_free(clock);
}

static void a_wall_clock_that_jumps_ahead_decides_at_once_and_settles_later(void **state)
{
    (void)state;
    struct clock *clock = clock_new_manual(START);
    clock_step(clock, 120 * MINUTE);
    assert_int_equal(clock_now(clock), START + 120 * MINUTE);
    assert_int_equal(clock_settled(clock), START);
    for (int i = 1; i <= 25; i++) {
        clock_advance(clock, MINUTE);
        assert_int_equal(clock_now(clock), START + (120 + i) * MINUTE);
        assert_true(i >= 10 || clock_settled(clock) == START + i * MINUTE);
    }
    assert_int_equal(clock_settled(clock), START + 145 * MINUTE);
    clock_free(clock);
}

static void a_jump_that_is_put_right_leaves_nothing_behind(void **state)
{
    (void)state;
    struct clock *clock = clock_new_manual(START);
    for (int i = 1; i <= 60; i++) {
        clock_advance(clock, MINUTE);
        if (i % 10 == 3)
            clock_step(clock, 15 * 365 * 24 * 60 * MINUTE);
        (void)clock_now(clock);
        if (i % 10 == 8)
            clock_step(clock, -15 * 365 * 24 * 60 * MINUTE);
    }
    assert_int_equal(clock_now(clock), START + 60 * MINUTE);
    assert_int_equal(clock_settled(clock), START + 60 * MINUTE);
    clock_free(clock);
}

static void what_was_not_looked_at_does_not_settle(void **state)
{
    (void)state;
    struct clock *clock = clock_new_manual(START);
    clock_advance(clock, 30 * MINUTE); /* nobody looks */
    clock_step(clock, 60 * MINUTE);
    assert_int_equal(clock_settled(clock), START + 30 * MINUTE);
    clock_free(clock);
}

static void a_clock_starts_no_earlier_than_its_floor_and_runs_on_from_there(void **state)
{
    (void)state;
    int64_t floor = time(NULL) * CLOCK_SECOND + 3600 * CLOCK_SECOND;
    struct clock *clock = clock_new(floor);
    int64_t first = clock_now(clock), before = clock_monotonic();
    assert_true(first >= floor);
    assert_true(clock_ahead(clock) > 3500 * CLOCK_SECOND);
    int64_t last = first;
    while (clock_monotonic() - before < 2000) {
        int64_t now = clock_now(clock);
        assert_true(now >= last);
        last = now;
    }
    last = clock_now(clock);           /* also where this thread was held up before the loop */
    assert_true(last - first >= 1000); /* no slower than the monotonic one */
    clock_free(clock);
}

static void a_clock_without_a_floor_is_the_wall_clock(void **state)
{
    (void)state;
    struct clock *clock = clock_new(0);
    int64_t now = clock_now(clock), wall = time(NULL) * CLOCK_SECOND;
    assert_true(now >= wall - 2 * CLOCK_SECOND && now <= wall + 2 * CLOCK_SECOND);
    clock_free(clock);
}

static struct clock_state describe(struct clock *clock)
{
    struct clock_state state;
    clock_describe(clock, &state);
    return state;
}

static void a_jump_is_over_when_it_is_put_right(void **state)
{
    (void)state;
    struct clock *clock = clock_new_manual(START);
    clock_step(clock, 4 * CLOCK_SECOND); /* no jump: a leap second, a clock that is set now and then */
    clock_advance(clock, MINUTE);
    assert_int_equal(describe(clock).jumps, 0);
    clock_step(clock, 60 * MINUTE);
    assert_int_equal(describe(clock).jumped / MINUTE, 60);
    assert_int_equal(describe(clock).unsettled / MINUTE, 60);
    clock_advance(clock, MINUTE);
    clock_step(clock, 30 * MINUTE);
    assert_int_equal(describe(clock).jumped / MINUTE, 90);
    clock_step(clock, -90 * MINUTE);
    assert_int_equal(describe(clock).jumped, 0);
    assert_int_equal(describe(clock).jumps, 3);
    clock_step(clock, -10 * MINUTE);
    assert_int_equal(describe(clock).jumped, -10 * MINUTE);
    assert_true(describe(clock).ahead >= 9 * MINUTE);
    assert_int_equal(describe(clock).unsettled, 0);
    clock_free(clock);
}

static void a_jump_is_over_when_it_has_stayed(void **state)
{
    (void)state;
    for (int way = -1; way <= 1; way += 2) {
        struct clock *clock = clock_new_manual(START);
        clock_step(clock, way * 60 * MINUTE);
        for (int i = 1; i <= 20; i++) {
            assert_true(i > 10 || describe(clock).jumped == way * 60 * MINUTE);
            clock_advance(clock, MINUTE);
        }
        assert_int_equal(describe(clock).jumped, 0);
        assert_int_equal(describe(clock).unsettled, 0);
        assert_int_equal(describe(clock).ahead, way < 0 ? 60 * MINUTE : 0); /* goes on from where it was */
        assert_int_equal(describe(clock).jumps, 1);
        clock_free(clock);
    }
}

static void a_rest_before_the_start_is_no_jump(void **state)
{
    (void)state;
    int64_t month = 30 * 24 * 60 * MINUTE, wall = time(NULL) * CLOCK_SECOND;
    struct clock *clock = clock_new(wall - month);
    assert_true(clock_now(clock) >= wall);
    assert_true(clock_settled(clock) < wall - month + MINUTE);
    assert_int_equal(describe(clock).jumps, 0);
    assert_int_equal(describe(clock).jumped, 0);
    assert_true(describe(clock).unsettled > month - MINUTE);
    clock_free(clock);
    clock = clock_new(0);
    assert_int_equal(describe(clock).unsettled, 0);
    assert_int_equal(describe(clock).ahead, 0);
    assert_int_equal(clock_settled(clock), 0); /* is stored, and is no floor at the next start either */
    clock_free(clock);
}

static void a_floor_that_is_no_time_is_none(void **state)
{
    (void)state;
    struct clock *clock = clock_new(INT64_MIN);
    assert_int_equal(clock_settled(clock), 0);
    assert_int_equal(clock_ahead(clock), 0);
    clock_free(clock);
    clock = clock_new(INT64_MAX);
    assert_true(clock_now(clock) >= CLOCK_END && clock_now(clock) < CLOCK_END + MINUTE);
    assert_true(clock_settled(clock) >= CLOCK_END);
    clock_free(clock);
}

static void *read_it(void *arg)
{
    int64_t last = 0;
    for (int i = 0; i < 20000; i++) {
        int64_t now = clock_now(arg);
        if (now < last)
            return arg;
        last = now;
    }
    return NULL;
}

static void no_thread_sees_it_go_back(void **state)
{
    (void)state;
    struct clock *clock = clock_new(0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_it, clock), 0);
    for (int i = 0; i < 4; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    clock_free(clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manual_clock_stands_still_until_it_is_moved),
        cmocka_unit_test(a_wall_clock_that_is_set_back_is_not_followed),
        cmocka_unit_test(a_wall_clock_that_jumps_ahead_decides_at_once_and_settles_later),
        cmocka_unit_test(a_jump_that_is_put_right_leaves_nothing_behind),
        cmocka_unit_test(what_was_not_looked_at_does_not_settle),
        cmocka_unit_test(a_clock_starts_no_earlier_than_its_floor_and_runs_on_from_there),
        cmocka_unit_test(a_clock_without_a_floor_is_the_wall_clock),
        cmocka_unit_test(a_jump_is_over_when_it_is_put_right),
        cmocka_unit_test(a_jump_is_over_when_it_has_stayed),
        cmocka_unit_test(a_rest_before_the_start_is_no_jump),
        cmocka_unit_test(a_floor_that_is_no_time_is_none),
        cmocka_unit_test(no_thread_sees_it_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
