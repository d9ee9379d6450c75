/* SPDX-License-Identifier: Apache-2.0 */
/* credential suspend and resume. */
#include "confirm.h"
#include "connection.h"
#include "credential.h"

enum exit_code run_credential_suspend(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__SuspendCredentialRequest request = GATEHOUSE__V1__SUSPEND_CREDENTIAL_REQUEST__INIT;
    if (!target_find(context, arguments->rest[0], !change_is_unasked(context), &target))
        return context->exit_code;
    request.client_id = target.client_id;
    message_set_string(&request.etag, option_value(arguments, OPTION_ETAG));
    return change_run(context, &(struct change){.method = "SuspendCredential",
                                                .request = &request,
                                                .doing = "Suspending credential",
                                                .name = target.name,
                                                .id = target.client_id,
                                                .etag = target.etag,
                                                .subject = "credential",
                                                .view = &credential_view});
}

enum exit_code run_credential_resume(struct context *context)
{
    TARGET_DONE struct target target = {0};
    Gatehouse__V1__ResumeCredentialRequest request = GATEHOUSE__V1__RESUME_CREDENTIAL_REQUEST__INIT;
    if (!target_find(context, context->arguments.rest[0], false, &target))
        return context->exit_code;
    request.client_id = target.client_id;
    MESSAGE_FREE void *response = admin_invoke(context, "ResumeCredential", &request);
    if (response == NULL)
        return context->exit_code;
    change_print(context, response, "credential", &credential_view);
    return EXIT_DONE;
}
