/* SPDX-License-Identifier: Apache-2.0 */
/* secret regenerate, rotate and end. */
#include <stdlib.h>
#include <string.h>

#include "confirm.h"
#include "connection.h"
#include "credential.h"
#include "report.h"
#include "secret.h"
#include "text.h"
#include "time_format.h"

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

enum exit_code secret_regenerate(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    const char *overlap_given = option_value(arguments, OPTION_OVERLAP);
    const char *overlap_text = overlap_given == NULL ? "24h" : overlap_given; /* as the console's */
    TARGET_DONE struct target target = {0};
    Google__Protobuf__Duration overlap = GOOGLE__PROTOBUF__DURATION__INIT;
    Gatehouse__V1__RegenerateSecretRequest request = GATEHOUSE__V1__REGENERATE_SECRET_REQUEST__INIT;
    if (!duration_parse(overlap_text, &overlap.seconds))
        return report_usage(context, "--overlap: \"%s\" is no duration such as 24h", overlap_text);
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

enum exit_code secret_rotate(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    const char *overlap_text = option_value(arguments, OPTION_OVERLAP);
    const char *path = option_value(arguments, OPTION_REPLACE_SECRET);
    Google__Protobuf__Duration overlap = GOOGLE__PROTOBUF__DURATION__INIT;
    Gatehouse__V1__RegenerateSecretRequest request = GATEHOUSE__V1__REGENERATE_SECRET_REQUEST__INIT;
    if (!duration_parse(overlap_text == NULL ? "24h" : overlap_text, &overlap.seconds))
        return report_usage(context, "--overlap: \"%s\" is no duration such as 24h", overlap_text);
    if (path == NULL)
        path = context->config.client_secret_file.value;
    if (context->config.client_id.value == NULL || path == NULL || strcmp(path, "-") == 0)
        return report_usage(context, "whose key, and in which file? Give --client-id and --client-secret-file");
    request.client_id = context->config.client_id.value;
    request.overlap = &overlap;
    return rotate(context, &request, path);
}

enum exit_code secret_end(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    const char *number = arguments->rest[1];
    char *end;
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__EndSecretRequest request = GATEHOUSE__V1__END_SECRET_REQUEST__INIT;
    request.secret_id = strtoll(number, &end, 10);
    if (end == number || *end != '\0')
        return report_usage(context, "\"%s\" is no secret ID; `gatehouse credential get` shows them", number);
    if (!target_find(context, arguments->rest[0], false, &target))
        return context->exit_code;
    request.client_id = target.client_id;
    MESSAGE_FREE void *response = admin_invoke(context, "EndSecret", &request);
    if (response == NULL)
        return context->exit_code;
    change_print(context, response, "credential", &credential_view);
    return EXIT_DONE;
}
