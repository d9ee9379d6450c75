/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: settings of the installation. */
#include "api/admin.h"

#define MINUTE (60 * CLOCK_SECOND)
#define DAY (24 * 60 * MINUTE)

static Gatehouse__V1__Settings *make_settings(struct admin_call *admin, const struct settings *settings)
{
    Gatehouse__V1__Settings *message = arena_new(&admin->arena, Gatehouse__V1__Settings);
    gatehouse__v1__settings__init(message);
    message->idle_session_timeout = admin_duration(admin, settings->idle_timeout);
    if (settings->max_token_life != 0)
        message->max_token_life = admin_duration(admin, settings->max_token_life);
    message->max_tokens_per_credential = (int32_t)settings->max_tokens;
    message->deletion_retention = admin_duration(admin, settings->deletion_retention);
    message->usage_retention = admin_duration(admin, settings->usage_retention);
    if (settings->audit_retention != 0)
        message->audit_retention = admin_duration(admin, settings->audit_retention);
    message->etag = admin_etag(admin, settings->version);
    return message;
}

enum status get_settings(struct admin_call *admin)
{
    RESPOND(Gatehouse__V1__GetSettingsResponse, gatehouse__v1__get_settings_response__init);
    struct settings settings;
    TRY(setting_load(admin->work.tx, &settings));
    response->settings = make_settings(admin, &settings);
    return STATUS_OK;
}

/* A field that is named and empty goes back to its default. */
static enum status read_settings(struct admin_call *admin, const Gatehouse__V1__UpdateSettingsRequest *request,
                                 struct settings *settings)
{
    struct call *call = admin_fails(admin);
    const Gatehouse__V1__Settings *wanted = request->settings;
    const Google__Protobuf__FieldMask *mask = request->update_mask;
    if (admin_mask_has(mask, "idle_session_timeout")) {
        settings->idle_timeout = read_duration(wanted->idle_session_timeout, 20 * MINUTE);
        if (settings->idle_timeout % CLOCK_SECOND != 0)
            return call_fail_field(call, "settings.idle_session_timeout", "INVALID_FIELD",
                                   "settings.idle_session_timeout must be whole seconds");
    }
    if (admin_mask_has(mask, "max_token_life"))
        settings->max_token_life = read_duration(wanted->max_token_life, 0);
    if (admin_mask_has(mask, "deletion_retention"))
        settings->deletion_retention = read_duration(wanted->deletion_retention, 30 * DAY);
    if (admin_mask_has(mask, "usage_retention"))
        settings->usage_retention = read_duration(wanted->usage_retention, 400 * DAY);
    if (admin_mask_has(mask, "audit_retention"))
        settings->audit_retention = read_duration(wanted->audit_retention, 0);
    if (admin_mask_has(mask, "max_tokens_per_credential"))
        settings->max_tokens = wanted->max_tokens_per_credential;
    return STATUS_OK;
}

/* What the request makes of the settings that are stored. */
static enum status next_settings(struct admin_call *admin, struct settings *before, struct settings *next)
{
    const Gatehouse__V1__UpdateSettingsRequest *request = (const void *)admin->request;
    TRY(setting_load(admin->work.tx, before));
    TRY(admin_check_etag(admin, request->settings->etag, before->version));
    *next = *before;
    TRY(read_settings(admin, request, next));
    settings_raise(before, next, admin->work.now);
    return STATUS_OK;
}

static enum status add_credential(int64_t credential_id, void *arg)
{
    struct credentials *credentials = arg;
    credentials->ids[credentials->count++] = credential_id;
    return STATUS_OK;
}

/* Counts what stricter limits end, among all tokens. What ends between this and the change is a matter of moments. */
enum status look_at_settings(struct admin_call *admin)
{
    struct settings before, next;
    struct work *work = &admin->work;
    TRY(next_settings(admin, &before, &next));
    struct token_limits now = settings_limits(&before, work->now), then = settings_limits(&next, work->now);
    admin->looked_tokens = admin->looked_credentials = 0;
    admin->looked.count = 0;
    if (then.used_after <= now.used_after && then.issued_after <= now.issued_after)
        return STATUS_OK;
    TRY(token_row_count_ended_by(work->tx, &now, &then, work->now, &admin->looked_tokens, &admin->looked_credentials));
    if (!admin->is_dry)
        return STATUS_OK;
    admin->looked.ids = arena_array(&admin->arena, int64_t, RECENT_CREDENTIALS);
    return token_row_list_ended_by(work->tx, &now, &then, work->now, RECENT_CREDENTIALS, add_credential,
                                   &admin->looked);
}

enum status update_settings(struct admin_call *admin)
{
    RESPOND(Gatehouse__V1__UpdateSettingsResponse, gatehouse__v1__update_settings_response__init);
    struct work *work = &admin->work;
    struct settings before, next;
    admin->subject = "settings";
    if (admin->is_replay) {
        TRY(setting_load(work->tx, &next));
        response->settings = make_settings(admin, &next);
        return admin_impact(admin, 0, &response->impact);
    }
    TRY(next_settings(admin, &before, &next));
    admin_tell_duration(admin, "idle_session_timeout", before.idle_timeout, next.idle_timeout);
    admin_tell_duration(admin, "max_token_life", before.max_token_life, next.max_token_life);
    admin_tell_number(admin, "max_tokens_per_credential", before.max_tokens, next.max_tokens);
    admin_tell_duration(admin, "deletion_retention", before.deletion_retention, next.deletion_retention);
    admin_tell_duration(admin, "usage_retention", before.usage_retention, next.usage_retention);
    admin_tell_duration(admin, "audit_retention", before.audit_retention, next.audit_retention);
    work->tokens_ended = admin->looked_tokens;
    work->credentials_affected = admin->looked_credentials;
    admin->recent = admin->is_dry ? admin->looked : admin->recent;
    admin_tell_ended(admin);
    if (!admin->is_unchanged) {
        TRY(setting_save(work->tx, &next));
        TRY(work_change_settings(work, &next));
    }
    response->settings = make_settings(admin, &next);
    return admin_impact(admin, 0, &response->impact);
}
