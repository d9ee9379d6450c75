/* SPDX-License-Identifier: Apache-2.0 */
#include "arguments.h"

#include <argp.h>
#include <string.h>

enum { OPTION_PRINT = 1000, OPTION_NAME, OPTION_SECRET_FILE, OPTION_CHECK, OPTION_HEALTH, OPTION_KEEP_CORES };

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "Read settings from FILE", 0},
    {"set", 's', "KEY=VALUE", 0, "Set one; repeatable. GATEHOUSED_<KEY> in the environment does the same", 0},
    {"print-config", OPTION_PRINT, NULL, 0, "Print every setting, with its meaning, and exit", 0},
    {"check-config", OPTION_CHECK, NULL, 0, "Say what is wrong with the settings, and exit", 0},
    {"health", OPTION_HEALTH, NULL, 0, "Ask the daemon that runs with these settings whether it is ready, and exit", 0},
    {"keep-cores", OPTION_KEEP_CORES, NULL, 0, "For its developers: may leave a core file, and debuggers may attach",
     0},
    {NULL, 0, NULL, 0, "For init:", 1},
    {"name", OPTION_NAME, "NAME", 0, "Name of the first administrator's credential (default: administrator)", 1},
    {"secret-file", OPTION_SECRET_FILE, "FILE", 0, "Write its secret key to FILE (mode 0600) instead of printing it",
     1},
    {0},
};

static error_t add_setting(struct arguments *arguments, const char *setting, struct argp_state *state)
{
    if (arguments->setting_count == SETTINGS_MAX)
        argp_error(state, "too many --set");
    arguments->settings[arguments->setting_count++] = setting;
    return 0;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'c':
        arguments->config_file = value;
        return 0;
    case 's':
        return add_setting(arguments, value, state);
    case OPTION_PRINT:
        arguments->is_print = true;
        return 0;
    case OPTION_CHECK:
        arguments->is_check = true;
        return 0;
    case OPTION_HEALTH:
        arguments->is_health = true;
        return 0;
    case OPTION_KEEP_CORES:
        arguments->may_dump = true;
        return 0;
    case OPTION_NAME:
        arguments->name = value;
        return 0;
    case OPTION_SECRET_FILE:
        arguments->secret_file = value;
        return 0;
    case ARGP_KEY_ARG:
        arguments->is_init = strcmp(value, "init") == 0;
        arguments->is_migrate = strcmp(value, "migrate") == 0;
        if (state->arg_num > 0 || (!arguments->is_init && !arguments->is_migrate))
            argp_error(state, "there is no command %s", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void arguments_parse(int argc, char **argv, struct arguments *ret_arguments)
{
    static const struct argp argp = {
        options,
        parse_option,
        "[init|migrate]",
        "The Gatehouse daemon: application credentials to bearer tokens, over gRPC and HTTP."
        "\v`gatehoused init` makes the database and a first administrator; `gatehoused migrate` brings the database's "
        "schema "
        "up to date, as a start does, and ends.",
        NULL,
        NULL,
        NULL};
    *ret_arguments = (struct arguments){.is_init = false};
    argp_program_version = "gatehoused " GATEHOUSE_VERSION;
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, ret_arguments);
}
