/* SPDX-License-Identifier: Apache-2.0 */
/* The rules, linked with nothing else of services/: no store, no lock, no clock. */
#include "rules/audit.h"
#include "rules/change.h"
#include "rules/label.h"
#include "rules/token.h"
#include "rules/usage.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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
    struct credential_facts credential = {.epoch = 3};
    struct token_facts token = {.key = token_key_at(NOW), .last_used = NOW, .epoch = 3};
    assert_true(token_is_active(&token, &credential, &settings, NOW));
    token.last_used = NOW - settings.idle_timeout;
    assert_false(token_is_active(&token, &credential, &settings, NOW));
    token.last_used = NOW;
    credential.epoch = 4;
    assert_false(token_is_active(&token, &credential, &settings, NOW));
    credential.epoch = 3;
    credential.deleted = 1;
    assert_false(token_is_active(&token, &credential, &settings, NOW));
    credential.deleted = 0;
    credential.suspended = 1;
    assert_false(token_is_active(&token, &credential, &settings, NOW));
    credential.suspended = 0;
    credential.expires = NOW;
    assert_false(token_is_active(&token, &credential, &settings, NOW));
}

#define SECOND CLOCK_SECOND

static struct own_limits limits_of(int64_t idle, int64_t life)
{
    return (struct own_limits){{[LIMIT_IDLE_TIMEOUT] = {.value = idle}, [LIMIT_TOKEN_LIFE] = {.value = life}}};
}

static bool is_live(const struct own_limits *own, const struct settings *settings, int64_t issued, int64_t used,
                    int64_t now)
{
    const struct token_facts token = {.key = token_key_at(issued), .last_used = used};
    const struct credential_facts credential = {.limits = *own};
    return token_is_active(&token, &credential, settings, now);
}

static void a_limit_of_its_own_holds_in_place_of_the_setting_unless_it_is_observed(void **state)
{
    (void)state;
    const struct settings settings = {.idle_timeout = 600 * SECOND, .idle_floor = INT64_MIN, .life_floor = INT64_MIN};
    struct own_limits none = {0}, shorter = limits_of(60 * SECOND, 0), longer = limits_of(3600 * SECOND, 0),
                      capped = limits_of(0, 120 * SECOND);
    assert_true(own_limits_are_none(&none) && !own_limits_are_none(&shorter));
    assert_true(is_live(&none, &settings, NOW - 599 * SECOND, NOW - 599 * SECOND, NOW));
    assert_false(is_live(&shorter, &settings, NOW - 60 * SECOND, NOW - 60 * SECOND, NOW));
    assert_true(is_live(&shorter, &settings, NOW - 60 * SECOND, NOW - 59 * SECOND, NOW));
    assert_true(is_live(&longer, &settings, NOW - 3599 * SECOND, NOW - 3599 * SECOND, NOW));
    assert_false(is_live(&capped, &settings, NOW - 120 * SECOND, NOW, NOW));
    shorter.of[LIMIT_IDLE_TIMEOUT].is_observed = capped.of[LIMIT_TOKEN_LIFE].is_observed = true;
    assert_true(is_live(&shorter, &settings, NOW - 599 * SECOND, NOW - 599 * SECOND, NOW));
    assert_true(is_live(&capped, &settings, NOW - 120 * SECOND, NOW, NOW));
    const struct credential_facts credential = {.limits = longer};
    const struct token_facts token = {.key = token_key_at(NOW), .last_used = NOW};
    assert_int_equal(token_expires(&token, &credential, &settings), NOW + 3600 * SECOND);
}

/* From `before` to `next` at NOW: is one that was used (or issued) `ago` ever live again? */
static bool is_brought_back(struct own_limits before, struct own_limits next, const struct settings *settings,
                            int64_t ago)
{
    own_limits_raise(&before, &next, settings, NOW);
    return is_live(&next, settings, NOW - ago, NOW - ago, NOW + SECOND);
}

