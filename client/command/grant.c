/* SPDX-License-Identifier: Apache-2.0 */
/* credential grant and revoke. */
#include "confirm.h"
#include "connection.h"
#include "credential.h"

enum exit_code run_credential_grant(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__GrantRolesRequest request = GATEHOUSE__V1__GRANT_ROLES_REQUEST__INIT;
    if (!target_find(context, arguments->rest[0], !change_is_unasked(context), &target))
        return context->exit_code;
    request.client_id = target.client_id;
    request.roles = arguments->rest + 1;
    request.n_roles = (size_t)arguments->rest_count - 1;
    message_set_string(&request.etag, option_value(arguments, OPTION_ETAG));
    return change_run(context, &(struct change){.method = "GrantRoles",
                                                .request = &request,
                                                .doing = "Granting that to credential",
                                                .name = target.name,
                                                .id = target.client_id,
                                                .etag = target.etag,
                                                .subject = "credential",
                                                .view = &credential_view});
}

enum exit_code run_credential_revoke(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__RevokeRolesRequest request = GATEHOUSE__V1__REVOKE_ROLES_REQUEST__INIT;
    if (!target_find(context, arguments->rest[0], !change_is_unasked(context), &target))
        return context->exit_code;
    request.client_id = target.client_id;
    request.roles = arguments->rest + 1;
    request.n_roles = (size_t)arguments->rest_count - 1;
    message_set_string(&request.etag, option_value(arguments, OPTION_ETAG));
    return change_run(context, &(struct change){.method = "RevokeRoles",
                                                .request = &request,
                                                .doing = "Revoking that from credential",
                                                .name = target.name,
                                                .id = target.client_id,
                                                .etag = target.etag,
                                                .subject = "credential",
                                                .view = &credential_view});
}
