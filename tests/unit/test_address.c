/* SPDX-License-Identifier: Apache-2.0 */
/* services/base/address.c: one spelling for each address, networks, and what counts as one client. */
#include "support.h"

#include "base/address.h"

static void an_address_has_one_spelling(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"0:0:0:0:0:FFFF:C000:0201", "192.0.2.1"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"::1", "::1"},
        {"fe80::1%eth0", "fe80::1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct address address;
        char text[ADDRESS_TEXT_MAX];
        assert_true(address_parse(cases[i][0], strlen(cases[i][0]), &address));
        address_format(&address, text);
        assert_string_equal(text, cases[i][1]);
    }
}

static void what_is_no_address_is_none(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",        "localhost", "192.0.2",    "192.0.2.256", "192.0.2.1:80", "[::1]",   "1.2.3.4%",   "::g",
        "unknown", "_hidden",   "192.0.2.1 ", ":::",         "010.0.0.1",    "1::2::3", "10.0.0.0/8", "::1/128"};
    struct address address;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (address_parse(cases[i], strlen(cases[i]), &address))
            fail_msg("\"%s\" was taken for an address", cases[i]);
}

static void a_port_is_left_out(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"192.0.2.1:54321", "192.0.2.1"}, {"[2001:db8::1]:80", "2001:db8::1"}, {"[2001:db8::1]", "2001:db8::1"},
        {"2001:db8::1", "2001:db8::1"},   {"192.0.2.1", "192.0.2.1"},
    };
    static const char *const none[] = {"192.0.2.1:", "192.0.2.1:x", "[::1]:",  "[::1",    "[::1]80",
                                       "::1]:80",    "[192.0.2.1]", "[::1]:x", "host:80", "192.0.2.1:123456"};
    struct address address;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[ADDRESS_TEXT_MAX];
        assert_true(address_parse_with_port(cases[i][0], strlen(cases[i][0]), &address));
        address_format(&address, text);
        assert_string_equal(text, cases[i][1]);
    }
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        if (address_parse_with_port(none[i], strlen(none[i]), &address))
            fail_msg("\"%s\" was taken for an address", none[i]);
}

static bool has(const char *network_text, const char *address_text)
{
    struct network network;
    struct address address;
    assert_true(network_parse(network_text, &network));
    assert_true(address_parse(address_text, strlen(address_text), &address));
    return network_has(&network, &address);
}

static void a_network_has_its_addresses_and_no_others(void **state)
{
    (void)state;
    assert_true(has("10.0.0.0/8", "10.255.0.1"));
    assert_true(has("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert_false(has("10.0.0.0/8", "11.0.0.1"));
    assert_false(has("10.0.0.0/8", "a00::1"));
    assert_true(has("192.0.2.128/25", "192.0.2.129"));
    assert_false(has("192.0.2.128/25", "192.0.2.127"));
    assert_true(has("0.0.0.0/0", "203.0.113.9"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("::/0", "2001:db8::1"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(has("2001:DB8:0::1", "2001:db8::1"));
    assert_false(has("2001:db8::1", "2001:db8::2"));
}

static void a_network_that_cannot_be_meant_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",           "proxy.example", "10.0.0.1/8",   "10.0.0.0/33", "10.0.0.0/",
                                        "10.0.0.0/x", "::1/64",        "::/129",       "10.0.0.0/-1", "10.0.0.0/8/8",
                                        "10.0.0",     "[::1]",         "192.0.2.1:80", "10.0.0.0/ 8", "fe80::1%eth0"};
    struct network network;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (network_parse(cases[i], &network))
            fail_msg("\"%s\" was taken for a network", cases[i]);
}

static void host_bits_are_told_with_what_was_meant(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"10.0.0.1/8", "10.0.0.0/8"}, {"192.0.2.255/31", "192.0.2.254/31"}, {"1.2.3.4/0", "0.0.0.0/0"},
        {"::1/64", "::/64"},          {"2001:db8::1/33", "2001:db8::/33"},  {"::ffff:192.0.2.1/120", "192.0.2.0/24"}};
    struct network network;
    char text[NETWORK_TEXT_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(network_read(cases[i][0], &network), NETWORK_HAS_HOST_BITS);
        network_format(&network, text);
        assert_string_equal(text, cases[i][1]);
    }
    assert_int_equal(network_read("10.0.0.0/33", &network), NETWORK_IS_NONE);
    assert_int_equal(network_read("10.0.0.0/8", &network), NETWORK_IS_ONE);
}

static void a_64_counts_as_one_client(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
        {"2001:db8:1:2::", "2001:db8:1:2::"},
        {"2001:db8:1:3::1", "2001:db8:1:3::"},
        {"192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"unix", "unix"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char group[ADDRESS_TEXT_MAX];
        address_group(cases[i][0], group);
        assert_string_equal(group, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_one_spelling),
        cmocka_unit_test(what_is_no_address_is_none),
        cmocka_unit_test(a_port_is_left_out),
        cmocka_unit_test(a_network_has_its_addresses_and_no_others),
        cmocka_unit_test(a_network_that_cannot_be_meant_is_refused),
        cmocka_unit_test(host_bits_are_told_with_what_was_meant),
        cmocka_unit_test(a_64_counts_as_one_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
