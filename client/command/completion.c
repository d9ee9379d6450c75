/* SPDX-License-Identifier: Apache-2.0 */
/* Completion scripts for bash and zsh, from the tables of commands and options. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "completion.h"
#include "help.h"
#include "report.h"
#include "settings.h"
#include "text.h"

/* What the scripts of both shells share. Names are looked up with the user's own access; a failure completes nothing.
 */
static const char helpers[] =
    "_gatehouse_values() {\n"
    "    case $1 in\n"
    "    credential) gatehouse --timeout=2s -o value credential list --limit=200 2>/dev/null </dev/null ;;\n"
    "    role) gatehouse --timeout=2s -o value role list 2>/dev/null </dev/null ;;\n"
    "    user) gatehouse --timeout=2s -o value user list --limit=200 2>/dev/null </dev/null ;;\n"
    "    context) gatehouse -o value context list 2>/dev/null </dev/null ;;\n"
    "    esac\n"
    "}\n";

const char *completion_kind(enum completion completion)
{
    switch (completion) {
    case COMPLETE_CREDENTIAL:
        return "credential";
    case COMPLETE_ROLE:
        return "role";
    case COMPLETE_USER:
        return "user";
    case COMPLETE_CONTEXT:
        return "context";
    case COMPLETE_FILE:
        return "file";
    case COMPLETE_WORDS:
    case COMPLETE_NOTHING:
        return "";
    }
    return "";
}

char *completion_words(const char *alternatives)
{
    char *words = text_must(strndup(alternatives, strcspn(alternatives, ".")));
    for (char *c = words; *c != '\0'; c++) {
        if (*c == '|')
            *c = ' ';
    }
    return words;
}

const char *completion_argument(const char *arguments)
{
    if (strncmp(arguments, "CREDENTIAL", strlen("CREDENTIAL")) == 0)
        return "credential";
    if (strncmp(arguments, "ROLE", strlen("ROLE")) == 0)
        return "role";
    if (strncmp(arguments, "CONTEXT", strlen("CONTEXT")) == 0 || strcmp(arguments, "[CONTEXT]") == 0)
        return "context";
    if (strncmp(arguments, "USER", strlen("USER")) == 0)
        return "user";
    if (strncmp(arguments, "FILE", strlen("FILE")) == 0)
        return "file";
    return "";
}

static void print_settings(const char *end)
{
    TEXT_FREE char *names = settings_names(" ", end);
    printf("offers='%s'; nospace=1", names);
}

/* What completes the argument at a place: of "CREDENTIAL ROLE..." the first, and all that follow. */
static void print_argument_cases(const struct command *command)
{
    const char *rest = strchr(command->arguments, ' ');
    rest = rest == NULL ? "" : rest + 1 + (rest[1] == '[');
    if (strcmp(command->name, "completion") == 0)
        fputs("offers='bash zsh fish'", stdout);
    else if (strncmp(command->name, "settings", strlen("settings")) == 0)
        print_settings(command->most == 1 ? "" : "=");
    else
        printf("first=%s; rest=%s",
               completion_argument(command->arguments)[0] == '\0' ? "''" : completion_argument(command->arguments),
               completion_argument(rest)[0] == '\0' ? "''" : completion_argument(rest));
    fputs(" ;;\n", stdout);
}

static void print_option_names(const enum option_id *own)
{
    for (; own != NULL && *own != OPTION_END; own++)
        printf(" --%s%s", option_row(*own)->name, option_row(*own)->argument == NULL ? "" : "=");
}

static void print_common_names(void)
{
    for (int id = OPTION_ADDRESS; id <= OPTION_HELP; id++) {
        const struct option_row *row = option_row((enum option_id)id);
        if (row->doc != NULL)
            printf(" --%s%s", row->name, row->argument == NULL ? "" : "=");
    }
}

