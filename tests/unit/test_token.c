/* SPDX-License-Identifier: Apache-2.0 */
/* When a token is active, what it carries, and the settings that say how long. */
#include "fixture.h"
#include "records/setting.h"

#define NOW START
#define IDLE (20 * MINUTE)

static void one_function_decides_whether_a_token_is_active(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int64_t last_used, issued, epoch, expires, deleted, cap;
        bool is_active;
    } cases[] = {
        {"fresh", NOW, NOW, 1, 0, 0, 0, true},
        {"used a microsecond less than the timeout ago", NOW - IDLE + 1, NOW - IDLE, 1, 0, 0, 0, true},
        {"used exactly the timeout ago", NOW - IDLE, NOW - IDLE, 1, 0, 0, 0, false},
        {"used longer ago", NOW - IDLE - 1, NOW - IDLE, 1, 0, 0, 0, false},
        {"of an earlier epoch", NOW, NOW, 0, 0, 0, 0, false},
        {"of a later epoch", NOW, NOW, 2, 0, 0, 0, false},
        {"the credential expires in a microsecond", NOW, NOW, 1, NOW + 1, 0, 0, true},
        {"the credential expires now", NOW, NOW, 1, NOW, 0, 0, false},
        {"the credential expired", NOW, NOW, 1, NOW - 1, 0, 0, false},
        {"the credential is deleted", NOW, NOW, 1, 0, NOW - 1, 0, false},
        {"the credential is deleted in time to come", NOW, NOW, 1, 0, NOW + MINUTE, 0, false},
        {"a second younger than the cap", NOW, NOW - MINUTE + CLOCK_SECOND, 1, 0, 0, MINUTE, true},
        {"as old as the cap", NOW, NOW - MINUTE, 1, 0, 0, MINUTE, false},
        {"older than the cap though just used", NOW, NOW - 2 * MINUTE, 1, 0, 0, MINUTE, false},
        {"used in time to come, by a replica whose clock is ahead", NOW + MINUTE, NOW, 1, 0, 0, 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct settings settings = {
            .idle_timeout = IDLE, .max_token_life = cases[i].cap, .idle_floor = INT64_MIN, .life_floor = INT64_MIN};
        struct token_facts token = {
            .key = token_key_at(cases[i].issued), .last_used = cases[i].last_used, .epoch = cases[i].epoch};
        struct credential_facts credential = {.epoch = 1, .expires = cases[i].expires, .deleted = cases[i].deleted};
        if (token_is_active(&token, &credential, &settings, NOW) != cases[i].is_active)
            fail_msg("%s", cases[i].what);
    }
}

static void a_token_dies_when_the_first_of_its_limits_comes(void **state)
{
    (void)state;
    struct settings settings = {.idle_timeout = IDLE};
    struct token_facts token = {.key = token_key_at(NOW - MINUTE), .last_used = NOW};
    struct credential_facts credential = {.expires = 0};
    assert_int_equal(token_expires(&token, &credential, &settings), NOW + IDLE);
    settings.max_token_life = 2 * MINUTE;
    assert_int_equal(token_expires(&token, &credential, &settings), NOW + MINUTE);
    credential.expires = NOW + 7;
    assert_int_equal(token_expires(&token, &credential, &settings), NOW + 7);
    settings.idle_timeout = 5;
    assert_int_equal(token_expires(&token, &credential, &settings), NOW + 5);
}

static void sets_hold_each_of_256_roles_apart(void **state)
{
    (void)state;
    for (int i = 0; i < ROLES_MAX; i++) {
        struct role_set one = {0}, all;
        memset(&all, 0xff, sizeof all);
        assert_true(role_set_is_empty(&one));
        role_set_add(&one, i);
        assert_false(role_set_is_empty(&one));
        for (int j = 0; j < ROLES_MAX; j++)
            assert_true(role_set_has(&one, j) == (i == j));
        struct role_set both = role_set_and(&one, &all);
        assert_true(role_set_equal(&both, &one));
        assert_false(role_set_equal(&one, &all));
    }
}

