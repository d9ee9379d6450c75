/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens and secret keys as text, and tokens' keys. */
#include "fixture.h"

#include "base/utf8.h"
#include "records/pattern.h"

static void a_token_reads_as_what_was_written(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        char text[TOKEN_TEXT_LEN + 1];
        struct token_key key, again;
        int64_t now = START + i * INT64_C(12345678901);
        assert_true(token_text_new(now, crypto_random, text));
        assert_int_equal(strlen(text), 63);
        assert_int_equal(strspn(text + 8, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 55);
        assert_memory_equal(text, "gate_at_", 8);
        assert_true(token_text_parse(text, &key));
        assert_true(token_text_parse(text, &again));
        assert_memory_equal(key.bytes, again.bytes, TOKEN_KEY_BYTES);
        assert_int_equal(token_key_issued(&key), now / CLOCK_SECOND * CLOCK_SECOND);
    }
}

static void each_change_of_one_character_is_refused(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_LEN + 1];
    struct token_key key;
    assert_true(token_text_new(START, crypto_random, text));
    for (int i = 0; i < TOKEN_TEXT_LEN; i++) {
        char right = text[i];
        for (int c = 0; c < 256; c++) {
            text[i] = (char)c;
            assert_true(token_text_parse(text, &key) == (text[i] == right));
        }
        text[i] = right;
    }
}

static void what_is_longer_or_shorter_is_refused(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_LEN + 3], secret[SECRET_TEXT_LEN + 1];
    struct token_key key;
    assert_true(token_text_new(START, crypto_random, text));
    memcpy(text + TOKEN_TEXT_LEN, "0", 2);
    assert_false(token_text_parse(text, &key));
    for (int len = 0; len < TOKEN_TEXT_LEN; len++) {
        text[len] = '\0';
        assert_false(token_text_parse(text, &key));
        assert_true(token_text_new(START, crypto_random, text));
    }
    secret_text_new(crypto_random, secret);
    assert_false(token_text_parse(secret, &key));
    assert_int_equal(strlen(secret), 57);
    assert_memory_equal(secret, "gate_sk_", 8);
}

static void two_exchanged_characters_are_refused(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_LEN + 1];
    struct token_key key;
    assert_true(token_text_new(START, crypto_random, text));
    for (int i = 8; i + 1 < TOKEN_TEXT_LEN; i++) {
        char left = text[i], right = text[i + 1];
        text[i] = right;
        text[i + 1] = left;
        assert_true(token_text_parse(text, &key) == (left == right));
        text[i] = left;
        text[i + 1] = right;
    }
}

static void no_two_tokens_are_alike(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static char texts[COUNT][TOKEN_TEXT_LEN + 1];
    for (int i = 0; i < COUNT; i++)
        assert_true(token_text_new(START, crypto_random, texts[i]));
    qsort(texts, COUNT, sizeof texts[0], (int (*)(const void *, const void *))strcmp);
    for (int i = 1; i < COUNT; i++)
        assert_string_not_equal(texts[i - 1], texts[i]);
}

static void an_accessor_reads_as_the_key_that_was_written(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_LEN + 1], accessor[TOKEN_ACCESSOR_LEN + 2];
    struct token_key key, again;
    assert_true(token_text_new(START, crypto_random, text));
    assert_true(token_text_parse(text, &key));
    token_key_format(&key, accessor);
    assert_int_equal(strlen(accessor), 64);
    assert_null(strstr(text, accessor));
    assert_true(token_key_parse(accessor, &again));
    assert_memory_equal(again.bytes, key.bytes, TOKEN_KEY_BYTES);
    accessor[5] = 'G';
    assert_false(token_key_parse(accessor, &again));
    accessor[5] = 'A'; /* one way of writing it */
    assert_false(token_key_parse(accessor, &again));
    accessor[63] = '\0';
    assert_false(token_key_parse(accessor, &again));
    assert_false(token_key_parse("", &again));
}

static void keys_are_in_order_of_issue(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_LEN + 1];
    struct token_key key;
    assert_true(token_text_new(START, crypto_random, text));
    assert_true(token_text_parse(text, &key));
    struct token_key at = token_key_at(START), after = token_key_at(START + 1),
                     next = token_key_at(START + CLOCK_SECOND);
    assert_true(memcmp(at.bytes, key.bytes, TOKEN_KEY_BYTES) <= 0);
    assert_true(memcmp(key.bytes, after.bytes, TOKEN_KEY_BYTES) < 0);
    assert_memory_equal(after.bytes, next.bytes, TOKEN_KEY_BYTES);
    struct token_key least = token_key_at(-1), most = token_key_at(INT64_C(1) << 60);
    assert_int_equal(token_key_issued(&least), 0);
    assert_int_equal(token_key_issued(&most), UINT32_MAX * CLOCK_SECOND);
}

