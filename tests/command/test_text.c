/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "text.h"

static void expect(const char *text, const char *printable)
{
    TEXT_FREE char *copy = text_printable(text);
    assert_string_equal(copy, printable);
}

static void text_of_any_language_stays_as_it_is(void **)
{
    expect("", "");
    expect("Acme \"ERP\" \\ 100 %", "Acme \"ERP\" \\ 100 %");
    expect("Müller & Søn – 東京 – 👩‍💻", "Müller & Søn – 東京 – 👩‍💻");
}

static void no_control_character_reaches_the_terminal(void **)
{
    expect("a\033[31mred\033[0m", "a\\u001b[31mred\\u001b[0m");
    expect("bell\a tab\t line\n return\r", "bell\\u0007 tab\\u0009 line\\u000a return\\u000d");
    expect("\x7f", "\\u007f");
    expect("\xc2\x9b"
           "31m",
           "\\u009b31m"); /* CSI as one character of C1 */
    for (unsigned char c = 1; c < 0x20; c++) {
        char text[] = {(char)c, '\0'};
        TEXT_FREE char *copy = text_printable(text);
        assert_int_equal(strlen(copy), 6);
    }
}

static void what_reorders_or_hides_text_is_shown(void **)
{
    expect("\u202ecba", "\\u202ecba");
    expect("\u2066x\u2069", "\\u2066x\\u2069");
    expect("a\u200bb\ufeff", "a\\u200bb\\ufeff");
    expect("\u2028", "\\u2028");
    expect("\U000e0041", "\\udb40\\udc41");
}

static void what_is_no_utf_8_is_a_question_mark(void **)
{
    expect("a\x80z", "a?z");
    expect("\xc3", "?");                /* cut off */
    expect("\xc0\xaf", "??");           /* longer than need be */
    expect("\xe0\x80\x9b", "???");      /* an escape hidden in a long form */
    expect("\xed\xa0\x80", "???");      /* a surrogate */
    expect("\xf4\x90\x80\x80", "????"); /* beyond Unicode */
    expect("\xff\xfe", "??");
}

static void a_width_is_counted_in_columns_and_cut_between_characters(void **)
{
    size_t fitting;
    setlocale(LC_CTYPE, "C.UTF-8");
    assert_int_equal(text_width("Müller", 100, &fitting), 6);
    assert_int_equal(fitting, 7);
    assert_int_equal(text_width("Müller", 2, &fitting), 6);
    assert_int_equal(fitting, 3);
    assert_int_equal(text_width("東京", 3, &fitting), 4);
    assert_int_equal(fitting, 3);
    assert_int_equal(text_width("", 0, &fitting), 0);
    assert_int_equal(text_width("a\xff\xc3", 9, &fitting), 3);
    assert_int_equal(fitting, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_any_language_stays_as_it_is),
        cmocka_unit_test(no_control_character_reaches_the_terminal),
        cmocka_unit_test(what_reorders_or_hides_text_is_shown),
        cmocka_unit_test(what_is_no_utf_8_is_a_question_mark),
        cmocka_unit_test(a_width_is_counted_in_columns_and_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
