/* SPDX-License-Identifier: Apache-2.0 */
/* rest/forwarded.c: whom trusted proxies name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rest/forwarded.h"

static void expect(bool is_rfc7239, const char *first, const char *second, const char *expected)
{
    struct network trusted[2];
    assert_true(network_parse("10.0.0.0/8", &trusted[0]));
    assert_true(network_parse("2001:db8::/32", &trusted[1]));
    struct forwarded forwarded = {.trusted = trusted, .trusted_count = 2, .is_rfc7239 = is_rfc7239};
    char peer[ADDRESS_TEXT_MAX] = "10.0.0.1";
    const char *lines[] = {first, second};
    forwarded_find(&forwarded, lines, second != NULL ? 2 : first != NULL ? 1 : 0, peer);
    if (strcmp(peer, expected) != 0)
        fail_msg("%s | %s: %s instead of %s", first, second == NULL ? "" : second, peer, expected);
}

static void the_last_that_is_no_proxy_is_the_client(void **state)
{
    (void)state;
    expect(false, NULL, NULL, "10.0.0.1");
    expect(false, "192.0.2.1", NULL, "192.0.2.1");
    expect(false, "6.6.6.6, 192.0.2.1", NULL, "192.0.2.1");
    expect(false, "6.6.6.6,192.0.2.1 , 10.2.3.4", NULL, "192.0.2.1");
    expect(false, "6.6.6.6, 192.0.2.1, 2001:DB8::9, 10.2.3.4", NULL, "192.0.2.1");
    expect(false, "10.9.9.9, 10.2.3.4", NULL, "10.9.9.9"); /* the farthest that is vouched for */
}

static void all_lines_are_one_list(void **state)
{
    (void)state;
    expect(false, "6.6.6.6", "192.0.2.1", "192.0.2.1");
    expect(false, "6.6.6.6, 192.0.2.1", "10.0.0.2", "192.0.2.1");
    expect(false, "6.6.6.6", "", "6.6.6.6");
    expect(false, "192.0.2.1", " , 10.1.1.1,", "192.0.2.1");
}

static void a_port_is_left_out_and_there_is_one_spelling(void **state)
{
    (void)state;
    expect(false, "192.0.2.1:1234", NULL, "192.0.2.1");
    expect(false, "[2001:DC8:0:0::1]:1234", NULL, "2001:dc8::1");
    expect(false, "::ffff:192.0.2.1", NULL, "192.0.2.1");
    expect(false, "192.0.2.1, ::ffff:10.0.0.7", NULL, "192.0.2.1");
}

static void what_is_no_address_ends_the_walk(void **state)
{
    (void)state;
    expect(false, "192.0.2.1, unknown", NULL, "10.0.0.1");
    expect(false, "192.0.2.1, _hidden, 10.0.0.5", NULL, "10.0.0.5");
    expect(false, "192.0.2.1", "nonsense", "10.0.0.1");
    expect(false, "192.0.2.1:port", NULL, "10.0.0.1");
    expect(false, "192.0.2.1 6.6.6.6", NULL, "10.0.0.1");
    expect(false, "proxy.example", NULL, "10.0.0.1");
}

static void forwarded_is_read_by_rfc_7239(void **state)
{
    (void)state;
    expect(true, "for=192.0.2.1", NULL, "192.0.2.1");
    expect(true, "For=\"[2001:DC8::17]:4711\";proto=https;by=10.0.0.1", NULL, "2001:dc8::17");
    expect(true, "proto=https;FOR=\"192.0.2.1:80\"", NULL, "192.0.2.1");
    expect(true, "for=6.6.6.6, for=192.0.2.1", NULL, "192.0.2.1");
    expect(true, "for=6.6.6.6", "for=192.0.2.1, for=10.4.4.4", "192.0.2.1");
    expect(true, "for=192.0.2.1, for=unknown", NULL, "10.0.0.1");
    expect(true, "for=192.0.2.1, for=_x, for=10.4.4.4", NULL, "10.4.4.4");
    expect(true, "for=6.6.6.6;for=192.0.2.1", NULL, "10.0.0.1"); /* which? */
    expect(true, "for=192.0.2.1, proto=https", NULL, "10.0.0.1");
    expect(true, "for=\"6.6.6.6, for=192.0.2.1", NULL, "192.0.2.1"); /* the client's open quote */
    expect(true, "192.0.2.1", NULL, "10.0.0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_that_is_no_proxy_is_the_client),
        cmocka_unit_test(all_lines_are_one_list),
        cmocka_unit_test(a_port_is_left_out_and_there_is_one_spelling),
        cmocka_unit_test(what_is_no_address_ends_the_walk),
        cmocka_unit_test(forwarded_is_read_by_rfc_7239),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
