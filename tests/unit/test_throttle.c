/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "memory/throttle.h"

#define PEER "192.0.2.1"

static bool is_allowed(struct throttle *throttle, const char *peer, const char *client_id, int64_t now)
{
    return throttle_failure(throttle, peer, client_id, now).is_allowed;
}

static void thirty_failures_are_told_and_the_next_is_refused(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    for (int i = 0; i < 30; i++)
        assert_true(is_allowed(throttle, PEER, NULL, START));
    struct throttle_verdict verdict = throttle_failure(throttle, PEER, NULL, START);
    assert_false(verdict.is_allowed);
    assert_in_range(verdict.retry_ms, 1, 2000);
    for (int i = 0; i < 1000; i++) /* refused ones do not make it worse */
        assert_false(is_allowed(throttle, PEER, NULL, START));
    assert_false(is_allowed(throttle, PEER, NULL, START + verdict.retry_ms * 1000 - 1000));
    assert_true(is_allowed(throttle, PEER, NULL, START + 2 * CLOCK_SECOND));
    assert_false(is_allowed(throttle, PEER, NULL, START + 2 * CLOCK_SECOND));
    throttle_free(throttle);
    throttle_free(NULL);
}

static void after_a_minute_all_is_forgiven(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    for (int round = 0; round < 3; round++) {
        int64_t now = START + round * MINUTE;
        for (int i = 0; i < 30; i++)
            assert_true(is_allowed(throttle, PEER, "somebody", now));
        assert_false(is_allowed(throttle, PEER, "somebody", now));
    }
    throttle_free(throttle);
}

static void a_clock_that_is_set_back_locks_nobody_out_for_longer_than_a_minute(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    int64_t before = START - 3600 * CLOCK_SECOND;
    for (int i = 0; i < 31; i++)
        (void)!is_allowed(throttle, PEER, NULL, START);
    assert_in_range(throttle_failure(throttle, PEER, NULL, before).retry_ms, 0, 60000);
    assert_true(is_allowed(throttle, PEER, NULL, before + MINUTE));
    throttle_free(throttle);
}

static void many_addresses_use_up_the_share_of_one_client(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    char peer[32];
    for (int i = 0; i < 30; i++) {
        snprintf(peer, sizeof peer, "192.0.2.%d", i);
        assert_true(is_allowed(throttle, peer, "attacked", START));
    }
    assert_false(is_allowed(throttle, "192.0.2.100", "attacked", START));
    assert_true(is_allowed(throttle, "192.0.2.100", "another", START));
    throttle_free(throttle);
}

static void one_address_uses_up_its_own_share_only(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    char client[32], peer[32];
    for (int i = 0; i < 1000000; i++) { /* enough to fill every slot of the clients' */
        snprintf(client, sizeof client, "random %d", i);
        (void)!is_allowed(throttle, "203.0.113.66", client, START);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(client, sizeof client, "fresh %d", i);
        snprintf(peer, sizeof peer, "10.0.%d.%d", i / 256, i % 256);
        if (!is_allowed(throttle, peer, client, START))
            fail_msg("fresh client %d is refused at its first failure", i);
    }
    throttle_free(throttle);
}

static void a_few_attackers_do_not_stand_in_the_way_of_strangers(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    char peer[32];
    for (int attacker = 0; attacker < 200; attacker++) { /* so many that a single row would have hit some */
        snprintf(peer, sizeof peer, "203.0.%d.1", attacker);
        for (int i = 0; i < 40; i++)
            (void)!is_allowed(throttle, peer, NULL, START);
    }
    int refused = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(peer, sizeof peer, "10.0.%d.%d", i / 256, i % 256);
        refused += !is_allowed(throttle, peer, NULL, START);
    }
    assert_in_range(refused, 0, 2); /* (200 / 4,096)^4 of them, 0.006 */
    throttle_free(throttle);
}

static void a_64_is_one_address(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    char peer[64];
    for (int i = 0; i < 30; i++) {
        snprintf(peer, sizeof peer, "2001:db8:1:2:%x::%x", i, i + 1);
        assert_true(is_allowed(throttle, peer, NULL, START));
    }
    assert_false(is_allowed(throttle, "2001:DB8:1:2::7777", NULL, START));
    assert_true(is_allowed(throttle, "2001:db8:1:3::1", NULL, START));
    throttle_free(throttle);
}

static void refusals_are_counted_and_told_once_a_minute(void **state)
{
    (void)state;
    struct throttle *throttle = throttle_new();
    for (int i = 0; i < 30; i++)
        assert_int_equal(throttle_failure(throttle, PEER, NULL, START).refused, 0);
    assert_int_equal(throttle_failure(throttle, PEER, NULL, START).refused, 1);
    for (int i = 0; i < 500; i++)
        assert_int_equal(throttle_failure(throttle, PEER, NULL, START + i).refused, 0);
    int64_t later = START + MINUTE;
    for (int i = 0; i < 30; i++)
        assert_true(is_allowed(throttle, PEER, NULL, later));
    assert_int_equal(throttle_failure(throttle, PEER, NULL, later).refused, 501);
    assert_int_equal(throttle_refused(throttle), 502);
    throttle_free(throttle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thirty_failures_are_told_and_the_next_is_refused),
        cmocka_unit_test(after_a_minute_all_is_forgiven),
        cmocka_unit_test(a_clock_that_is_set_back_locks_nobody_out_for_longer_than_a_minute),
        cmocka_unit_test(many_addresses_use_up_the_share_of_one_client),
        cmocka_unit_test(one_address_uses_up_its_own_share_only),
        cmocka_unit_test(a_few_attackers_do_not_stand_in_the_way_of_strangers),
        cmocka_unit_test(a_64_is_one_address),
        cmocka_unit_test(refusals_are_counted_and_told_once_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