static void a_narrowed_token_carries_no_more_than_its_credential_has(void **state)
{
    (void)state;
    struct credential_facts credential = {.id = 1};
    struct token_facts token = {.is_narrowed = true};
    role_set_add(&credential.effective, 3);
    role_set_add(&credential.effective, 200);
    role_set_add(&token.roles, 200);
    role_set_add(&token.roles, 201);
    struct role_set roles = token_roles(&token, &credential);
    assert_true(role_set_has(&roles, 200));
    assert_false(role_set_has(&roles, 201) || role_set_has(&roles, 3));
    token.is_narrowed = false;
    roles = token_roles(&token, &credential);
    assert_true(role_set_equal(&roles, &credential.effective));
}

struct change {
    int64_t idle_timeout, max_token_life;
};

static enum status change_settings(struct work *work, void *arg)
{
    const struct change *change = arg;
    struct settings before, next;
    TRY(setting_row_load(work->tx, &before));
    next = before;
    next.idle_timeout = change->idle_timeout;
    next.max_token_life = change->max_token_life;
    settings_raise(&before, &next, work->now);
    TRY(setting_row_save(work->tx, &next));
    return work_change_settings(work, &next);
}

static void set(struct fixture *fixture, int64_t idle_timeout, int64_t max_token_life)
{
    struct change change = {idle_timeout, max_token_life};
    assert_int_equal(do_work(fixture, change_settings, &change, NULL), STATUS_OK);
}

static void a_longer_timeout_brings_no_dead_token_back(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "floors.db", NULL);
    struct credential *credential = make_credential(&fixture, "floors", "work_creator");
    struct token_key dead = make_token(&fixture, credential);
    clock_advance(fixture.clock, IDLE / 2);
    struct token_key living = make_token(&fixture, credential);
    clock_advance(fixture.clock, IDLE / 2);
    assert_false(is_active(&fixture, &dead, false));
    assert_true(is_active(&fixture, &living, false));
    set(&fixture, 10 * IDLE, 0);
    assert_false(is_active(&fixture, &dead, false));
    assert_true(is_active(&fixture, &living, false));
    clock_advance(fixture.clock, 9 * IDLE);
    assert_true(is_active(&fixture, &living, false));
    set(&fixture, MINUTE, 0); /* dead by this, and not brought back by the next */
    set(&fixture, 100 * IDLE, 0);
    assert_false(is_active(&fixture, &living, false) || is_active(&fixture, &dead, false));
    fixture_crash(&fixture, "floors.db");
    assert_false(is_active(&fixture, &living, false) || is_active(&fixture, &dead, false));
    fixture_close(&fixture);
}

static void lifting_the_cap_brings_no_dead_token_back(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "caps.db", NULL);
    struct credential *credential = make_credential(&fixture, "caps", "work_creator");
    set(&fixture, IDLE, 5 * MINUTE);
    struct token_key dead = make_token(&fixture, credential);
    clock_advance(fixture.clock, 5 * MINUTE);
    struct token_key living = make_token(&fixture, credential);
    assert_false(is_active(&fixture, &dead, false));
    set(&fixture, IDLE, 0);
    assert_false(is_active(&fixture, &dead, false));
    assert_true(is_active(&fixture, &living, false));
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_function_decides_whether_a_token_is_active),
        cmocka_unit_test(a_token_dies_when_the_first_of_its_limits_comes),
        cmocka_unit_test(sets_hold_each_of_256_roles_apart),
        cmocka_unit_test(a_narrowed_token_carries_no_more_than_its_credential_has),
        cmocka_unit_test(a_longer_timeout_brings_no_dead_token_back),
        cmocka_unit_test(lifting_the_cap_brings_no_dead_token_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
