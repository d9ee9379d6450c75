/* SPDX-License-Identifier: Apache-2.0 */
/* Help, from the table of commands. */
#ifndef HELP_H
#define HELP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct command;

/* Every command, with one line each. */
void help_print_all(FILE *out);

/* Is it the first word of some command? */
bool help_is_group(const char *word);

/* The commands whose first word this is. False: there is none. */
bool help_print_group(FILE *out, const char *word);

/* What argp prints around a command's options. malloc'd. */
char *help_doc(const struct command *command);

/* The command that these words name, and how many of them do. NULL: none. */
const struct command *command_find(char *const *words, int count, int *ret_used);

/* How long the first word of a command's name is. */
size_t command_group_len(const struct command *command);

#endif
