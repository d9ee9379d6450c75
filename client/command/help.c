/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include <string.h>

#include "command.h"
#include "text.h"

static const char exit_codes[] =
    "Exit status: 0 done; 1 the server said no, or it was not confirmed; 2 the command line,\n"
    "environment or configuration makes no sense; 3 the server cannot be reached or is\n"
    "unavailable; 4 token introspect: inactive, or not allowed.";

size_t command_group_len(const struct command *command)
{
    return strcspn(command->name, " ");
}

const struct command *command_find(char *const *words, int count, int *ret_used)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        size_t len = command_group_len(command);
        if (count < 1 || strlen(words[0]) != len || memcmp(words[0], command->name, len) != 0)
            continue;
        if (command->name[len] == '\0') {
            *ret_used = 1;
            return command;
        }
        if (count >= 2 && strcmp(words[1], command->name + len + 1) == 0) {
            *ret_used = 2;
            return command;
        }
    }
    return NULL;
}

static void print_row(FILE *out, const struct command *command)
{
    fprintf(out, "  %-20s  %s\n", command->name, command->summary);
}

void help_print_all(FILE *out)
{
    fputs("Usage: gatehouse [OPTION...] COMMAND [OPTION...] [ARGUMENT...]\n"
          "Administers a Gatehouse server: application credentials, their roles, tokens and use.\n\n",
          out);
    size_t before_len = 0;
    const char *before = "";
    for (const struct command *command = commands; command->name != NULL; command++) {
        size_t len = command_group_len(command);
        if (before_len != 0 && (len != before_len || memcmp(before, command->name, len) != 0) &&
            (command->name[len] != '\0' || before[before_len] != '\0'))
            fputc('\n', out);
        print_row(out, command);
        before = command->name;
        before_len = len;
    }
    fputs("\nOptions of all commands; `gatehouse COMMAND --help` shows the others:\n", out);
    for (int id = OPTION_ADDRESS; id <= OPTION_HELP; id++) {
        const struct option_row *row = option_row((enum option_id)id);
        if (row->doc == NULL)
            continue;
        TEXT_FREE char *name =
            text_format("%s--%s%s%s", row->letter == 0 ? "" : (char[]){'-', row->letter, ',', ' ', '\0'}, row->name,
                        row->argument == NULL ? "" : "=", row->argument == NULL ? "" : row->argument);
        fprintf(out, "  %-30s  %s\n", name, row->doc);
    }
    fprintf(out,
            "\nEnvironment: GATEHOUSE_ADDRESS (or GATEHOUSE_GRPC), GATEHOUSE_CLIENT_ID, GATEHOUSE_CLIENT_SECRET_FILE,\n"
            "GATEHOUSE_CLIENT_SECRET, GATEHOUSE_TOKEN_FILE, GATEHOUSE_TOKEN and others: see gatehouse(1).\n\n%s\n",
            exit_codes);
}

bool help_is_group(const char *word)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        size_t len = command_group_len(command);
        if (strlen(word) == len && memcmp(word, command->name, len) == 0)
            return true;
    }
    return false;
}

bool help_print_group(FILE *out, const char *word)
{
    bool is_found = false;
    for (const struct command *command = commands; command->name != NULL; command++) {
        size_t len = command_group_len(command);
        if (strlen(word) != len || memcmp(word, command->name, len) != 0)
            continue;
        if (!is_found)
            fprintf(out, "Usage: gatehouse %s COMMAND [OPTION...] [ARGUMENT...]\n\n", word);
        is_found = true;
        print_row(out, command);
    }
    return is_found;
}

char *help_doc(const struct command *command)
{
    char *doc = text_format("%s.\v%s", command->summary, exit_codes);
    for (char *c = doc; *c != '\0'; c++) {
        if (*c == '\n')
            *c = ' '; /* argp breaks the lines itself */
    }
    return doc;
}
