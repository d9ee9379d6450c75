/* SPDX-License-Identifier: Apache-2.0 */
#include <gatehouse/v1/credential_admin.pb-c.h>

#include "connection.h"
#include "output.h"
#include "pages.h"
#include "report.h"

static const struct view catalogue_view = {
    .columns =
        COLUMNS({"ROLE", "roleId", NULL, 0}, {"NAME", "name", NULL, 0}, {"GROUP", "group", NULL, 0},
                {"RETIRED", "retired", column_if_true, COLUMN_IF_ANY}, {"MAY", "description", NULL, COLUMN_WRAP}),
    .value_keys = KEYS("roleId"),
};

static const struct view role_view = {
    .columns = COLUMNS({"Role", "roleId", NULL, 0}, {"Name", "name", NULL, 0}, {"Group", "group", NULL, 0},
                       {"May", "description", NULL, 0}, {"Retired", "retired", NULL, 0},
                       {"Built in", "builtIn", NULL, 0}, {"Etag", "etag", NULL, 0}),
    .value_keys = KEYS("roleId"),
};

enum exit_code run_role_list(struct context *context)
{
    Gatehouse__V1__ListRolesRequest request = GATEHOUSE__V1__LIST_ROLES_REQUEST__INIT;
    request.show_retired = option_value(&context->arguments, OPTION_RETIRED) != NULL;
    struct pages pages = {
        .method = "ListRoles", .request = &request, .items = "roles", .view = &catalogue_view, .nothing = "No role."};
    return pages_print(context, &pages);
}

static enum exit_code print(struct context *context, const ProtobufCMessage *response)
{
    if (response == NULL)
        return context->exit_code;
    output_message(context, response, "role", &role_view);
    return EXIT_DONE;
}

static void take_fields(const struct arguments *arguments, Gatehouse__V1__Role *role)
{
    role->role_id = arguments->rest[0];
    message_set_string(&role->name, option_value(arguments, OPTION_NAME));
    message_set_string(&role->group, option_value(arguments, OPTION_GROUP));
    message_set_string(&role->description, option_value(arguments, OPTION_DESCRIPTION));
    message_set_string(&role->etag, option_value(arguments, OPTION_ETAG));
}

enum exit_code run_role_create(struct context *context)
{
    Gatehouse__V1__Role role = GATEHOUSE__V1__ROLE__INIT;
    Gatehouse__V1__CreateRoleRequest request = GATEHOUSE__V1__CREATE_ROLE_REQUEST__INIT;
    if (option_value(&context->arguments, OPTION_NAME) == NULL ||
        option_value(&context->arguments, OPTION_GROUP) == NULL)
        return report_usage(context, "needs --name and --group");
    take_fields(&context->arguments, &role);
    request.role = &role;
    MESSAGE_FREE void *response = admin_invoke(context, "CreateRole", &request);
    return print(context, response);
}

enum exit_code run_role_update(struct context *context)
{
    static const struct {
        enum option_id option;
        char *field;
    } fields[] = {{OPTION_NAME, "name"}, {OPTION_GROUP, "group"}, {OPTION_DESCRIPTION, "description"}};
    char *paths[sizeof fields / sizeof fields[0]];
    Gatehouse__V1__Role role = GATEHOUSE__V1__ROLE__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    Gatehouse__V1__UpdateRoleRequest request = GATEHOUSE__V1__UPDATE_ROLE_REQUEST__INIT;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (option_value(&context->arguments, fields[i].option) != NULL)
            paths[mask.n_paths++] = fields[i].field;
    }
    if (mask.n_paths == 0)
        return report_usage(context, "nothing to change; give --name, --group or --description");
    take_fields(&context->arguments, &role);
    mask.paths = paths;
    request.role = &role;
    request.update_mask = &mask;
    MESSAGE_FREE void *response = admin_invoke(context, "UpdateRole", &request);
    return print(context, response);
}

enum exit_code run_role_retire(struct context *context)
{
    char field[] = "retired";
    char *path = field;
    Gatehouse__V1__Role role = GATEHOUSE__V1__ROLE__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    Gatehouse__V1__UpdateRoleRequest request = GATEHOUSE__V1__UPDATE_ROLE_REQUEST__INIT;
    take_fields(&context->arguments, &role);
    role.retired = option_value(&context->arguments, OPTION_UNDO) == NULL;
    mask.n_paths = 1;
    mask.paths = &path;
    request.role = &role;
    request.update_mask = &mask;
    MESSAGE_FREE void *response = admin_invoke(context, "UpdateRole", &request);
    return print(context, response);
}
