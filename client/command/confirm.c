/* SPDX-License-Identifier: Apache-2.0 */
#include "confirm.h"

#include <gatehouse/v1/credential_admin.pb-c.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "curl.h"
#include "object.h"
#include "report.h"
#include "text.h"
#include "usage.h"

enum { ANSWER_MAX = 512 };

static const struct view recent_view = {
    .columns =
        COLUMNS({"CALLS", "allowed", usage_column_uses, COLUMN_RIGHT}, {"LAST USE", "lastUseTime", column_time, 0},
                {"API", "api", NULL, 0}, {"CREDENTIAL", "credentialName", NULL, COLUMN_IF_ANY}),
};

static const struct view impact_view = {
    .columns = COLUMNS({"Tokens ended", "tokensEnded", NULL, 0}),
    .value_keys = KEYS("tokensEnded"),
};

static const Gatehouse__V1__Impact *impact_of(const void *response)
{
    static const Gatehouse__V1__Impact none = GATEHOUSE__V1__IMPACT__INIT;
    Gatehouse__V1__Impact **impact = message_member(response, "impact");
    return impact == NULL || *impact == NULL ? &none : *impact;
}

static void print_impact(FILE *out, const struct context *context, const struct change *change,
                         const Gatehouse__V1__Impact *impact)
{
    TEXT_FREE char *name = text_printable(change->name == NULL ? "" : change->name);
    TEXT_FREE char *id = text_printable(change->id == NULL ? "" : change->id);
    fprintf(out, "%s%s%s%s%s%s%s ends %" PRId64 " live token%s", change->doing, name[0] == '\0' ? "" : " \"", name,
            name[0] == '\0' ? "" : "\"", id[0] == '\0' ? "" : " (", id, id[0] == '\0' ? "" : ")", impact->tokens_ended,
            impact->tokens_ended == 1 ? "" : "s");
    if (impact->credentials_affected > 1)
        fprintf(out, " of %" PRId64 " credentials", impact->credentials_affected);
    fputs(".\n", out);
    if (impact->n_recent_usage == 0)
        return;
    json_t *rows = text_must(json_array());
    for (size_t i = 0; i < impact->n_recent_usage; i++)
        json_array_append_new(rows, object_from(context, impact->recent_usage[i]));
    TEXT_FREE char *table = table_text(rows, &recent_view, context->now);
    fprintf(out, "Called in the last 30 days:\n%s", table);
    json_decref(rows);
}

/* Reads a line; false at the end of input, and for one that is longer than any name. */
static bool read_answer(char answer[static ANSWER_MAX])
{
    if (fgets(answer, ANSWER_MAX, stdin) == NULL)
        return false;
    size_t len = strcspn(answer, "\r\n");
    bool is_whole = answer[len] != '\0';
    answer[len] = '\0';
    return is_whole;
}

static bool ask(struct context *context, const struct change *change)
{
    char answer[ANSWER_MAX];
    const char *word = change->name == NULL ? change->id : change->name;
    if (!isatty(STDIN_FILENO)) {
        report_usage(context, "this is to be confirmed, and nobody is at the terminal; add --yes if it is meant");
        return false;
    }
    if (change->name == NULL)
        fprintf(stderr, "Type \"%s\" to continue: ", word);
    else
        fprintf(stderr, "Type the name%s to continue: ", change->id == NULL ? "" : ", or the client ID,");
    fflush(stderr);
    if (read_answer(answer) && (strcmp(answer, word) == 0 || (change->id != NULL && strcmp(answer, change->id) == 0)))
        return true;
    fputs("That is something else. Nothing was changed.\n", stderr);
    context->exit_code = EXIT_REFUSED;
    return false;
}

bool confirm_word(struct context *context, const char *word)
{
    return ask(context, &(struct change){.id = word});
}

bool change_is_unasked(const struct context *context)
{
    return option_value(&context->arguments, OPTION_YES) != NULL ||
           option_value(&context->arguments, OPTION_DRY_RUN) != NULL;
}

void change_ask_everywhere(const struct context *context, void *request)
{
    protobuf_c_boolean *everywhere = message_member(request, "everywhere");
    *everywhere = option_value(&context->arguments, OPTION_EVERYWHERE) != NULL;
}

void change_tell_everywhere(const void *response)
{
    Google__Protobuf__Duration **after = message_member(response, "everywhere_after");
    if (after == NULL || *after == NULL)
        return;
    int64_t milliseconds = (*after)->seconds * 1000 + (*after)->nanos / 1000000;
    fprintf(stderr, "In force everywhere after %" PRId64 " ms: no server and no cache calls active what has ended.\n",
            milliseconds);
}

void change_print(const struct context *context, const void *response, const char *subject, const struct view *view)
{
    change_tell_everywhere(response);
    output_message(context, response, subject, view);
}

static void print_dry_run(const struct context *context, const struct change *change, const void *response)
{
    if (context->format != OUTPUT_TABLE) {
        output_message(context, response, "impact", &impact_view);
        return;
    }
    print_impact(stdout, context, change, impact_of(response));
    puts("Nothing was changed.");
}

/* Asks the server what would end and, if it must be, the person. */
static enum exit_code confirm(struct context *context, const struct change *change)
{
    MESSAGE_FREE void *response = admin_invoke(context, change->method, change->request);
    if (response == NULL)
        return context->exit_code;
    if (option_value(&context->arguments, OPTION_DRY_RUN) != NULL) {
        print_dry_run(context, change, response);
        return EXIT_DONE;
    }
    const Gatehouse__V1__Impact *impact = impact_of(response);
    if (impact->tokens_ended == 0 && !change->is_final)
        return EXIT_DONE;
    print_impact(stderr, context, change, impact);
    if (!ask(context, change))
        return context->exit_code;
    /* What was shown is what is done, or nothing is. */
    char **etag = message_member(change->request, "etag");
    if (etag != NULL && *etag[0] == '\0' && change->etag != NULL)
        *etag = (char *)(uintptr_t)change->etag;
    return EXIT_DONE;
}

enum exit_code change_confirm(struct context *context, const struct change *change, bool *ret_is_agreed)
{
    protobuf_c_boolean *validate_only = message_member(change->request, "validate_only");
    change_ask_everywhere(context, change->request);
    bool is_dry_run = option_value(&context->arguments, OPTION_DRY_RUN) != NULL;
    enum exit_code code = EXIT_DONE;
    if (curl_is_wanted(context)) {
        *validate_only = is_dry_run;
        *ret_is_agreed = true;
        return EXIT_DONE;
    }
    if (is_dry_run || option_value(&context->arguments, OPTION_YES) == NULL) {
        *validate_only = true;
        code = confirm(context, change);
        *validate_only = false;
    }
    if (code == EXIT_DONE && !is_dry_run)
        *ret_is_agreed = true;
    return code;
}

enum exit_code change_run(struct context *context, const struct change *change)
{
    bool is_agreed = false;
    enum exit_code code = change_confirm(context, change, &is_agreed);
    if (!is_agreed)
        return code;
    MESSAGE_FREE void *response = admin_invoke(context, change->method, change->request);
    if (response == NULL)
        return context->exit_code;
    change_print(context, response, change->subject == NULL ? "impact" : change->subject,
                 change->view == NULL ? &impact_view : change->view);
    return EXIT_DONE;
}
