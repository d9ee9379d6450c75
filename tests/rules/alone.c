/* SPDX-License-Identifier: Apache-2.0 */
/* The rules, linked with nothing else of services/: no store, no lock, no clock. */
#include "rules/audit.h"
#include "rules/change.h"
#include "rules/token.h"
#include "rules/usage.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW (INT64_C(1800000000) * CLOCK_SECOND)

static void a_credential_is_live_until_it_expires_is_suspended_or_deleted(void **state)
{
    (void)state;
    assert_int_equal(credential_state(0, 0, 0, NOW), CREDENTIAL_LIVE);
    assert_int_equal(credential_state(0, 0, NOW + 1, NOW), CREDENTIAL_LIVE);
    assert_int_equal(credential_state(0, 0, NOW, NOW), CREDENTIAL_EXPIRED);
    assert_int_equal(credential_state(0, 1, 0, NOW), CREDENTIAL_SUSPENDED);
    assert_int_equal(credential_state(0, NOW + 1, NOW, NOW), CREDENTIAL_SUSPENDED);
    assert_int_equal(credential_state(1, 0, 0, NOW), CREDENTIAL_DELETED);
    assert_int_equal(credential_state(1, 1, NOW, NOW), CREDENTIAL_DELETED);
}

static void a_token_is_active_while_it_is_used_and_its_credential_lives(void **state)
{
    (void)state;
    struct settings settings = {.idle_timeout = 60 * CLOCK_SECOND, .idle_floor = INT64_MIN, .life_floor = INT64_MIN};
    struct token_limits limits = settings_limits(&settings, NOW);
    struct credential_facts credential = {.epoch = 3};
    struct token_facts token = {.key = token_key_at(NOW), .last_used = NOW, .epoch = 3};
    assert_true(token_is_active(&token, &credential, &limits, NOW));
    token.last_used = NOW - settings.idle_timeout;
    assert_false(token_is_active(&token, &credential, &limits, NOW));
    token.last_used = NOW;
    credential.epoch = 4;
    assert_false(token_is_active(&token, &credential, &limits, NOW));
    credential.epoch = 3;
    credential.deleted = 1;
    assert_false(token_is_active(&token, &credential, &limits, NOW));
    credential.deleted = 0;
    credential.suspended = 1;
    assert_false(token_is_active(&token, &credential, &limits, NOW));
    credential.suspended = 0;
    credential.expires = NOW;
    assert_false(token_is_active(&token, &credential, &limits, NOW));
}

static int letter(const void *catalogue, const char *id)
{
    const char *at = strchr(catalogue, id[0]);
    return at == NULL ? -1 : (int)(at - (const char *)catalogue);
}

static void what_is_required_and_not_carried_is_missing_in_its_order(void **state)
{
    (void)state;
    char *required[] = {"d", "b", "x", "a", "d"}, *missing[5];
    struct role_set carried = {{0}};
    role_set_add(&carried, 0);
    role_set_add(&carried, 1);
    assert_int_equal(role_list_missing(&carried, required, 5, letter, "abcd", missing), 3);
    assert_string_equal(missing[0], "d");
    assert_string_equal(missing[1], "x"); /* that there is no such role helps nobody */
    assert_string_equal(missing[2], "d");
    assert_int_equal(role_list_missing(&carried, required, 0, letter, "abcd", missing), 0);
}

static void a_client_id_is_a_uuid_of_version_4(void **state)
{
    (void)state;
    char client_id[CLIENT_ID_LEN + 1];
    credential_client_id((const uint8_t[CLIENT_ID_BYTES]){0xff, [15] = 1}, client_id);
    assert_string_equal(client_id, "ff000000-0000-4000-8000-000000000001");
}

static void floors_that_have_not_come_yet_are_taken_back_once(void **state)
{
    (void)state;
    struct settings settings = {.idle_timeout = 60, .idle_floor_set = NOW + 1, .life_floor = INT64_MIN, .version = 7};
    assert_true(settings_mend(&settings, NOW, NOW));
    assert_true(settings.idle_floor == NOW - 60 && settings.version == 8);
    assert_false(settings_mend(&settings, NOW, NOW));
    assert_true(settings.version == 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_credential_is_live_until_it_expires_is_suspended_or_deleted),
        cmocka_unit_test(a_token_is_active_while_it_is_used_and_its_credential_lives),
        cmocka_unit_test(what_is_required_and_not_carried_is_missing_in_its_order),
        cmocka_unit_test(a_client_id_is_a_uuid_of_version_4),
        cmocka_unit_test(floors_that_have_not_come_yet_are_taken_back_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
