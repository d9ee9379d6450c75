/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: a credential's secret keys. */
#include "api/admin.h"

#define OVERLAP_LEAST (60 * CLOCK_SECOND)
#define PAUSE_LEAST (60 * CLOCK_SECOND)

static bool is_live(const struct admin_call *admin, const struct credential *credential, int i)
{
    return i < credential->secret_count && !secret_has_ended(credential->secrets[i].ends, admin->work.now);
}

/* May the holder rotate? Not with a token that was narrowed: the new key would give it more. Not again at once: each
 * time is a commit and an event, and the holder is nobody that administers. */
static enum status check_own(struct admin_call *admin, const struct credential *credential, int64_t overlap)
{
    struct call *call = admin_fails(admin);
    int64_t since = admin->work.now - credential->secrets[0].created;
    if (!credential->self_rotation)
        return call_fail(call, STATUS_PERMISSION_DENIED, "NO_SELF_ROTATION",
                         "the credential's holder may not make its secret keys");
    if (!role_set_equal(&admin->calling.introspection.roles, &credential->effective))
        return call_fail(call, STATUS_PERMISSION_DENIED, "NO_SELF_ROTATION",
                         "the token does not carry all roles of its credential");
    if (admin->is_replay) /* that was asked when it was done */
        return STATUS_OK;
    if (overlap < OVERLAP_LEAST)
        return call_fail_field(call, "overlap", "INVALID_FIELD",
                               "overlap is less than 60 seconds, for which the key in use lives on");
    if (is_live(admin, credential, 1) && since >= 0 && since < PAUSE_LEAST)
        return call_fail_retry(call, STATUS_RESOURCE_EXHAUSTED, "ROTATED_LATELY", PAUSE_LEAST / 1000,
                               "the secret key was rotated less than a minute ago");
    return STATUS_OK;
}

/* A new key that was never used may never have reached its holder: the one before it is kept instead. */
static void keep_used(const struct admin_call *admin, struct credential *credential)
{
    if (!is_live(admin, credential, 1) || credential->secrets[0].last_used != 0 ||
        credential->secrets[1].last_used == 0)
        return;
    struct credential_secret unused = credential->secrets[0];
    credential->secrets[0] = credential->secrets[1];
    credential->secrets[1] = unused;
}

/* The holder also learns of its keys, and the etag for its next change. */
static Gatehouse__V1__Credential *show(struct admin_call *admin, const struct credential *credential)
{
    Gatehouse__V1__Credential *all = admin_credential(admin, credential);
    if (!admin->is_own)
        return all;
    Gatehouse__V1__Credential *own = admin_credential_own(admin, credential);
    own->n_secrets = all->n_secrets;
    own->secrets = all->secrets;
    own->etag = all->etag;
    return own;
}

enum status regenerate_secret(struct admin_call *admin)
{
    const Gatehouse__V1__RegenerateSecretRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__RegenerateSecretResponse, gatehouse__v1__regenerate_secret_response__init);
    struct credential *credential = NULL;
    int64_t overlap = read_duration(request->overlap, 0);
    TRY(admin_load_living(admin, request->client_id, request->etag, &credential));
    if (admin->is_own)
        TRY(check_own(admin, credential, overlap));
    if (admin->is_replay) {
        response->credential = show(admin, credential);
        return STATUS_OK;
    }
    char *secret = arena_alloc(&admin->arena, SECRET_TEXT_LEN + 1);
    struct credential before = *credential;
    if (admin->is_own)
        keep_used(admin, credential);
    TRY(credential_regenerate(&admin->work, credential, overlap, secret));
    TRY(admin_keep_administrator(admin));
    admin_tell_secrets(admin, &before, credential);
    admin_tell_duration(admin, "overlap", 0, overlap);
    admin_tell_ended(admin);
    response->credential = show(admin, credential);
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
