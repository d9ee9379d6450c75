/* SPDX-License-Identifier: Apache-2.0 */
#include <gatehouse/v1/credential_admin.pb-c.h>

#include "confirm.h"
#include "connection.h"
#include "pages.h"
#include "report.h"
#include "text.h"

static const struct view list_view = {
    .columns =
        COLUMNS({"USER", "user", NULL, 0}, {"ROLES", "roles", NULL, COLUMN_WRAP},
                {"REVOKED", "revokedRoles", NULL, COLUMN_IF_ANY},
                {"CREDENTIALS", "credentialCount", NULL, COLUMN_RIGHT}, {"CHANGED", "updateTime", column_time, 0}),
    .value_keys = KEYS("user"),
};

#define USER_COLUMNS \
    {"User", "user", NULL, 0}, {"Roles", "roles", NULL, 0}, {"Revoked roles", "revokedRoles", NULL, 0}, \
        {"Credentials", "credentialCount", NULL, 0}, {"Changed", "updateTime", column_time, 0}

static const struct view user_view = {
    .columns = COLUMNS(USER_COLUMNS, {"Etag", "etag", NULL, 0}),
    .value_keys = KEYS("roles"),
};

static const struct view changed_view = {
    .columns = COLUMNS(USER_COLUMNS, {"Tokens ended", "tokensEnded", NULL, 0}),
    .value_keys = KEYS("tokensEnded"),
};

enum exit_code run_user_list(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    Gatehouse__V1__ListUsersRequest request = GATEHOUSE__V1__LIST_USERS_REQUEST__INIT;
    struct pages pages = {
        .method = "ListUsers", .request = &request, .items = "users", .view = &list_view, .nothing = "No user."};
    TEXT_FREE char *filter = NULL;
    if (!filter_add(context, &filter, "user", ':', option_value(arguments, OPTION_MATCH_USER)) ||
        !filter_add(context, &filter, "role", '=', option_value(arguments, OPTION_MATCH_ROLE)) ||
        !pages_limit(context, OPTION_LIMIT, 0, &pages.limit))
        return EXIT_USAGE;
    filter_add_own(context, &filter);
    message_set_string(&request.filter, filter);
    return pages_print(context, &pages);
}

enum exit_code run_user_get(struct context *context)
{
    Gatehouse__V1__GetUserRequest request = GATEHOUSE__V1__GET_USER_REQUEST__INIT;
    request.user = context->arguments.rest[0];
    MESSAGE_FREE ProtobufCMessage *response = admin_invoke(context, "GetUser", &request);
    if (response == NULL)
        return context->exit_code;
    output_message(context, response, "user", &user_view);
    return EXIT_DONE;
}

enum exit_code run_user_set_roles(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    bool is_none = option_value(arguments, OPTION_NONE) != NULL;
    Gatehouse__V1__SetUserRolesRequest request = GATEHOUSE__V1__SET_USER_ROLES_REQUEST__INIT;
    if (is_none !=
        (arguments->rest_count == 1)) /* a variable that was empty in a script must not take all roles away */
        return report_usage(context,
                            is_none ? "either roles or --none, not both" : "which roles? --none for none at all");
    request.user = arguments->rest[0];
    request.roles = arguments->rest + 1;
    request.n_roles = (size_t)arguments->rest_count - 1;
    message_set_string(&request.etag, option_value(arguments, OPTION_ETAG));
    return change_run(context, &(struct change){.method = "SetUserRoles",
                                                .request = &request,
                                                .doing = "Setting the roles of user",
                                                .name = request.user,
                                                .subject = "user",
                                                .view = &changed_view});
}

enum exit_code run_user_delete(struct context *context)
{
    Gatehouse__V1__DeleteUserRequest request = GATEHOUSE__V1__DELETE_USER_REQUEST__INIT;
    request.user = context->arguments.rest[0];
    message_set_string(&request.etag, option_value(&context->arguments, OPTION_ETAG));
    return change_run(context, &(struct change){.method = "DeleteUser",
                                                .request = &request,
                                                .doing = "Deleting user",
                                                .name = request.user,
                                                .is_final = true});
}
