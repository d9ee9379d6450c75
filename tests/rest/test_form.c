/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/base64.h"
#include "rest/basic.h"
#include "rest/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct form form;

/* In memory of exactly its size and one more, so that a sanitizer sees what reads beyond. */
static bool parse(const char *text, size_t len)
{
    static char *memory;
    const char *why = NULL;
    test_free(memory);
    memory = test_malloc(len + 1);
    memcpy(memory, text, len);
    bool is_parsed = form_parse(&form, memory, len, &why);
    assert_true(is_parsed == (why == NULL));
    if (!is_parsed)
        form.count = 0;
    if (len == 0) { /* the last one: nothing points into it any more */
        test_free(memory);
        memory = NULL;
    }
    return is_parsed;
}

static bool parse_text(const char *text)
{
    return parse(text, strlen(text));
}

static void pairs_are_decoded_in_their_order(void **state)
{
    (void)state;
    assert_true(parse_text("a=1&b=x+y%20z&c=%C3%A9%26%3D"));
    assert_int_equal(form.count, 3);
    assert_string_equal(form_get(&form, "a"), "1");
    assert_string_equal(form_get(&form, "b"), "x y z");
    assert_string_equal(form_get(&form, "c"), "\303\251&=");
    assert_true(parse_text("%61%62=1"));
    assert_string_equal(form_get(&form, "ab"), "1");
    parse("", 0);
}

static void an_absent_and_an_empty_parameter_are_alike(void **state)
{
    (void)state;
    assert_true(parse_text("a=&b&c=1&=x&&"));
    assert_null(form_get(&form, "a"));
    assert_null(form_get(&form, "b"));
    assert_null(form_get(&form, "d"));
    assert_string_equal(form_get(&form, "c"), "1");
    assert_string_equal(form_get(&form, ""), "x");
    assert_true(parse_text("a=b=c"));
    assert_string_equal(form_get(&form, "a"), "b=c");
    assert_true(parse("", 0));
    assert_int_equal(form.count, 0);
}

static void a_repeated_parameter_is_found(void **state)
{
    (void)state;
    assert_true(parse_text("a=1&b=2&%61=3"));
    assert_string_equal(form_find_repeated(&form, (const char *const[]){"b", "a", NULL}), "a");
    assert_null(form_find_repeated(&form, (const char *const[]){"b", "c", NULL}));
    assert_true(parse_text("a=1&A=2&b=1"));
    assert_null(form_find_repeated(&form, (const char *const[]){"a", "A", "b", NULL}));
    parse("", 0);
}

static void what_is_broken_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {"a=%",         "a=%1",     "a=%1g",       "%=a",         "a=%-1",
                                         "a=%00",       "a=%0a",    "a=%7f",       "a=%80",       "a=%c3",
                                         "a=%c3%28",    "a=%c0%af", "a=%e0%80%80", "a=%ed%a0%80", "a=%f4%90%80%80",
                                         "a=%f5%80%80", "a=%c2%85", "a=b\tc",      "a=\377",      "\n=a"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        if (parse_text(broken[i]))
            fail_msg("%s was parsed", broken[i]);
    assert_false(parse("a=b\0c", 5));
    parse("", 0);
}

static void more_pairs_than_the_maximum_are_refused(void **state)
{
    (void)state;
    char text[4 * (FORM_MAX_FIELDS + 1)] = "";
    for (int i = 0; i < FORM_MAX_FIELDS; i++)
        memcpy(text + 4 * i, "a=b&", 4);
    assert_true(parse(text, 4 * FORM_MAX_FIELDS));
    memcpy(text + 4 * FORM_MAX_FIELDS, "a=b&", 4);
    assert_false(parse(text, sizeof text));
    parse("", 0);
}

static const char *basic_why;

static bool decode_basic(struct basic *basic, const char *plain, size_t len)
{
    char encoded[BASE64_LEN(64) + 1];
    assert_true(len <= 64);
    base64_encode((const unsigned char *)plain, len, encoded);
    return basic_parse(basic, encoded, &basic_why);
}

