/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "command.h"
#include "help.h"
#include "options.h"

static void a_command_is_found_by_its_words(void **)
{
    int used = 0;
    char *two[] = {"credential", "create", "Acme"};
    const struct command *command = command_find(two, 3, &used);
    assert_non_null(command);
    assert_string_equal(command->name, "credential create");
    assert_int_equal(used, 2);
    char *one[] = {"usage", "create"};
    command = command_find(one, 2, &used);
    assert_string_equal(command->name, "usage");
    assert_int_equal(used, 1);
}

static void what_is_no_command_is_not_found(void **)
{
    int used;
    char *part[] = {"cred", "create"}, *longer[] = {"credentials", "create"}, *alone[] = {"credential"},
         *wrong[] = {"credential", "createx"}, *whole[] = {"credential create"};
    assert_null(command_find(part, 2, &used));
    assert_null(command_find(longer, 2, &used));
    assert_null(command_find(alone, 1, &used));
    assert_null(command_find(wrong, 2, &used));
    assert_null(command_find(whole, 1, &used));
    assert_null(command_find(NULL, 0, &used));
}

static void no_command_has_two_options_of_one_name_or_letter(void **)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        for (const enum option_id *a = command->options; *a != OPTION_END; a++) {
            for (const enum option_id *b = a + 1; *b != OPTION_END; b++) {
                assert_string_not_equal(option_row(*a)->name, option_row(*b)->name);
                assert_true(option_row(*a)->letter == 0 || option_row(*a)->letter != option_row(*b)->letter);
            }
        }
    }
}

static void words_are_split_at_commas(void **)
{
    struct arguments arguments = {0};
    words_add(&arguments.words, "work_creator,team_leader");
    words_add(&arguments.words, " user_manager , ");
    words_add(&arguments.words, "");
    assert_int_equal(arguments.words.count, 3);
    assert_string_equal(arguments.words.items[0], "work_creator");
    assert_string_equal(arguments.words.items[1], "team_leader");
    assert_string_equal(arguments.words.items[2], "user_manager");
    arguments_done(&arguments);
}

static void there_may_be_any_number_of_words(void **)
{
    enum { MANY = 1000 };
    struct arguments arguments = {0};
    for (int i = 0; i < MANY; i++)
        words_add(&arguments.words, "x, y");
    assert_int_equal(arguments.words.count, 2 * MANY);
    assert_string_equal(arguments.words.items[2 * MANY - 1], "y");
    arguments_done(&arguments);
}

static void a_secret_among_arguments_is_recognised(void **)
{
    assert_true(is_secret_argument("gate_at_0123456789012345678901234567890123456789012345678901234"));
    assert_true(is_secret_argument("--token=gate_at_0123456789abcdefABCDEF"));
    assert_true(is_secret_argument("Bearer gate_sk_0123456789abcdefABCDEF"));
    assert_false(is_secret_argument("gate_at_"));
    assert_false(is_secret_argument("gate_at_file.txt"));
    assert_false(is_secret_argument("my gate"));
    assert_false(is_secret_argument(""));
}

static void options_and_arguments_are_read_in_any_order(void **)
{
    int used;
    char *words[] = {"create", "-r", "a,b", "Acme", "--expires=90d", "--role", "c", "-o", "json", NULL};
    char *name[] = {"credential", "create"};
    struct arguments arguments = {0};
    const struct command *command = command_find(name, 2, &used);
    options_parse_command(command, 9, words, &arguments);
    assert_int_equal(arguments.rest_count, 1);
    assert_string_equal(arguments.rest[0], "Acme");
    assert_string_equal(option_value(&arguments, OPTION_EXPIRES), "90d");
    assert_string_equal(option_value(&arguments, OPTION_OUTPUT), "json");
    assert_null(option_value(&arguments, OPTION_OWNER));
    assert_int_equal(arguments.words.count, 3);
    arguments_done(&arguments);
}

static void what_follows_two_dashes_is_no_option(void **)
{
    int used;
    char *words[] = {"create", "--role", "a", "--", "--yes", NULL};
    char *name[] = {"credential", "create"};
    struct arguments arguments = {0};
    options_parse_command(command_find(name, 2, &used), 5, words, &arguments);
    assert_int_equal(arguments.rest_count, 1);
    assert_string_equal(arguments.rest[0], "--yes");
    arguments_done(&arguments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_found_by_its_words),
        cmocka_unit_test(what_is_no_command_is_not_found),
        cmocka_unit_test(no_command_has_two_options_of_one_name_or_letter),
        cmocka_unit_test(words_are_split_at_commas),
        cmocka_unit_test(there_may_be_any_number_of_words),
        cmocka_unit_test(a_secret_among_arguments_is_recognised),
        cmocka_unit_test(options_and_arguments_are_read_in_any_order),
        cmocka_unit_test(what_follows_two_dashes_is_no_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