static void a_time_that_a_key_has_no_room_for_makes_no_token(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_LEN + 1];
    struct token_key key;
    int64_t last = UINT32_MAX * CLOCK_SECOND + CLOCK_SECOND - 1;
    assert_true(token_text_new(0, crypto_random, text) && token_text_parse(text, &key));
    assert_int_equal(token_key_issued(&key), 0);
    assert_true(token_text_new(last, crypto_random, text) && token_text_parse(text, &key));
    assert_int_equal(token_key_issued(&key), UINT32_MAX * CLOCK_SECOND);
    for (int i = 0; i < 4; i++)
        assert_false(token_text_new((int64_t[]){last + 1, -1, INT64_MAX, INT64_MIN}[i], crypto_random, text));
}

static void a_text_is_cut_between_characters(void **state)
{
    (void)state;
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"; /* of 1, 2, 3, 4 and 1 bytes */
    static const size_t fitting[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t most = 0; most < sizeof fitting / sizeof fitting[0]; most++) {
        char copy[16], cut[16];
        assert_int_equal(utf8_fitting(text, most), fitting[most]);
        assert_int_equal(utf8_copy(copy, most + 1, text), fitting[most]);
        assert_int_equal(strlen(copy), fitting[most]);
        assert_memory_equal(copy, text, fitting[most]);
        snprintf(cut, most + 1, "%s", text);
        utf8_trim(cut);
        assert_string_equal(cut, copy);
    }
    char whole[] = "\xc3\xa9", broken[] = "\x80\x80\x80\x80\x80";
    utf8_trim(whole);
    assert_int_equal(strlen(whole), 2);
    utf8_trim(broken); /* what is no UTF-8 is not ours to mend, but stays within its bounds */
    assert_in_range(strlen(broken), 0, 5);
    assert_int_equal(utf8_fitting("\x80\x80\x80\x80\x80\x80", 5), 5);
}

static void what_is_wrong_with_a_text_is_said(void **state)
{
    (void)state;
    assert_null(utf8_fault("caf\xc3\xa9", 5));
    assert_string_equal(utf8_fault("a\n", 2), "has a control character");
    assert_string_equal(utf8_fault("a\xc2\x85", 3), "has a control character");
    assert_string_equal(utf8_fault("a\n\xff", 3), "is not UTF-8");
    assert_string_equal(utf8_fault("\xc3", 1), "is not UTF-8");
}

static void letter_case_is_ignored_in_every_script(void **state)
{
    (void)state;
    assert_true(utf8_contains("Caf\xc3\x89", "\xc3\xa9"));
    assert_true(utf8_contains("x\xd0\x9f\xd0\xa0", "\xd0\xbf\xd1\x80"));
    assert_true(utf8_contains("abc", ""));
    assert_true(utf8_contains("", ""));
    assert_true(utf8_contains("aAb", "AB"));
    assert_false(utf8_contains("ab", "abc"));
    assert_false(utf8_contains("", "a"));
    assert_false(utf8_contains("Cafe", "\xc3\xa9"));
}

static void a_blank_is_nothing_that_can_be_seen(void **state)
{
    (void)state;
    assert_true(utf8_is_blank(" \xc2\xa0\xe3\x80\x80\xe2\x80\x8b"));
    assert_true(utf8_is_blank(""));
    assert_false(utf8_is_blank("  .  "));
    assert_true(utf8_has_bidi("a\xe2\x80\xae"));
    assert_false(utf8_has_bidi("\xd7\xa9\xd7\x9c\xe2\x80\x8d"));
}

static void a_pattern_is_cut_between_characters(void **state)
{
    (void)state;
    char text[400] = "", pattern[2 * PATTERN_TEXT_MAX + 3];
    for (size_t i = 0; i < 150; i++)
        memcpy(text + 1 + 2 * i, "\xc3\xa9", 3);
    text[0] = 'x';
    pattern_make(text, pattern);
    assert_true(utf8_is_text(pattern, strlen(pattern)));
    assert_int_equal(strlen(pattern), 2 + 255);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_reads_as_what_was_written),
        cmocka_unit_test(each_change_of_one_character_is_refused),
        cmocka_unit_test(what_is_longer_or_shorter_is_refused),
        cmocka_unit_test(two_exchanged_characters_are_refused),
        cmocka_unit_test(no_two_tokens_are_alike),
        cmocka_unit_test(an_accessor_reads_as_the_key_that_was_written),
        cmocka_unit_test(keys_are_in_order_of_issue),
        cmocka_unit_test(a_time_that_a_key_has_no_room_for_makes_no_token),
        cmocka_unit_test(a_text_is_cut_between_characters),
        cmocka_unit_test(what_is_wrong_with_a_text_is_said),
        cmocka_unit_test(letter_case_is_ignored_in_every_script),
        cmocka_unit_test(a_blank_is_nothing_that_can_be_seen),
        cmocka_unit_test(a_pattern_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
