/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "domain/throttle.h"

static void thirty_failures_are_told_and_the_next_is_refused(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    int64_t retry = 0;
    for (int i = 0; i < 30; i++)
        assert_true(throttle_allow_failure(throttle, "somebody", START, &retry));
    assert_false(throttle_allow_failure(throttle, "somebody", START, &retry));
    assert_in_range(retry, 1, 2000);
    for (int i = 0; i < 1000; i++) /* refused ones do not make it worse */
        assert_false(throttle_allow_failure(throttle, "somebody", START, &retry));
    assert_false(throttle_allow_failure(throttle, "somebody", START + retry * 1000 - 1000, &retry));
    assert_true(throttle_allow_failure(throttle, "somebody", START + 2 * CLOCK_SECOND, &retry));
    assert_false(throttle_allow_failure(throttle, "somebody", START + 2 * CLOCK_SECOND, &retry));
    throttle_free(throttle);
    throttle_free(NULL);
}

static void after_a_minute_all_is_forgiven(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    int64_t retry = 0;
    for (int round = 0; round < 3; round++) {
        int64_t now = START + round * MINUTE;
        for (int i = 0; i < 30; i++)
            assert_true(throttle_allow_failure(throttle, "somebody", now, &retry));
        assert_false(throttle_allow_failure(throttle, "somebody", now, &retry));
    }
    throttle_free(throttle);
}

static void nobody_pays_for_another(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    int64_t retry = 0;
    int refused = 0;
    for (int i = 0; i < 40; i++)
        (void)!throttle_allow_failure(throttle, "attacker", START, &retry);
    for (int i = 0; i < 100; i++) { /* each of 100 shares its slot of 4,096 with hardly anybody */
        char key[32];
        snprintf(key, sizeof key, "client %d", i);
        refused += !throttle_allow_failure(throttle, key, START, &retry);
    }
    assert_in_range(refused, 0, 3);
    throttle_free(throttle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thirty_failures_are_told_and_the_next_is_refused),
        cmocka_unit_test(after_a_minute_all_is_forgiven),
        cmocka_unit_test(nobody_pays_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