static void print_words_by_group(void)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        size_t len = command_group_len(command);
        bool is_first = command == commands || command_group_len(command - 1) != len ||
                        memcmp(command[-1].name, command->name, len) != 0;
        if (command->name[len] == '\0')
            continue;
        if (is_first)
            printf("    '%.*s ') offers='", (int)len, command->name);
        printf("%s%s", is_first ? "" : " ", command->name + len + 1);
        const struct command *next = command + 1;
        if (next->name == NULL || command_group_len(next) != len || memcmp(next->name, command->name, len) != 0)
            fputs("' ;;\n", stdout);
    }
}

static void print_groups(void)
{
    fputs("    ' ') offers='help", stdout);
    for (const struct command *command = commands; command->name != NULL; command++) {
        size_t len = command_group_len(command);
        if (command == commands || command_group_len(command - 1) != len ||
            memcmp(command[-1].name, command->name, len) != 0)
            printf(" %.*s", (int)len, command->name);
    }
    fputs("' ;;\n", stdout);
}

/* What completes the value of an option; of one name in different commands, once for all. */
static void print_value_cases(void)
{
    for (int id = OPTION_ADDRESS; id < OPTION_END; id++) {
        const struct option_row *row = option_row((enum option_id)id);
        bool is_seen = row->argument == NULL || row->doc == NULL;
        for (int before = OPTION_ADDRESS; before < id; before++)
            is_seen = is_seen || strcmp(option_row((enum option_id)before)->name, row->name) == 0;
        if (is_seen)
            continue;
        printf("    --%s%s%s) ", row->name, row->letter == 0 ? "" : "|-",
               row->letter == 0 ? "" : (char[]){row->letter, '\0'});
        TEXT_FREE char *words = completion_words(row->argument);
        if (row->completion == COMPLETE_WORDS)
            printf("offers='%s' ;;\n", words);
        else
            printf("kind=%s ;;\n",
                   completion_kind(row->completion)[0] == '\0' ? "none" : completion_kind(row->completion));
    }
}

/* Sets words, kind, first, rest from the words before the cursor: the part that is the same in both shells. */
static void print_rules(void)
{
    fputs(helpers, stdout);
    fputs("# $1: group, $2: command. Sets offers, first, rest, options.\n"
          "_gatehouse_command() {\n    case \"$1 $2\" in\n",
          stdout);
    print_groups();
    print_words_by_group();
    for (const struct command *command = commands; command->name != NULL; command++) {
        bool is_single = command->name[command_group_len(command)] == '\0';
        printf("    '%s%s') options='", command->name, is_single ? " " : "");
        print_option_names(command->options);
        fputs("'; ", stdout);
        print_argument_cases(command);
    }
    fputs("    esac\n    options+='", stdout);
    print_common_names();
    fputs("'\n}\n# $1: an option. Sets offers or kind.\n_gatehouse_option() {\n    case $1 in\n", stdout);
    print_value_cases();
    fputs("    esac\n}\n", stdout);
}

static const char bash_end[] =
    "_gatehouse() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local offers='' kind='' first='' rest='' options='' nospace='' group='' name='' count=0 i word\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ $word == -* || $word == '=' || ${COMP_WORDS[i-1]} == '=' ]]; then continue; fi\n"
    "        if [[ ${COMP_WORDS[i-1]} == -* ]]; then\n"
    "            offers='' kind=''; _gatehouse_option \"${COMP_WORDS[i-1]}\"\n"
    "            if [[ -n $offers || -n $kind ]]; then offers='' kind=''; continue; fi\n"
    "        fi\n"
    "        if [[ -z $group ]]; then group=$word\n"
    "        elif [[ -z $name && -n $(offers=''; _gatehouse_command \"$group\" ''; printf %s \"$offers\") ]]; then "
    "name=$word\n"
    "        else ((count++)); fi\n"
    "    done\n"
    "    if [[ $cur == '=' ]]; then cur=''; elif [[ $prev == '=' ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
    "    if [[ $prev == -* ]]; then\n"
    "        _gatehouse_option \"$prev\"\n"
    "        if [[ $kind == file ]]; then compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); return; fi\n"
    "        if [[ -n $kind ]]; then offers=$(_gatehouse_values \"$kind\"); fi\n"
    "        if [[ -n $kind$offers ]]; then COMPREPLY=($(compgen -W \"$offers\" -- \"$cur\")); return; fi\n"
    "    fi\n"
    "    _gatehouse_command \"$group\" \"$name\"\n"
    "    if [[ $cur == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
    "        if [[ ${COMPREPLY[0]-} == *= ]]; then compopt -o nospace; fi\n"
    "        return\n"
    "    fi\n"
    "    if [[ -z $offers ]]; then\n"
    "        if ((count > 0)); then first=$rest; fi\n"
    "        if [[ $first == file ]]; then compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); return; fi\n"
    "        if [[ -n $first ]]; then offers=$(_gatehouse_values \"$first\"); fi\n"
    "    fi\n"
    "    if [[ -n $nospace ]]; then compopt -o nospace; fi\n"
    "    COMPREPLY=($(compgen -W \"$offers\" -- \"$cur\"))\n"
    "}\n"
    "complete -F _gatehouse gatehouse\n";