static void basic_is_base64_of_two_encoded_parts(void **state)
{
    (void)state;
    struct basic basic;
    assert_true(decode_basic(&basic, "id:secret", 9));
    assert_string_equal(basic.client_id, "id");
    assert_string_equal(basic.client_secret, "secret");
    assert_true(decode_basic(&basic, "a%3Ab:x+y:%25", 13)); /* only the first colon divides */
    assert_string_equal(basic.client_id, "a:b");
    assert_string_equal(basic.client_secret, "x y:%");
    assert_true(decode_basic(&basic, ":", 1));
    assert_string_equal(basic.client_id, "");
    assert_false(decode_basic(&basic, "no colon", 8));
    assert_false(decode_basic(&basic, "a:\0b", 4));
    assert_false(decode_basic(&basic, "a:%0", 4));
    assert_false(decode_basic(&basic, "a:\377", 3));
    assert_false(basic_parse(&basic, "", &basic_why));
    assert_false(basic_parse(&basic, "YTpi YTpi", &basic_why));
    assert_string_equal(basic_why, "the Basic credentials cannot be read");
}

static void what_is_wrong_with_a_basic_part_is_said(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"id:secret\n", "client_secret has a control character"}, {"id:%FF", "client_secret is not UTF-8"},
        {"i\rd:secret", "client_id has a control character"},     {"i\377d:secret", "client_id is not UTF-8"},
        {"id:se%cret", "client_secret is not percent-encoded"},
    };
    struct basic basic;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(decode_basic(&basic, cases[i][0], strlen(cases[i][0])));
        assert_string_equal(basic_why, cases[i][1]);
    }
}

static void a_value_that_is_no_text_can_be_done_without(void **state)
{
    (void)state;
    char text[] = "token=a%0A&other=%ff&nul=x%00y&good=1";
    const char *why = NULL;
    assert_true(form_parse_any(&form, text, strlen(text), &why));
    assert_string_equal(form_find(&form, "token")->fault, "has a control character");
    assert_string_equal(form_find(&form, "other")->fault, "is not UTF-8");
    assert_string_equal(form_find(&form, "nul")->fault, "has a control character");
    assert_null(form_get(&form, "nul"));
    assert_null(form_find(&form, "good")->fault);
    assert_string_equal(form_get(&form, "good"), "1");
    assert_null(form_find(&form, "absent"));
    char broken[] = "a=%zz";
    assert_false(form_parse_any(&form, broken, strlen(broken), &why));
}

static void the_scheme_is_compared_without_letter_case(void **state)
{
    (void)state;
    const char *rest = NULL;
    assert_true(basic_scheme_is("bEaReR  x", "Bearer", &rest));
    assert_string_equal(rest, "x");
    assert_false(basic_scheme_is("Bearerx", "Bearer", &rest));
    assert_false(basic_scheme_is("Bearer", "Bearer", &rest));
    assert_false(basic_scheme_is(NULL, "Bearer", &rest));
}

static void base64_gives_back_what_it_took(void **state)
{
    (void)state;
    unsigned char data[64], out[64];
    char text[BASE64_LEN(64) + 1];
    size_t len;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 37);
    for (size_t i = 0; i <= sizeof data; i++) {
        base64_encode(data, i, text);
        assert_true(base64_decode(text, strlen(text), out, sizeof out, &len));
        assert_int_equal(len, i);
        assert_memory_equal(out, data, i);
        assert_true(i == 0 || !base64_decode(text, strlen(text), out, i - 1, &len));
    }
}

static void what_is_no_base64_is_refused(void **state)
{
    (void)state;
    unsigned char out[64];
    size_t len;
    static const char *const broken[] = {"A", "A===", "AA=", "AB==", "AAB=", "AA==A", "=", "====", "A A=", "AA==="};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        if (base64_decode(broken[i], strlen(broken[i]), out, sizeof out, &len))
            fail_msg("%s was decoded", broken[i]);
    assert_true(base64_decode("_-8", 3, out, sizeof out, &len)); /* the URL alphabet, without padding */
    assert_int_equal(len, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_decoded_in_their_order),
        cmocka_unit_test(an_absent_and_an_empty_parameter_are_alike),
        cmocka_unit_test(a_repeated_parameter_is_found),
        cmocka_unit_test(what_is_broken_is_refused),
        cmocka_unit_test(more_pairs_than_the_maximum_are_refused),
        cmocka_unit_test(basic_is_base64_of_two_encoded_parts),
        cmocka_unit_test(what_is_wrong_with_a_basic_part_is_said),
        cmocka_unit_test(a_value_that_is_no_text_can_be_done_without),
        cmocka_unit_test(the_scheme_is_compared_without_letter_case),
        cmocka_unit_test(base64_gives_back_what_it_took),
        cmocka_unit_test(what_is_no_base64_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
