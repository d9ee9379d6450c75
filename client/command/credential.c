/* SPDX-License-Identifier: Apache-2.0 */
#include "credential.h"

#include <stdlib.h>
#include <string.h>

#include "confirm.h"
#include "connection.h"
#include "labels.h"
#include "networks.h"
#include "object.h"
#include "own_limits.h"
#include "pages.h"
#include "report.h"
#include "secret.h"
#include "text.h"
#include "time_format.h"

static char *format_status(const json_t *, const json_t *value, int64_t)
{
    return object_word(&gatehouse__v1__credential_status__descriptor, value);
}

static char *format_state(const json_t *, const json_t *value, int64_t)
{
    return object_word(&gatehouse__v1__granted_role_state__descriptor, value);
}

/* "work_creator, team_leader (revoked)": what was revoked stays visible. */
static char *format_roles(const json_t *, const json_t *value, int64_t)
{
    char *out = NULL;
    size_t size, i;
    json_t *role;
    FILE *stream = text_must(open_memstream(&out, &size));
    json_array_foreach(value, i, role)
    {
        const char *name = json_string_value(json_object_get(role, "role"));
        TEXT_FREE char *state =
            object_word(&gatehouse__v1__granted_role_state__descriptor, json_object_get(role, "state"));
        fprintf(stream, "%s%s", i == 0 ? "" : ", ", name == NULL ? "?" : name);
        if (strcmp(state, "granted") == 0)
            continue;
        for (char *c = state; *c != '\0'; c++)
            *c = *c == '_' ? ' ' : *c;
        fprintf(stream, " (%s)", state[0] == '\0' ? "revoked" : state);
    }
    fclose(stream);
    return text_must(out);
}

static const struct view list_view = {
    .columns = COLUMNS(
        {"CLIENT ID", "clientId", NULL, 0}, {"NAME", "name", NULL, COLUMN_TRUNCATE},
        {"ROLES", "roles", format_roles, COLUMN_WRAP}, {"EXPIRES", "expireTime", column_expiry, COLUMN_IF_FITS},
        {"STATUS", "status", format_status, COLUMN_IF_FITS},
        {"LAST USE", "lastUseTime", column_last_use, COLUMN_IF_FITS},
        {"OWNER", "owner", NULL, COLUMN_TRUNCATE | COLUMN_IF_ANY | COLUMN_IF_FITS},
        {"CONTACT", "contact", NULL, COLUMN_IF_WIDE}, {"LABELS", "labels", labels_format, COLUMN_IF_WIDE},
        {"LAST USED FROM", "lastUseFrom", NULL, COLUMN_IF_WIDE}, {"CREATED", "createTime", column_time, COLUMN_IF_WIDE},
        {"CREATED BY", "createdBy", NULL, COLUMN_IF_WIDE}, {"CHANGED", "updateTime", column_time, COLUMN_IF_WIDE}),
    .value_keys = KEYS("clientId"),
};

#define CREDENTIAL_COLUMNS \
    {"Client ID", "clientId", NULL, 0}, {"Name", "name", NULL, 0}, {"Status", "status", format_status, 0}, \
        {"Expires", "expireTime", column_expiry, 0}, {"Expires at", "expireTime", column_clock, 0}, \
        {"Owner", "owner", NULL, 0}, {"Roles", "roles", format_roles, 0}, {"Contact", "contact", NULL, 0}, \
        {"Labels", "labels", labels_format, 0}

const struct view credential_view = {
    .columns = COLUMNS(CREDENTIAL_COLUMNS, {"Tokens ended", "tokensEnded", NULL, 0}),
    .value_keys = KEYS("clientId"),
};

static const struct view created_view = {
    .columns = COLUMNS(CREDENTIAL_COLUMNS, {"Secret key", "secretKey", NULL, 0}),
    .value_keys = KEYS("clientId", "secretKey"),
};

static const struct view detail_view = {
    .columns = COLUMNS({"Client ID", "clientId", NULL, 0}, {"Name", "name", NULL, 0},
                       {"Status", "status", format_status, 0}, {"Expires", "expireTime", column_expiry, 0},
                       {"Expires at", "expireTime", column_clock, 0}, {"Owner", "owner", NULL, 0},
                       {"Effective roles", "effectiveRoles", NULL, 0}, {"Contact", "contact", NULL, 0},
                       {"Labels", "labels", labels_format, 0}, {"Suspended", "suspendTime", column_time, COLUMN_IF_ANY},
                       {"Suspended if unused", "unusedSuspendTime", column_time, COLUMN_IF_ANY},
                       {"Last use", "lastUseTime", column_last_use, 0}, {"Last used from", "lastUseFrom", NULL, 0},
                       {"Networks", "addresses", networks_format, 0}, {"Created", "createTime", column_time, 0},
                       {"Created by", "createdBy", NULL, 0}, {"Changed", "updateTime", column_time, 0},
                       {"Deleted", "deleteTime", column_time, 0}, {"Purged", "purgeTime", column_time, 0},
                       {"Self-rotation", "selfRotation", NULL, 0},
                       {"Limits", "limits", column_own_limits, COLUMN_IF_ANY}, {"Etag", "etag", NULL, 0}),
    .value_keys = KEYS("clientId"),
};

