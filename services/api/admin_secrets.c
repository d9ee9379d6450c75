/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: a credential's secret keys. */
#include "api/admin.h"

enum status regenerate_secret(struct admin_call *admin)
{
    const Gatehouse__V1__RegenerateSecretRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__RegenerateSecretResponse, gatehouse__v1__regenerate_secret_response__init);
    struct credential *credential = NULL;
    int64_t overlap = read_duration(request->overlap, 0);
    TRY(admin_load_living(admin, request->client_id, request->etag, &credential));
    if (admin_is_answered(admin, credential, &response->credential))
        return STATUS_OK;
    char *secret = arena_alloc(&admin->arena, SECRET_TEXT_LEN + 1);
    struct credential before = *credential;
    TRY(credential_regenerate(&admin->work, credential, overlap, secret));
    TRY(admin_keep_administrator(admin));
    admin_tell_secrets(admin, &before, credential);
    admin_tell_duration(admin, "overlap", 0, overlap);
    admin_tell_ended(admin);
    response->credential = admin_credential(admin, credential);
    if (!admin->is_dry)
        response->secret_key = secret;
    return admin_impact(admin, credential->id, &response->impact);
}

enum status end_secret(struct admin_call *admin)
{
    const Gatehouse__V1__EndSecretRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__EndSecretResponse, gatehouse__v1__end_secret_response__init);
    struct credential *credential = NULL;
    TRY(admin_load(admin, request->client_id, &credential));
    TRY(admin_check_etag(admin, request->etag, credential->version));
    if (admin_is_answered(admin, credential, &response->credential))
        return STATUS_OK;
    struct credential before = *credential;
    enum status status = credential_end_secret(&admin->work, credential, request->secret_id);
    if (status == STATUS_NOT_FOUND)
        return call_fail(admin_fails(admin), status, "NO_SUCH_SECRET", "the credential has no such secret key");
    TRY(status);
    TRY(admin_keep_administrator(admin));
    admin_tell_secrets(admin, &before, credential);
    response->credential = admin_credential(admin, credential);
    return STATUS_OK;
}
