/* SPDX-License-Identifier: Apache-2.0 */
/* The `gatehouse` command: reads the command line, finds the subcommand in the table, runs it. */
#include <argp.h>
#include <jansson.h>
#include <langinfo.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/crypto.h"
#include "command.h"
#include "connection.h"
#include "curl.h"
#include "help.h"
#include "output.h"
#include "report.h"
#include "suggest.h"
#include "text.h"
#include "watch.h"

/* JSON holds secret keys and tokens for a moment. */
static void wipe_and_free(void *memory)
{
    if (memory != NULL)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

static void prepare_process(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* a core dump would hold the secrets */
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "ANSI_X3.4-1968") == 0) /* no locale at all; the server speaks UTF-8 */
        setlocale(LC_CTYPE, "C.UTF-8");
    json_set_alloc_funcs(malloc, wipe_and_free);
    argp_err_exit_status = EXIT_USAGE;
    crypto_outlive_exit();
}

static void refuse_secrets(int argc, char *const *argv)
{
    for (int i = 1; i < argc; i++) {
        if (!is_secret_argument(argv[i]))
            continue;
        fputs("gatehouse: a token or secret key must not stand on the command line, where everyone on this machine can "
              "read it.\n"
              "Put it in a file (--token-file, --client-secret-file), or give it on standard input (-).\n"
              "This one may be known to others now: revoke it, or regenerate it.\n",
              stderr);
        exit(EXIT_USAGE);
    }
}

/* Of a known group the nearest of its commands, else the nearest command, else the nearest group. malloc'd; "": none.
 */
static char *meant(const char *first, const char *second)
{
    struct suggestion of_group = {0}, of_all = {0};
    TEXT_FREE char *typed = text_format("%s%s%s", first, second[0] == '\0' ? "" : " ", second);
    char *group = text_copy("");
    for (const struct command *command = commands; command->name != NULL; command++) {
        size_t len = command_group_len(command);
        TEXT_FREE char *word = text_must(strndup(command->name, len));
        struct suggestion near = {0};
        if (strcmp(word, first) == 0)
            suggest(&of_group, second, command->name + len + 1);
        suggest(&of_all, typed, command->name);
        suggest(&near, first, word);
        if (near.word != NULL && near.distance > 0) {
            free(group);
            group = text_copy(word);
        }
    }
    if (of_group.word == NULL && (of_all.word == NULL || help_is_group(first)))
        return group;
    free(group);
    return of_group.word != NULL ? text_format("%s %s", first, of_group.word) : text_copy(of_all.word);
}

static void report_unknown(int count, char **words)
{
    const char *second_word = count > 1 && words[1][0] != '-' ? words[1] : "";
    TEXT_FREE char *first = text_printable(words[0]);
    TEXT_FREE char *second = text_printable(second_word);
    TEXT_FREE char *command = meant(words[0], second_word);
    if (!help_print_group(stderr, words[0]))
        fprintf(stderr, "gatehouse: no command \"%s\"; `gatehouse --help` shows them all\n", first);
    else if (second[0] == '\0')
        fprintf(stderr, "\ngatehouse %s: which command?\n", first);
    else
        fprintf(stderr, "\ngatehouse %s: no command \"%s\"\n", first, second);
    if (command[0] != '\0' && strcmp(command, words[0]) != 0)
        fprintf(stderr, "Did you mean `gatehouse %s`?\n", command);
}

static const struct command *find_command(int count, char **words, int *ret_used)
{
    bool is_help = count > 0 && strcmp(words[0], "help") == 0;
    if (is_help)
        words++, count--;
    if (count == 0) {
        if (is_help)
            help_print_all(stdout);
        else
            fputs("gatehouse: which command? `gatehouse --help` shows them all\n", stderr);
        exit(is_help ? EXIT_DONE : EXIT_USAGE);
    }
    const struct command *command = command_find(words, count, ret_used);
    if (command != NULL && is_help) {
        char help[] = "--help";
        struct arguments none = {0};
        options_parse_command(command, 2, (char *[]){help, help, NULL}, &none); /* prints it and ends */
    }
    if (command != NULL)
        return command;
    bool is_asked = is_help || (count > 1 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0));
    if (is_asked && help_print_group(stdout, words[0]))
        exit(EXIT_DONE);
    report_unknown(count, words);
    exit(EXIT_USAGE);
}

static bool take_format(struct context *context)
{
    static const struct {
        const char *name;
        enum output_format format;
    } formats[] = {{"table", OUTPUT_TABLE}, {"wide", OUTPUT_TABLE}, {"json", OUTPUT_JSON},
                   {"yaml", OUTPUT_JSON},   {"csv", OUTPUT_CSV},    {"value", OUTPUT_VALUE}};
    const char *name = context->config.output.value == NULL ? "table" : context->config.output.value;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(name, formats[i].name) != 0)
            continue;
        context->format = formats[i].format;
        context->is_wide = strcmp(name, "wide") == 0;
        context->is_yaml = strcmp(name, "yaml") == 0;
        return true;
    }
    report_usage(context, "no output format \"%s\"; there are table, wide, json, yaml, csv and value", name);
    return false;
}

static enum exit_code run_command(struct context *context)
{
    if (curl_is_wanted(context) && !curl_is_possible(context->command))
        return report_usage(context, "this is not a call that curl could make");
    return option_value(&context->arguments, OPTION_WATCH) == NULL ? context->command->run(context)
                                                                   : watch_run(context);
}

int main(int argc, char **argv)
{
    struct context context = {.now = (int64_t)time(NULL)};
    int used = 0;
    prepare_process();
    refuse_secrets(argc, argv);
    char name[] = "gatehouse";
    if (argc > 0)
        argv[0] = name; /* in messages, wherever it is installed */
    int first = options_parse_common(argc, argv, &context.arguments);
    context.command = find_command(argc - first, argv + first, &used);
    /* The last word of the command's name stands where argp expects the program's. */
    options_parse_command(context.command, argc - first - used + 1, argv + first + used - 1, &context.arguments);

    enum exit_code code = EXIT_USAGE;
    if (config_gather(&context.config, &context.arguments, strncmp(context.command->name, "context ", 8) == 0) &&
        take_format(&context))
        code = run_command(&context);
    connection_close(&context);
    config_done(&context.config);
    arguments_done(&context.arguments);
    if (!output_flush() && code == EXIT_DONE)
        code = EXIT_REFUSED;
    return (int)code;
}