static const struct view roles_view = {
    .columns = COLUMNS({"ROLE", "role", NULL, 0}, {"STATE", "state", format_state, 0},
                       {"GRANTED", "grantTime", column_time, 0}, {"BY", "grantedBy", NULL, 0},
                       {"REVOKED", "revokeTime", column_time, COLUMN_IF_ANY}, {"BY", "revokedBy", NULL, COLUMN_IF_ANY}),
};

static const struct view secrets_view = {
    .columns = COLUMNS({"SECRET ID", "secretId", NULL, COLUMN_RIGHT}, {"LAST FOUR", "hint", NULL, 0},
                       {"CREATED", "createTime", column_time, 0}, {"EXPIRES", "expireTime", column_expiry, 0},
                       {"LAST USE", "lastUseTime", column_last_use, 0}),
};

enum { DAY = 24 * 3600 };
#define DEFAULT_EXPIRY "90d" /* as the console's */

/* --expires, or `otherwise`, into a timestamp. "never" clears it. False: reported. */
static bool take_expiry(struct context *context, const char *otherwise, Google__Protobuf__Timestamp *timestamp,
                        Google__Protobuf__Timestamp **ret_field)
{
    const char *text = option_value(&context->arguments, OPTION_EXPIRES);
    bool is_default = text == NULL && otherwise != NULL;
    text = is_default ? otherwise : text;
    if (text == NULL || strcmp(text, "never") == 0)
        return true;
    if (!instant_parse(text, context->now, TIME_AHEAD, &timestamp->seconds)) {
        report_usage(context,
                     "--expires: \"%s\" is not a time; write 90d, 12h, 2027-01-31, 2027-01-31T12:00:00Z, or never",
                     text);
        return false;
    }
    if (is_default) /* the end of a day: a repetition asks for the same */
        timestamp->seconds += DAY - 1 - timestamp->seconds % DAY;
    *ret_field = timestamp;
    return true;
}

/* False: reported. */
static bool take_self_rotation(struct context *context, Gatehouse__V1__Credential *credential)
{
    const char *text = option_value(&context->arguments, OPTION_SELF_ROTATION);
    credential->self_rotation = text != NULL && strcmp(text, "on") == 0;
    if (text == NULL || credential->self_rotation || strcmp(text, "off") == 0)
        return true;
    report_usage(context, "--self-rotation: \"%s\" is neither on nor off", text);
    return false;
}

enum exit_code credential_print_secret(struct context *context, FILE *secret_file, void *response,
                                       const struct view *view)
{
    char **field = message_member(response, "secret_key");
    TEXT_WIPE char *secret = text_copy(*field);
    const char *path = option_value(&context->arguments, OPTION_WRITE_SECRET);
    enum exit_code code = EXIT_DONE;
    bool is_shown = secret[0] != '\0';
    if (secret_file != NULL) {
        if (is_shown)
            code = secret_file_write(context, secret_file, path, secret);
        else
            secret_file_discard(secret_file, path);
        explicit_bzero(*field, strlen(*field)); /* it is not printed then */
    }
    output_message(context, response, "credential", view);
    explicit_bzero(*field, strlen(*field));
    if (!is_shown)
        fputs("This request was answered before; the secret key was shown then, and cannot be shown again.\n", stderr);
    else if (context->format == OUTPUT_TABLE && secret_file == NULL)
        fputs("Keep the secret key now: it cannot be shown again.\n", stderr);
    if (!output_flush() && is_shown && secret_file == NULL) {
        fputs("The secret key is lost; `gatehouse secret regenerate` makes a new one.\n", stderr);
        code = EXIT_REFUSED;
    }
    return code;
}

static enum exit_code create(struct context *context, const Gatehouse__V1__CreateCredentialRequest *request)
{
    const char *path = option_value(&context->arguments, OPTION_WRITE_SECRET);
    FILE *file = path == NULL ? NULL : secret_file_create(context, path);
    if (path != NULL && file == NULL)
        return EXIT_USAGE;
    MESSAGE_FREE Gatehouse__V1__CreateCredentialResponse *response = admin_invoke(context, "CreateCredential", request);
    if (response == NULL) {
        secret_file_discard(file, path);
        return context->exit_code;
    }
    return credential_print_secret(context, file, response, &created_view);
}

