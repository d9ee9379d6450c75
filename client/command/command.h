/* SPDX-License-Identifier: Apache-2.0 */
/* What every subcommand is and gets. The table of them all is in table.c. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdint.h>

#include "config.h"
#include "options.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,     /* the server, or whoever was asked to confirm, said no */
    EXIT_USAGE = 2,       /* the command line, the environment or the configuration file makes no sense */
    EXIT_UNREACHABLE = 3, /* no answer from the server, or it says that it is unavailable */
    EXIT_INACTIVE = 4     /* token introspect: not active, or a required role is missing */
};

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_CSV, OUTPUT_VALUE };

struct connection;

struct context {
    const struct command *command;
    struct arguments arguments;
    struct config config;
    enum output_format format;
    bool is_wide, is_yaml;         /* of a table: all of it; of JSON: written as YAML */
    int64_t now;                   /* seconds since 1970, read once */
    struct connection *connection; /* NULL until the first call */
    enum exit_code exit_code;      /* of the failure that was reported last */
    bool is_looking;               /* the calls find out what the command line names: made with --curl, too */
    const char *stdin_reader;      /* what standard input is read for; NULL: nothing yet */
};

struct command {
    const char *name; /* "credential create" */
    enum exit_code (*run)(struct context *context);
    const char *arguments; /* as the usage line shows them: "CREDENTIAL ROLE..." */
    const char *summary;
    const enum option_id *options; /* its own, beside those that all have; ends with OPTION_END */
    int least, most;               /* how many arguments; most < 0: any number */
};

/* Ends with a row whose name is NULL. */
extern const struct command commands[];

/* What the subcommands run, by their names in the table. */
enum exit_code run_credential_create(struct context *context);
enum exit_code run_credential_list(struct context *context);
enum exit_code run_credential_get(struct context *context);
enum exit_code run_credential_update(struct context *context);
enum exit_code run_credential_delete(struct context *context);
enum exit_code run_credential_undelete(struct context *context);
enum exit_code run_credential_suspend(struct context *context);
enum exit_code run_credential_resume(struct context *context);
enum exit_code run_credential_grant(struct context *context);
enum exit_code run_credential_revoke(struct context *context);
enum exit_code run_secret_regenerate(struct context *context);
enum exit_code run_secret_rotate(struct context *context);
enum exit_code run_secret_end(struct context *context);
enum exit_code run_role_list(struct context *context);
enum exit_code run_role_create(struct context *context);
enum exit_code run_role_update(struct context *context);
enum exit_code run_role_retire(struct context *context);
enum exit_code run_user_set_roles(struct context *context);
enum exit_code run_user_get(struct context *context);
enum exit_code run_user_list(struct context *context);
enum exit_code run_user_delete(struct context *context);
enum exit_code run_token_issue(struct context *context);
enum exit_code run_token_introspect(struct context *context);
enum exit_code run_token_revoke(struct context *context);
enum exit_code run_token_list(struct context *context);
enum exit_code run_token_end(struct context *context);
enum exit_code run_token_end_all(struct context *context);
enum exit_code run_settings_get(struct context *context);
enum exit_code run_settings_set(struct context *context);
enum exit_code run_usage_query(struct context *context);
enum exit_code run_audit_list(struct context *context);
enum exit_code run_audit_verify(struct context *context);
enum exit_code run_top(struct context *context);
enum exit_code run_admin_backup(struct context *context);
enum exit_code run_admin_check(struct context *context);
enum exit_code run_admin_copy(struct context *context);
enum exit_code run_admin_clock(struct context *context);
enum exit_code run_context_save(struct context *context);
enum exit_code run_context_use(struct context *context);
enum exit_code run_context_list(struct context *context);
enum exit_code run_context_show(struct context *context);
enum exit_code run_context_delete(struct context *context);
enum exit_code run_login(struct context *context);
enum exit_code run_logout(struct context *context);
enum exit_code run_whoami(struct context *context);
enum exit_code run_status(struct context *context);
enum exit_code run_doctor(struct context *context);
enum exit_code run_completion_print(struct context *context);
enum exit_code run_version_print(struct context *context);

#endif
