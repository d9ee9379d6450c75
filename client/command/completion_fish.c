/* SPDX-License-Identifier: Apache-2.0 */
/* The completion script for fish: a line a word, with what it is for. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "completion.h"
#include "help.h"
#include "settings.h"
#include "text.h"

static const char beginning[] =
    "# gatehouse completion for fish: gatehouse completion fish | source\n"
    "function __gatehouse_values\n"
    "    switch $argv[1]\n"
    "        case credential\n"
    "            gatehouse --timeout=2s -o value credential list --limit=200 2>/dev/null </dev/null\n"
    "        case role\n"
    "            gatehouse --timeout=2s -o value role list 2>/dev/null </dev/null\n"
    "        case user\n"
    "            gatehouse --timeout=2s -o value user list --limit=200 2>/dev/null </dev/null\n"
    "        case context\n"
    "            gatehouse -o value context list 2>/dev/null </dev/null\n"
    "    end\n"
    "end\n"
    "# The words so far that are no options, without the command's own name.\n"
    "function __gatehouse_words\n"
    "    string match -v -- '-*' (commandline -opc)[2..]\n"
    "end\n"
    "function __gatehouse_is_first\n"
    "    test (count (__gatehouse_words)) -eq 0\n"
    "end\n"
    "function __gatehouse_is_group\n"
    "    test \"$(__gatehouse_words)\" = \"$argv\"\n"
    "end\n"
    "function __gatehouse_is\n"
    "    set -l words (__gatehouse_words)\n"
    "    test (count $words) -ge (count $argv); or return 1\n"
    "    set -l beginning $words[1..(count $argv)]\n"
    "    test \"$beginning\" = \"$argv\"\n"
    "end\n"
    "complete -c gatehouse -f\n";

/* As fish quotes it. */
static void print_quoted(const char *text)
{
    putchar('\'');
    for (; *text != '\0'; text++)
        printf("%s%c", *text == '\'' || *text == '\\' ? "\\" : "", *text);
    putchar('\'');
}

static void print_option(const char *condition, enum option_id id)
{
    const struct option_row *row = option_row(id);
    if (row->doc == NULL)
        return;
    printf("complete -c gatehouse%s -l %s", condition, row->name);
    if (row->letter != 0)
        printf(" -s %c", row->letter);
    fputs(" -d ", stdout);
    print_quoted(row->doc);
    const char *kind = completion_kind(row->completion);
    TEXT_FREE char *words = completion_words(row->argument == NULL ? "" : row->argument);
    if (row->completion == COMPLETE_WORDS)
        printf(" -x -a '%s'", words);
    else if (strcmp(kind, "file") == 0)
        fputs(" -r -F", stdout);
    else if (kind[0] != '\0')
        printf(" -x -a '(__gatehouse_values %s)'", kind);
    else if (row->argument != NULL)
        fputs(" -x", stdout);
    putchar('\n');
}

static void print_arguments(const struct command *command, const char *condition)
{
    const char *kind = completion_argument(command->arguments);
    if (strcmp(command->name, "completion") == 0)
        printf("complete -c gatehouse%s -a 'bash zsh fish'\n", condition);
    else if (strncmp(command->name, "settings", strlen("settings")) == 0) {
        TEXT_FREE char *names = settings_names(" ", command->most == 1 ? "" : "=");
        printf("complete -c gatehouse%s -a '%s'\n", condition, names);
    } else if (strcmp(kind, "file") == 0)
        printf("complete -c gatehouse%s -F\n", condition);
    else if (kind[0] != '\0')
        printf("complete -c gatehouse%s -a '(__gatehouse_values %s)'\n", condition, kind);
    if (strstr(command->arguments, " ROLE") != NULL || strstr(command->arguments, "[ROLE") != NULL)
        printf("complete -c gatehouse%s -a '(__gatehouse_values role)'\n", condition);
}

static void print_word(const struct command *command)
{
    size_t len = command_group_len(command);
    bool is_single = command->name[len] == '\0';
    bool is_first = command == commands || command_group_len(command - 1) != len ||
                    memcmp(command[-1].name, command->name, len) != 0;
    if (is_first) {
        printf("complete -c gatehouse -n __gatehouse_is_first -a %.*s", (int)len, command->name);
        if (is_single) {
            fputs(" -d ", stdout);
            print_quoted(command->summary);
        }
        putchar('\n');
    }
    if (!is_single) {
        printf("complete -c gatehouse -n '__gatehouse_is_group %.*s' -a %s -d ", (int)len, command->name,
               command->name + len + 1);
        print_quoted(command->summary);
        putchar('\n');
    }
}

void completion_print_fish(void)
{
    fputs(beginning, stdout);
    puts("complete -c gatehouse -n __gatehouse_is_first -a help");
    for (int id = OPTION_ADDRESS; id <= OPTION_HELP; id++)
        print_option("", (enum option_id)id);
    for (const struct command *command = commands; command->name != NULL; command++) {
        TEXT_FREE char *condition = text_format(" -n '__gatehouse_is %s'", command->name);
        print_word(command);
        for (const enum option_id *own = command->options; own != NULL && *own != OPTION_END; own++)
            print_option(condition, *own);
        print_arguments(command, condition);
    }
}