enum exit_code run_credential_create(struct context *context)
{
    struct arguments *arguments = &context->arguments;
    Gatehouse__V1__Credential credential = GATEHOUSE__V1__CREDENTIAL__INIT;
    Google__Protobuf__Timestamp expiry = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Gatehouse__V1__CreateCredentialRequest request = GATEHOUSE__V1__CREATE_CREDENTIAL_REQUEST__INIT;
    if (!take_expiry(context, DEFAULT_EXPIRY, &expiry, &credential.expire_time))
        return EXIT_USAGE;
    if (arguments->words.count == 0)
        return report_usage(context, "--role: at least one; `gatehouse role list` shows them");
    credential.name = arguments->rest[0];
    message_set_string(&credential.owner, option_value(arguments, OPTION_OWNER));
    message_set_string(&credential.contact, option_value(arguments, OPTION_CONTACT));
    struct own_limits_words limits;
    NETWORKS_DONE struct networks networks = {0};
    if (!take_self_rotation(context, &credential) || !own_limits_take(context, &limits, &credential.limits) ||
        !networks_take(context, &networks, &credential))
        return EXIT_USAGE;
    LABELS_DONE struct labels labels = {0};
    labels_take(context, &labels, &credential);
    request.credential = &credential;
    request.roles = arguments->words.items;
    request.n_roles = arguments->words.count;
    message_set_string(&request.request_id, option_value(arguments, OPTION_REQUEST_ID));
    if (option_value(arguments, OPTION_DRY_RUN) == NULL)
        return create(context, &request);

    request.validate_only = true;
    MESSAGE_FREE void *response = admin_invoke(context, "CreateCredential", &request);
    if (response == NULL)
        return context->exit_code;
    change_print(context, response, "credential", &credential_view);
    if (context->format == OUTPUT_TABLE)
        puts("Nothing was made.");
    return EXIT_DONE;
}

static char *order_by(struct context *context)
{
    static const char *const orders[][2] = {
        {"name", "name"}, {"created", "create_time"}, {"expires", "expire_time"}, {"last-used", "last_use_time"}};
    /* What ends soon, in that order, is found without looking at anything else. */
    const char *usual = option_value(&context->arguments, OPTION_EXPIRES_WITHIN) == NULL ? "name" : "expires";
    const char *sort = option_value(&context->arguments, OPTION_SORT);
    const char *suffix = option_value(&context->arguments, OPTION_REVERSE) == NULL ? "" : " desc";
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (strcmp(sort == NULL ? usual : sort, orders[i][0]) == 0)
            return text_format("%s%s", orders[i][1], suffix);
    }
    report_usage(context, "--sort: \"%s\" is none of name, created, expires, last-used", sort);
    return NULL;
}

static char *list_filter(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    const char *within = option_value(arguments, OPTION_EXPIRES_WITHIN);
    const char *status = option_value(arguments, OPTION_MATCH_STATUS);
    char *filter = NULL;
    if (!filter_add(context, &filter, "name", ':', option_value(arguments, OPTION_MATCH_NAME)) ||
        !filter_add(context, &filter, "role", '=', option_value(arguments, OPTION_MATCH_ROLE)) ||
        !filter_add(context, &filter, "granted", '=', option_value(arguments, OPTION_MATCH_GRANTED)) ||
        !filter_add(context, &filter, "owner", '=', option_value(arguments, OPTION_MATCH_OWNER)) ||
        !filter_add(context, &filter, "contact", ':', option_value(arguments, OPTION_MATCH_CONTACT)) ||
        !labels_filter(context, &filter) ||
        !filter_add(context, &filter, "status", '=', within != NULL && status == NULL ? "active" : status)) {
        text_free(&filter);
        return NULL;
    }
    int64_t end;
    char text[TIME_TEXT_MAX];
    if (within != NULL && !instant_parse(within, context->now, TIME_AHEAD, &end)) {
        report_usage(context, "--expires-within: \"%s\" is not a duration such as 30d", within);
        text_free(&filter);
        return NULL;
    }
    if (within != NULL) {
        instant_format(end, 0, text);
        if (!filter_add(context, &filter, "expires", '<', text))
            return NULL;
    }
    filter_add_own(context, &filter);
    return filter == NULL ? text_copy("") : filter;
}

enum exit_code run_credential_list(struct context *context)
{
    Gatehouse__V1__ListCredentialsRequest request = GATEHOUSE__V1__LIST_CREDENTIALS_REQUEST__INIT;
    struct pages pages = {.method = "ListCredentials",
                          .request = &request,
                          .items = "credentials",
                          .view = &list_view,
                          .nothing = "No credential."};
    TEXT_FREE char *order = order_by(context);
    TEXT_FREE char *filter = order == NULL ? NULL : list_filter(context);
    if (filter == NULL || !pages_limit(context, OPTION_LIMIT, 0, &pages.limit))
        return EXIT_USAGE;
    request.order_by = order;
    request.filter = filter;
    return pages_print(context, &pages);
}

