/* SPDX-License-Identifier: Apache-2.0 */
/* gatehoused's command line. */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

enum { EXIT_USAGE = 2, SETTINGS_MAX = 64 };

struct arguments {
    const char *config_file;
    const char *settings[SETTINGS_MAX + 1];
    size_t setting_count;
    bool is_print;
    bool is_check;
    bool is_init;
    bool is_migrate;
    bool is_health;
    bool may_dump;
    const char *name;
    const char *secret_file;
};

/* Ends the process where it makes no sense (EXIT_USAGE), and for --help and --version. */
void arguments_parse(int argc, char **argv, struct arguments *ret_arguments);

#endif
