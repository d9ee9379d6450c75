/* SPDX-License-Identifier: Apache-2.0 */
/* secret regenerate, rotate and end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "confirm.h"
#include "connection.h"
#include "credential.h"
#include "report.h"
#include "secret.h"
#include "text.h"
#include "time_format.h"

enum { HINT_LEN = 4 };

static const struct view regenerated_view = {
    .columns = COLUMNS({"Client ID", "clientId", NULL, 0}, {"Name", "name", NULL, 0},
                       {"Secret key", "secretKey", NULL, 0}, {"Tokens ended", "tokensEnded", NULL, 0}),
    .value_keys = KEYS("secretKey"),
};

static enum exit_code regenerate(struct context *context, const Gatehouse__V1__RegenerateSecretRequest *request)
{
    const char *path = option_value(&context->arguments, OPTION_WRITE_SECRET);
    FILE *file = path == NULL ? NULL : secret_file_create(context, path);
    if (path != NULL && file == NULL)
        return EXIT_USAGE;
    MESSAGE_FREE Gatehouse__V1__RegenerateSecretResponse *response = admin_invoke(context, "RegenerateSecret", request);
    if (response == NULL) {
        secret_file_discard(file, path);
        return context->exit_code;
    }
    enum exit_code code = credential_print_secret(context, file, response, &regenerated_view);
    change_tell_everywhere(response);
    return code;
}

enum exit_code run_secret_regenerate(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    const char *overlap_given = option_value(arguments, OPTION_OVERLAP);
    const char *overlap_text = overlap_given == NULL ? "24h" : overlap_given; /* as the console's */
    TARGET_DONE struct target target = {0};
    Google__Protobuf__Duration overlap = GOOGLE__PROTOBUF__DURATION__INIT;
    Gatehouse__V1__RegenerateSecretRequest request = GATEHOUSE__V1__REGENERATE_SECRET_REQUEST__INIT;
    if (!duration_parse(overlap_text, &overlap.seconds))
        return report_usage(context, "--overlap: \"%s\" is not a duration such as 24h", overlap_text);
    if (!target_find(context, arguments->rest[0], !change_is_unasked(context), &target))
        return context->exit_code;
    request.client_id = target.client_id;
    request.overlap = overlap.seconds == 0 ? NULL : &overlap;
    message_set_string(&request.etag, option_value(arguments, OPTION_ETAG));
    message_set_string(&request.request_id, option_value(arguments, OPTION_REQUEST_ID));
    bool is_asked = overlap.seconds == 0 || option_value(arguments, OPTION_DRY_RUN) != NULL;
    if (is_asked) {
        struct change change = {.method = "RegenerateSecret",
                                .request = &request,
                                .doing = "Replacing the secret key of credential",
                                .name = target.name,
                                .id = target.client_id,
                                .etag = target.etag,
                                .is_final = true};
        bool is_agreed = false;
        enum exit_code code = change_confirm(context, &change, &is_agreed);
        if (!is_agreed)
            return code;
    }
    return regenerate(context, &request);
}

static const struct view rotated_view = {
    .columns = COLUMNS({"Client ID", "clientId", NULL, 0}, {"Name", "name", NULL, 0},
                       {"Expires", "expireTime", column_expiry, 0}),
    .value_keys = KEYS("clientId"),
};

static enum exit_code rotate(struct context *context, const Gatehouse__V1__RegenerateSecretRequest *request,
                             const char *path)
{
    TEXT_FREE char *temporary = NULL;
    FILE *file = secret_file_begin(context, path, &temporary);
    if (file == NULL)
        return EXIT_USAGE;
    MESSAGE_FREE Gatehouse__V1__RegenerateSecretResponse *response = admin_invoke(context, "RegenerateSecret", request);
    if (response == NULL) {
        secret_file_discard(file, temporary);
        return context->exit_code;
    }
    enum exit_code code = secret_file_replace(context, file, temporary, path, response->secret_key);
    explicit_bzero(response->secret_key, strlen(response->secret_key)); /* it is not printed */
    if (code == EXIT_DONE)
        output_message(context, response, "credential", &rotated_view);
    return code;
}

enum exit_code run_secret_rotate(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    const char *overlap_text = option_value(arguments, OPTION_OVERLAP);
    const char *path = option_value(arguments, OPTION_REPLACE_SECRET);
    Google__Protobuf__Duration overlap = GOOGLE__PROTOBUF__DURATION__INIT;
    Gatehouse__V1__RegenerateSecretRequest request = GATEHOUSE__V1__REGENERATE_SECRET_REQUEST__INIT;
    if (!duration_parse(overlap_text == NULL ? "24h" : overlap_text, &overlap.seconds))
        return report_usage(context, "--overlap: \"%s\" is not a duration such as 24h", overlap_text);
    if (path == NULL)
        path = context->config.client_secret_file.value;
    if (context->config.client_id.value == NULL || path == NULL || strcmp(path, "-") == 0)
        return report_usage(context, "whose key, and in which file? Give --client-id and --client-secret-file");
    request.client_id = context->config.client_id.value;
    request.overlap = &overlap;
    return rotate(context, &request, path);
}

/* The number of the live key of which `word` is the number or the last four characters: four digits may be both, of two
 * keys. 0: reported. */
static int64_t find_secret(struct context *context, const char *client_id, const char *word, int64_t number)
{
    Gatehouse__V1__GetCredentialRequest request = GATEHOUSE__V1__GET_CREDENTIAL_REQUEST__INIT;
    request.client_id = (char *)(uintptr_t)client_id;
    context->is_looking = true;
    MESSAGE_FREE Gatehouse__V1__GetCredentialResponse *response = admin_invoke(context, "GetCredential", &request);
    context->is_looking = false;
    if (response == NULL)
        return 0;
    int64_t found = 0;
    size_t count = 0;
    for (size_t i = 0; i < response->credential->n_secrets; i++) {
        const Gatehouse__V1__SecretInfo *secret = response->credential->secrets[i];
        if (strcmp(secret->hint, word) != 0 && secret->secret_id != number)
            continue;
        found = secret->secret_id;
        count++;
    }
    if (count == 1)
        return found;
    if (count == 0 && number != 0)
        return number; /* the server says that there is none */
    TEXT_FREE char *shown = text_printable(word);
    report_usage(context, "%s live secret key has the ID or ends in \"%s\"; `gatehouse credential get` shows them",
                 count == 0 ? "no" : "more than one", shown);
    return 0;
}

static bool take_secret(struct context *context, const char *client_id, const char *word, int64_t *ret_id)
{
    char *end;
    errno = 0;
    int64_t number = strtoll(word, &end, 10);
    if (end == word || *end != '\0' || errno != 0 || number < 0)
        number = 0;
    bool is_clear = number != 0 && strlen(word) != HINT_LEN;
    *ret_id = is_clear ? number : find_secret(context, client_id, word, number);
    return *ret_id != 0;
}

enum exit_code run_secret_end(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__EndSecretRequest request = GATEHOUSE__V1__END_SECRET_REQUEST__INIT;
    if (!target_find(context, arguments->rest[0], false, &target) ||
        !take_secret(context, target.client_id, arguments->rest[1], &request.secret_id))
        return context->exit_code;
    request.client_id = target.client_id;
    MESSAGE_FREE void *response = admin_invoke(context, "EndSecret", &request);
    if (response == NULL)
        return context->exit_code;
    change_print(context, response, "credential", &credential_view);
    return EXIT_DONE;
}