static void no_change_of_a_limit_of_its_own_brings_a_dead_token_back(void **state)
{
    (void)state;
    struct settings settings = {.idle_timeout = 600 * SECOND, .idle_floor = INT64_MIN, .life_floor = INT64_MIN};
    const struct own_limits none = {0}, shorter = limits_of(60 * SECOND, 0), longer = limits_of(3600 * SECOND, 0);
    assert_false(is_brought_back(shorter, longer, &settings, 60 * SECOND));
    assert_true(is_brought_back(shorter, longer, &settings, 58 * SECOND));
    assert_false(is_brought_back(shorter, none, &settings, 60 * SECOND));
    assert_false(is_brought_back(none, longer, &settings, 600 * SECOND));
    assert_true(is_brought_back(none, longer, &settings, 598 * SECOND));
    struct own_limits observed = shorter;
    observed.of[LIMIT_IDLE_TIMEOUT].is_observed = true;
    assert_false(is_brought_back(shorter, observed, &settings, 60 * SECOND));
    assert_true(is_brought_back(observed, longer, &settings, 61 * SECOND)); /* it had ended nothing */
    assert_false(is_brought_back(limits_of(0, 60 * SECOND), none, &settings, 60 * SECOND));

    /* What a floor of the settings keeps dead stays so under a limit of its own, which later changes of the settings do
     * not concern. */
    settings.idle_floor = NOW - 300 * SECOND;
    settings.idle_floor_set = NOW;
    assert_false(is_brought_back(none, longer, &settings, 300 * SECOND));
    assert_true(is_live(&longer, &settings, NOW - 301 * SECOND, NOW - 301 * SECOND, NOW));
}

static void a_floor_of_a_clock_that_was_wrong_does_not_count_and_is_mended(void **state)
{
    (void)state;
    const struct settings settings = {.idle_timeout = 600 * SECOND, .idle_floor = INT64_MIN, .life_floor = INT64_MIN};
    const int64_t ahead = NOW + 86400 * SECOND;
    const struct own_limits shorter = limits_of(60 * SECOND, 0);
    struct own_limits longer = limits_of(3600 * SECOND, 0);
    own_limits_raise(&shorter, &longer, &settings, ahead);
    assert_true(is_live(&longer, &settings, NOW - 59 * SECOND, NOW - 59 * SECOND, NOW));
    assert_false(own_limits_mend(&longer, &settings, ahead, NOW));
    assert_true(own_limits_mend(&longer, &settings, NOW + SECOND, NOW));
    assert_int_equal(longer.of[LIMIT_IDLE_TIMEOUT].floor, NOW - 3600 * SECOND);
    assert_true(is_live(&longer, &settings, ahead - 3599 * SECOND, ahead - 3599 * SECOND, ahead));
}

