/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <argp.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "help.h"
#include "suggest.h"
#include "text.h"

#define SECRET_REFUSED \
    "a secret on the command line can be read by everyone on this machine; put it in a file for --%s-file, or on " \
    "standard input (--%s-file -)"

static const struct option_row rows[] = {
#define OPTION_ROW(id, name, letter, argument, completion, doc) {OPTION_##id, name, letter, argument, completion, doc},
    OPTION_TABLE(OPTION_ROW)
#undef OPTION_ROW
};

enum { ROWS = sizeof rows / sizeof rows[0], GROUP_OWN = 1, GROUP_COMMON = 2 };

const struct option_row *option_row(enum option_id id)
{
    return &rows[id - OPTION_BEFORE_FIRST - 1];
}

bool option_is_common(enum option_id id)
{
    return id <= OPTION_HELP;
}

bool option_is_repeated(const struct option_row *row)
{
    size_t len = row->argument == NULL ? 0 : strlen(row->argument);
    return len > 3 && strcmp(row->argument + len - 3, "...") == 0;
}

const char *option_value(const struct arguments *arguments, enum option_id id)
{
    return arguments->values[id - OPTION_BEFORE_FIRST];
}

static void words_push(struct words *words, char *word)
{
    words->items = text_must(reallocarray(words->items, words->count + 1, sizeof *words->items));
    words->items[words->count++] = word;
}

void words_add(struct words *words, const char *text)
{
    while (*text != '\0') {
        text += strspn(text, ", \t");
        size_t len = strcspn(text, ", \t");
        if (len == 0)
            break;
        words_push(words, text_must(strndup(text, len)));
        text += len;
    }
}

bool is_secret_argument(const char *text)
{
    static const char *const prefixes[] = {"gate_at_", "gate_sk_"};
    enum { FEW = 16 }; /* also one that was cut off is not to be shown around */
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        const char *found = strstr(text, prefixes[i]);
        size_t len = 0;
        while (found != NULL && isalnum((unsigned char)found[strlen(prefixes[i]) + len]))
            len++;
        if (len >= FEW)
            return true;
    }
    return false;
}

static void free_words(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->items[i]);
    free(words->items);
    *words = (struct words){0};
}

void arguments_done(struct arguments *arguments)
{
    free_words(&arguments->words);
    free_words(&arguments->labels);
}

/* argp's own array of them, in malloc'd memory: a command's own options first, then those of all. */
static struct argp_option *argp_options(const enum option_id *own)
{
    struct argp_option *all = text_must(calloc(ROWS + 3, sizeof all[0]));
    size_t count = 0;
    for (; own != NULL && *own != OPTION_END; own++) {
        const struct option_row *row = option_row(*own);
        all[count++] = (struct argp_option){
            row->name, row->letter == 0 ? (int)row->id : row->letter, row->argument, 0, row->doc, GROUP_OWN};
    }
    size_t own_count = count;
    all[count++] = (struct argp_option){NULL, 0, NULL, 0, "Server, caller and output:", GROUP_COMMON};
    for (int id = OPTION_ADDRESS; id <= OPTION_HELP; id++) {
        const struct option_row *row = option_row((enum option_id)id);
        bool is_replaced = false;
        for (size_t i = 0; i < own_count; i++)
            is_replaced = is_replaced || strcmp(all[i].name, row->name) == 0;
        if (!is_replaced)
            all[count++] = (struct argp_option){row->name,     row->letter == 0 ? (int)row->id : row->letter,
                                                row->argument, row->doc == NULL ? OPTION_HIDDEN : 0,
                                                row->doc,      GROUP_COMMON};
    }
    return all;
}

struct parse {
    const struct command *command; /* NULL: what comes before it */
    struct arguments *arguments;
    int first_word;
};

static bool has_key(const struct option_row *row, int key)
{
    return (int)row->id == key || (row->letter != 0 && row->letter == key);
}

static const struct option_row *find_row(const struct command *command, int key)
{
    const enum option_id *own = command == NULL ? NULL : command->options;
    for (; own != NULL && *own != OPTION_END; own++) {
        if (has_key(option_row(*own), key))
            return option_row(*own);
    }
    for (int id = OPTION_ADDRESS; id <= OPTION_HELP; id++) {
        if (has_key(option_row((enum option_id)id), key))
            return option_row((enum option_id)id);
    }
    return NULL;
}

static bool is_label(enum option_id id)
{
    return id == OPTION_LABEL || id == OPTION_REMOVE_LABEL || id == OPTION_MATCH_LABEL;
}

static void take_label(const struct option_row *row, const char *value, struct parse *parse, struct argp_state *state)
{
    bool has_value = strchr(value, '=') != NULL, has_key = value[0] != '=' && value[0] != '\0';
    bool is_good = has_key && (row->id == OPTION_MATCH_LABEL || has_value == (row->id == OPTION_LABEL));
    TEXT_FREE char *shown = text_printable(value);
    if (!is_good)
        argp_error(state, "--%s: \"%s\" is not of the form %s", row->name, shown, row->argument);
    words_push(&parse->arguments->labels, text_copy(value));
}

