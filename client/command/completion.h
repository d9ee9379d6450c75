/* SPDX-License-Identifier: Apache-2.0 */
/* What the completion scripts of several shells are made of. */
#ifndef COMPLETION_H
#define COMPLETION_H

#include "options.h"

/* What the scripts look up for it: "credential", "role", "user", "file"; "": nothing. */
const char *completion_kind(enum completion completion);

/* The same for the first word of a command's arguments, such as "CREDENTIAL ROLE...". */
const char *completion_argument(const char *arguments);

/* "active|expired|any" and "credential|api..." as words with blanks between. malloc'd. */
char *completion_words(const char *alternatives);

/* Prints the script for fish. */
void completion_print_fish(void);

#endif