static void a_label_is_found_by_its_whole_key(void **state)
{
    (void)state;
    static const char labels[] = "env=\nteam=a=b\nteams=c\n";
    static const char *const values[] = {"", "a=b", "c"};
    struct label label;
    size_t count = 0;
    for (const char *at = labels; (at = label_next(at, &label)) != NULL; count++) {
        assert_int_equal(label.value_len, strlen(values[count]));
        assert_memory_equal(label.value, values[count], label.value_len);
    }
    assert_int_equal(count, 3);
    assert_true(label_find(labels, "team", 4, &label));
    assert_int_equal(label.value_len, 3);
    assert_false(label_find(labels, "tea", 3, &label));
    assert_false(label_find(labels, "teamss", 6, &label));
    assert_false(label_find("", "team", 4, &label));
    assert_null(label_next("no label", &label));
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

static enum source_verdict judge(const char *networks, const char *peer)
{
    struct network parsed[SOURCE_NETWORKS_MAX];
    struct source_rule rule = {.networks = parsed};
    struct source source = {.kind = SOURCE_NOT_TOLD};
    assert_true(source_parse(networks, parsed, &rule.count));
    if (peer != NULL)
        source = source_of(peer);
    enum source_verdict verdict = source_judge(&rule, &source);
    rule.is_observed = true; /* tells the same, and refuses nothing */
    assert_int_equal(source_judge(&rule, &source), verdict == SOURCE_REFUSED ? SOURCE_OBSERVED : SOURCE_WITHIN);
    return verdict;
}

static void a_use_from_outside_every_network_is_refused(void **state)
{
    (void)state;
    assert_int_equal(judge("", "192.0.2.1"), SOURCE_WITHIN);
    assert_int_equal(judge("", "unix"), SOURCE_WITHIN);
    assert_int_equal(judge("10.0.0.0/8 192.0.2.1", "10.255.255.255"), SOURCE_WITHIN);
    assert_int_equal(judge("10.0.0.0/8 192.0.2.1", "192.0.2.1"), SOURCE_WITHIN);
    assert_int_equal(judge("10.0.0.0/8 192.0.2.1", "::ffff:10.0.0.1"), SOURCE_WITHIN);
    assert_int_equal(judge("10.0.0.0/8 192.0.2.1", "192.0.2.2"), SOURCE_REFUSED);
    assert_int_equal(judge("10.0.0.0/8 192.0.2.1", "9.255.255.255"), SOURCE_REFUSED);
    assert_int_equal(judge("10.0.0.0/8 192.0.2.1", "2001:db8::1"), SOURCE_REFUSED);
    assert_int_equal(judge("2001:db8::/33", "2001:db8:7fff::1"), SOURCE_WITHIN);
    assert_int_equal(judge("2001:db8::/33", "2001:db8:8000::1"), SOURCE_REFUSED);
    assert_int_equal(judge("0.0.0.0/0", "203.0.113.9"), SOURCE_WITHIN);
    assert_int_equal(judge("0.0.0.0/0", "2001:db8::1"), SOURCE_REFUSED);
    assert_int_equal(judge("::/0", "2001:db8::1"), SOURCE_WITHIN);
    assert_int_equal(judge("::/0", "203.0.113.9"), SOURCE_REFUSED);
    assert_int_equal(judge("::/0", "::ffff:203.0.113.9"), SOURCE_REFUSED);
    /* What has no address is nowhere; what nobody told cannot be judged. */
    assert_int_equal(judge("0.0.0.0/0 ::/0", "unix"), SOURCE_REFUSED);
    assert_int_equal(judge("0.0.0.0/0 ::/0", ""), SOURCE_REFUSED);
    assert_int_equal(judge("192.0.2.1", NULL), SOURCE_WITHIN);
}

static void networks_are_stored_in_one_spelling(void **state)
{
    (void)state;
    struct network networks[SOURCE_NETWORKS_MAX];
    struct source_rule rule = {.networks = networks};
    char text[SOURCE_TEXT_MAX];
    assert_true(source_parse("2001:DB8:0::/32 ::ffff:0:0/96 10.1.0.0/16 192.0.2.1/32 10.0.0.0/8 192.0.2.1 ::1/128",
                             networks, &rule.count));
    assert_int_equal(rule.count, 6);
    source_format(&rule, text);
    assert_string_equal(text, "0.0.0.0/0 10.0.0.0/8 10.1.0.0/16 192.0.2.1 ::1 2001:db8::/32");
    assert_true(source_parse("", networks, &rule.count));
    assert_int_equal(rule.count, 0);
    source_format(&rule, text);
    assert_string_equal(text, "");
    assert_false(source_parse("10.0.0.1/8", networks, &rule.count));
    assert_false(source_parse("10.0.0.0/8 ", networks, &rule.count));
    assert_false(source_parse(" ", networks, &rule.count));
    assert_false(source_parse("10.0.0.0/8 proxy.example", networks, &rule.count));
}

static void as_many_networks_as_there_may_be_and_no_more(void **state)
{
    (void)state;
    static char many[2 * SOURCE_TEXT_MAX];
    struct network networks[SOURCE_NETWORKS_MAX];
    struct source_rule rule = {.networks = networks};
    char text[SOURCE_TEXT_MAX];
    for (int i = 0; i < SOURCE_NETWORKS_MAX; i++) /* the longest that there are */
        sprintf(many + strlen(many), "%sffff:ffff:ffff:ffff:ffff:ffff:ffff:ff%02x/128", i == 0 ? "" : " ", i);
    assert_true(source_parse(many, networks, &rule.count));
    assert_int_equal(rule.count, SOURCE_NETWORKS_MAX);
    source_format(&rule, text);
    assert_true(source_parse(text, networks, &rule.count));
    assert_int_equal(rule.count, SOURCE_NETWORKS_MAX);
    strcat(text, " 10.0.0.0/8");
    assert_false(source_parse(text, networks, &rule.count));
    for (int i = 0; i < 100; i++)
        strcat(many, " 10.0.0.0/8");
    assert_false(source_parse(many, networks, &rule.count));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_credential_is_live_until_it_expires_is_suspended_or_deleted),
        cmocka_unit_test(a_token_is_active_while_it_is_used_and_its_credential_lives),
        cmocka_unit_test(a_label_is_found_by_its_whole_key),
        cmocka_unit_test(a_limit_of_its_own_holds_in_place_of_the_setting_unless_it_is_observed),
        cmocka_unit_test(no_change_of_a_limit_of_its_own_brings_a_dead_token_back),
        cmocka_unit_test(a_floor_of_a_clock_that_was_wrong_does_not_count_and_is_mended),
        cmocka_unit_test(what_is_required_and_not_carried_is_missing_in_its_order),
        cmocka_unit_test(a_client_id_is_a_uuid_of_version_4),
        cmocka_unit_test(a_use_from_outside_every_network_is_refused),
        cmocka_unit_test(networks_are_stored_in_one_spelling),
        cmocka_unit_test(as_many_networks_as_there_may_be_and_no_more),
        cmocka_unit_test(floors_that_have_not_come_yet_are_taken_back_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