static error_t take_option(const struct option_row *row, const char *value, struct parse *parse,
                           struct argp_state *state)
{
    if (row->id == OPTION_VERSION) {
        puts("gatehouse " GATEHOUSE_VERSION);
        exit(EXIT_DONE);
    }
    if (row->id == OPTION_HELP || row->id == OPTION_USAGE) {
        if (parse->command == NULL)
            help_print_all(stdout);
        else if (row->id == OPTION_USAGE)
            argp_state_help(state, stdout, ARGP_HELP_USAGE);
        else
            argp_state_help(state, stdout, ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC);
        exit(EXIT_DONE);
    }
    if (row->doc == NULL)
        argp_error(state, SECRET_REFUSED, row->name, row->name);
    if (option_is_repeated(row))
        words_add(&parse->arguments->words, value);
    if (is_label(row->id))
        take_label(row, value, parse, state);
    parse->arguments->values[row->id - OPTION_BEFORE_FIRST] = value == NULL ? "" : value;
    return 0;
}

static error_t parse_one(int key, char *value, struct argp_state *state)
{
    struct parse *parse = state->input;
    const struct option_row *row = find_row(parse->command, key);
    if (row != NULL)
        return take_option(row, value, parse, state);
    if (key == ARGP_KEY_ARG && parse->command == NULL) {
        parse->first_word = state->next - 1;
        state->next = state->argc; /* the rest is the command's */
        return 0;
    }
    if (key == ARGP_KEY_ARGS) {
        parse->arguments->rest = state->argv + state->next;
        parse->arguments->rest_count = state->argc - state->next;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static bool is_short_with_value(const struct argp_option *options, char letter)
{
    for (; options->name != NULL || options->doc != NULL; options++)
        if (options->name != NULL && options->key == letter)
            return options->arg != NULL;
    return false;
}

static const struct argp_option *find_long(const struct argp_option *options, const char *name, size_t len)
{
    for (; options->name != NULL || options->doc != NULL; options++) /* an abbreviation is one, too */
        if (options->name != NULL && strncmp(options->name, name, len) == 0)
            return options;
    return NULL;
}

static void report_name(const char *program, const struct argp_option *options, const char *name, size_t len)
{
    struct suggestion best = {0};
    TEXT_FREE char *word = text_must(strndup(name, len));
    for (const struct argp_option *option = options; option->name != NULL || option->doc != NULL; option++)
        if (option->name != NULL && (option->flags & OPTION_HIDDEN) == 0)
            suggest(&best, word, option->name);
    TEXT_FREE char *shown = text_printable(word);
    fprintf(stderr, "%s: there is no option --%s%s%s%s\n", program, shown, best.word == NULL ? "" : "; did you mean --",
            best.word == NULL ? "" : best.word, best.word == NULL ? "" : "?");
    fprintf(stderr, "`%s --help` shows them all.\n", program);
}

/* getopt says that it does not know an option, and not which one may be meant. */
static void check_names(const char *program, const struct argp_option *options, int argc, char **argv, bool is_first)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *name = argv[i] + 2;
        size_t len = strcspn(argv[i], "=") - 2;
        if (strncmp(argv[i], "--", 2) != 0) {
            if (is_first && argv[i][0] != '-')
                return; /* what comes from here on is the command's */
            i += argv[i][0] == '-' && argv[i][1] != '\0' && argv[i][2] == '\0' &&
                 is_short_with_value(options, argv[i][1]);
            continue;
        }
        const struct argp_option *found = find_long(options, name, len);
        if (found != NULL) {
            i += found->arg != NULL && name[len] == '\0'; /* its value is the next word */
            continue;
        }
        report_name(program, options, name, len);
        exit(EXIT_USAGE);
    }
}

int options_parse_common(int argc, char **argv, struct arguments *arguments)
{
    struct argp_option *options = argp_options(NULL);
    const struct argp argp = {.options = options, .parser = parse_one};
    struct parse parse = {.arguments = arguments, .first_word = argc};
    check_names("gatehouse", options, argc, argv, true);
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER | ARGP_NO_HELP, NULL, &parse);
    free(options);
    return parse.first_word;
}

static void check_count(const struct command *command, const struct arguments *arguments)
{
    int count = arguments->rest_count;
    if (count >= command->least && (command->most < 0 || count <= command->most))
        return;
    for (const enum option_id *own = command->options; own != NULL && *own != OPTION_END; own++) {
        if (*own == OPTION_ASKED_TOKEN_FILE) {
            fprintf(stderr, "gatehouse %s: " SECRET_REFUSED "\n", command->name, "token", "token");
            exit(EXIT_USAGE);
        }
    }
    fprintf(stderr, "gatehouse %s: %s\nUsage: gatehouse %s [OPTION...]%s%s\n", command->name,
            count < command->least ? "something is missing" : "too many arguments", command->name,
            command->arguments[0] == '\0' ? "" : " ", command->arguments);
    exit(EXIT_USAGE);
}

void options_parse_command(const struct command *command, int argc, char **argv, struct arguments *arguments)
{
    struct argp_option *options = argp_options(command->options);
    TEXT_FREE char *doc = help_doc(command);
    TEXT_FREE char *name = text_format("gatehouse %s", command->name);
    const struct argp argp = {.options = options, .parser = parse_one, .args_doc = command->arguments, .doc = doc};
    struct parse parse = {.command = command, .arguments = arguments};
    char *program = argv[0];
    check_names(name, options, argc, argv, false);
    argv[0] = name; /* what argp calls the program in its messages */
    argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &parse);
    argv[0] = program;
    free(options);
    check_count(command, arguments);
}
