/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens and secret keys as text, and tokens' keys. */
#include "fixture.h"

static void a_token_reads_as_what_was_written(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        char text[TOKEN_TEXT_LEN + 1];
        struct token_key key, again;
        int64_t now = START + i * INT64_C(12345678901);
        assert_true(token_text_new(now, text));
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
    assert_true(token_text_new(START, text));
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
    assert_true(token_text_new(START, text));
    memcpy(text + TOKEN_TEXT_LEN, "0", 2);
    assert_false(token_text_parse(text, &key));
    for (int len = 0; len < TOKEN_TEXT_LEN; len++) {
        text[len] = '\0';
        assert_false(token_text_parse(text, &key));
        assert_true(token_text_new(START, text));
    }
    secret_text_new(secret);
    assert_false(token_text_parse(secret, &key));
    assert_int_equal(strlen(secret), 57);
    assert_memory_equal(secret, "gate_sk_", 8);
}

static void two_exchanged_characters_are_refused(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_LEN + 1];
    struct token_key key;
    assert_true(token_text_new(START, text));
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
        assert_true(token_text_new(START, texts[i]));
    qsort(texts, COUNT, sizeof texts[0], (int (*)(const void *, const void *))strcmp);
    for (int i = 1; i < COUNT; i++)
        assert_string_not_equal(texts[i - 1], texts[i]);
}

static void an_accessor_reads_as_the_key_that_was_written(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_LEN + 1], accessor[TOKEN_ACCESSOR_LEN + 2];
    struct token_key key, again;
    assert_true(token_text_new(START, text));
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
    assert_true(token_text_new(START, text));
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
    assert_true(token_text_new(0, text) && token_text_parse(text, &key));
    assert_int_equal(token_key_issued(&key), 0);
    assert_true(token_text_new(last, text) && token_text_parse(text, &key));
    assert_int_equal(token_key_issued(&key), UINT32_MAX * CLOCK_SECOND);
    for (int i = 0; i < 4; i++)
        assert_false(token_text_new((int64_t[]){last + 1, -1, INT64_MAX, INT64_MIN}[i], text));
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
