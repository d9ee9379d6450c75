/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: suspending a credential, and resuming it. */
#include "api/admin.h"

#include <string.h>

static const char *state_text(const struct credential *credential)
{
    return credential->suspended == 0 ? "no" : "yes";
}

static enum status check_suspension(struct admin_call *admin, const struct credential *credential)
{
    struct call *call = admin_fails(admin);
    if (strcmp(admin->work.actor, credential->client_id) == 0)
        return call_fail(call, STATUS_FAILED_PRECONDITION, "OWN_CREDENTIAL",
                         "a credential cannot suspend itself; another administrator can");
    return admin_check_programs(admin);
}

enum status suspend_credential(struct admin_call *admin)
{
    const Gatehouse__V1__SuspendCredentialRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__SuspendCredentialResponse, gatehouse__v1__suspend_credential_response__init);
    struct credential *credential = NULL;
    TRY(admin_load_living(admin, request->client_id, request->etag, &credential));
    if (admin_is_answered(admin, credential, &response->credential))
        return STATUS_OK;
    const char *before = state_text(credential);
    TRY(check_suspension(admin, credential));
    if (credential->suspended == 0)
        TRY(credential_suspend(&admin->work, credential));
    TRY(admin_keep_administrator(admin));
    admin_tell(admin, "suspended", before, state_text(credential));
    admin_tell_ended(admin);
    response->credential = admin_credential(admin, credential);
    return admin_impact(admin, credential->id, &response->impact);
}

enum status resume_credential(struct admin_call *admin)
{
    const Gatehouse__V1__ResumeCredentialRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__ResumeCredentialResponse, gatehouse__v1__resume_credential_response__init);
    struct credential *credential = NULL;
    TRY(admin_load_living(admin, request->client_id, request->etag, &credential));
    if (admin_is_answered(admin, credential, &response->credential))
        return STATUS_OK;
    const char *before = state_text(credential);
    if (credential->suspended != 0)
        TRY(credential_resume(&admin->work, credential));
    admin_tell(admin, "suspended", before, state_text(credential));
    admin_tell_ended(admin);
    response->credential = admin_credential(admin, credential);
    return STATUS_OK;
}