enum exit_code run_credential_get(struct context *context)
{
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__GetCredentialRequest request = GATEHOUSE__V1__GET_CREDENTIAL_REQUEST__INIT;
    if (!target_find(context, context->arguments.rest[0], false, &target))
        return context->exit_code;
    request.client_id = target.client_id;
    MESSAGE_FREE Gatehouse__V1__GetCredentialResponse *response = admin_invoke(context, "GetCredential", &request);
    if (response == NULL)
        return context->exit_code;
    output_message(context, response, "credential", &detail_view);
    json_t *credential = object_from(context, response->credential);
    output_part(context, "Roles", json_object_get(credential, "roles"), &roles_view);
    output_part(context, "Secret keys", json_object_get(credential, "secrets"), &secrets_view);
    json_decref(credential);
    return EXIT_DONE;
}

enum exit_code run_credential_undelete(struct context *context)
{
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__UndeleteCredentialRequest request = GATEHOUSE__V1__UNDELETE_CREDENTIAL_REQUEST__INIT;
    if (!target_find_deleted(context, context->arguments.rest[0], &target))
        return context->exit_code;
    request.client_id = target.client_id;
    MESSAGE_FREE void *response = admin_invoke(context, "UndeleteCredential", &request);
    if (response == NULL)
        return context->exit_code;
    change_print(context, response, "credential", &credential_view);
    return EXIT_DONE;
}

enum exit_code run_credential_update(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__Credential credential = GATEHOUSE__V1__CREDENTIAL__INIT;
    Google__Protobuf__Timestamp expiry = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    Gatehouse__V1__UpdateCredentialRequest request = GATEHOUSE__V1__UPDATE_CREDENTIAL_REQUEST__INIT;
    static const struct {
        enum option_id option;
        char *field;
    } fields[] = {{OPTION_NAME, "name"},
                  {OPTION_EXPIRES, "expire_time"},
                  {OPTION_OWNER, "owner"},
                  {OPTION_CONTACT, "contact"},
                  {OPTION_SELF_ROTATION, "self_rotation"},
                  {OPTION_LIMITS, "limits"},
                  {OPTION_FROM_NETWORK, "addresses"}};
    struct own_limits_words limits;
    char *paths[sizeof fields / sizeof fields[0] + 1];
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (option_value(arguments, fields[i].option) != NULL)
            paths[mask.n_paths++] = fields[i].field;
    }
    if (labels_are_given(context))
        paths[mask.n_paths++] = "labels";
    NETWORKS_DONE struct networks networks = {0};
    if (!networks_take(context, &networks, &credential))
        return EXIT_USAGE;
    if (mask.n_paths == 0)
        return report_usage(context, "nothing to change; `gatehouse credential update --help` shows what can be");
    if (!take_expiry(context, NULL, &expiry, &credential.expire_time) || !take_self_rotation(context, &credential) ||
        !own_limits_take(context, &limits, &credential.limits))
        return EXIT_USAGE;
    if (!target_find(context, arguments->rest[0], !change_is_unasked(context), &target))
        return context->exit_code;
    credential.client_id = target.client_id;
    message_set_string(&credential.name, option_value(arguments, OPTION_NAME));
    message_set_string(&credential.owner, option_value(arguments, OPTION_OWNER));
    message_set_string(&credential.contact, option_value(arguments, OPTION_CONTACT));
    message_set_string(&credential.etag, target.etag); /* what is shown when asking is what is changed */
    LABELS_DONE struct labels labels = {0};
    if (labels_are_given(context) && !labels_change(context, &labels, &credential))
        return context->exit_code;
    message_set_string(&credential.etag, option_value(arguments, OPTION_ETAG));
    mask.paths = paths;
    request.credential = &credential;
    request.update_mask = &mask;
    return change_run(context, &(struct change){.method = "UpdateCredential",
                                                .request = &request,
                                                .doing = "Updating credential",
                                                .name = target.name,
                                                .id = target.client_id,
                                                .subject = "credential",
                                                .view = &credential_view});
}

enum exit_code run_credential_delete(struct context *context)
{
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__DeleteCredentialRequest request = GATEHOUSE__V1__DELETE_CREDENTIAL_REQUEST__INIT;
    if (!target_find(context, context->arguments.rest[0], !change_is_unasked(context), &target))
        return context->exit_code;
    request.client_id = target.client_id;
    message_set_string(&request.etag, option_value(&context->arguments, OPTION_ETAG));
    return change_run(context, &(struct change){.method = "DeleteCredential",
                                                .request = &request,
                                                .doing = "Deleting credential",
                                                .name = target.name,
                                                .id = target.client_id,
                                                .etag = target.etag,
                                                .subject = "credential",
                                                .is_final = true,
                                                .view = &credential_view});
}