static const char zsh_end[] =
    "_gatehouse() {\n"
    "    local cur=${words[CURRENT]} prev=${words[CURRENT-1]} line=(\"${words[@]}\")\n"
    "    local kind='' first='' rest='' options='' nospace='' group='' name='' offers='' count=0 i word\n"
    "    for ((i = 2; i < CURRENT; i++)); do\n"
    "        word=${line[i]}\n"
    "        if [[ $word == -* ]]; then continue; fi\n"
    "        if [[ ${line[i-1]} == -* && ${line[i-1]} != *=* ]]; then\n"
    "            offers='' kind=''; _gatehouse_option \"${line[i-1]}\"\n"
    "            if [[ -n $offers || -n $kind ]]; then offers='' kind=''; continue; fi\n"
    "        fi\n"
    "        if [[ -z $group ]]; then group=$word\n"
    "        elif [[ -z $name && -n $(offers=''; _gatehouse_command \"$group\" ''; print -rn -- \"$offers\") ]]; then "
    "name=$word\n"
    "        else ((count++)); fi\n"
    "    done\n"
    "    if [[ $cur == --*=* ]]; then prev=${cur%%=*}; compset -P '*='; fi\n"
    "    if [[ $prev == -* && $prev != *=* ]]; then\n"
    "        _gatehouse_option \"$prev\"\n"
    "        if [[ $kind == file ]]; then _files; return; fi\n"
    "        if [[ -n $kind ]]; then offers=$(_gatehouse_values \"$kind\"); fi\n"
    "        if [[ -n $kind$offers ]]; then compadd -- ${=offers}; return; fi\n"
    "    fi\n"
    "    _gatehouse_command \"$group\" \"$name\"\n"
    "    if [[ $cur == -* ]]; then compadd -S '' -- ${=options}; return; fi\n"
    "    if [[ -z $offers ]]; then\n"
    "        if ((count > 0)); then first=$rest; fi\n"
    "        if [[ $first == file ]]; then _files; return; fi\n"
    "        if [[ -n $first ]]; then offers=$(_gatehouse_values \"$first\"); fi\n"
    "    fi\n"
    "    if [[ -n $nospace ]]; then compadd -S '' -- ${=offers}; else compadd -- ${=offers}; fi\n"
    "}\n"
    "if [[ $funcstack[1] == _gatehouse ]]; then _gatehouse \"$@\"; else compdef _gatehouse gatehouse; fi\n";

enum exit_code run_completion_print(struct context *context)
{
    const char *shell = context->arguments.rest[0];
    bool is_bash = strcmp(shell, "bash") == 0;
    if (strcmp(shell, "fish") == 0) {
        completion_print_fish();
        return EXIT_DONE;
    }
    if (!is_bash && strcmp(shell, "zsh") != 0)
        return report_usage(context, "no completion for \"%s\"; there are bash, zsh and fish", shell);
    puts(is_bash ? "# gatehouse completion for bash: source <(gatehouse completion bash)"
                 : "#compdef gatehouse\n# gatehouse completion for zsh: put it into a folder of $fpath as _gatehouse");
    print_rules();
    fputs(is_bash ? bash_end : zsh_end, stdout);
    return EXIT_DONE;
}
