/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: settings of the installation. */
#include "api/admin.h"
#include "base/must.h"

#include <stddef.h>

/* Those of the contract: of each the field, the member, the default. */
static const struct row {
    const char *field;
    size_t member;
    int64_t otherwise;
} rows[] = {
#define ROW(member, name, field, otherwise) {field, offsetof(struct settings, member), otherwise},
    SETTINGS(ROW)
#undef ROW
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static int64_t *member_of(const struct settings *settings, const struct row *row)
{
    return (int64_t *)(void *)((char *)(uintptr_t)settings + row->member);
}

/* Its field: a duration or a number. */
static const ProtobufCFieldDescriptor *field_of(const struct row *row)
{
    const ProtobufCMessageDescriptor *descriptor = &gatehouse__v1__settings__descriptor;
    return must((void *)(uintptr_t)protobuf_c_message_descriptor_get_field_by_name(descriptor, row->field));
}

static void *value_of(const Gatehouse__V1__Settings *message, const struct row *row)
{
    return (char *)(uintptr_t)message + field_of(row)->offset;
}

static bool is_number(const struct row *row)
{
    return field_of(row)->type == PROTOBUF_C_TYPE_INT32;
}

static Gatehouse__V1__Settings *make_settings(struct admin_call *admin, const struct settings *settings)
{
    Gatehouse__V1__Settings *message = arena_new(&admin->arena, Gatehouse__V1__Settings);
    gatehouse__v1__settings__init(message);
    for (const struct row *row = rows; row < rows + ROWS; row++) {
        int64_t value = row->field == NULL ? 0 : *member_of(settings, row);
        if (row->field == NULL || (value == 0 && row->otherwise == 0))
            continue;
        if (is_number(row))
            *(int32_t *)value_of(message, row) = (int32_t)value;
        else
            *(Google__Protobuf__Duration **)value_of(message, row) = admin_duration(admin, value);
    }
    message->etag = admin_etag(admin, settings->version);
    return message;
}

enum status get_settings(struct admin_call *admin)
{
    RESPOND(Gatehouse__V1__GetSettingsResponse, gatehouse__v1__get_settings_response__init);
    struct settings settings;
    TRY(setting_row_load(admin->work.tx, &settings));
    response->settings = make_settings(admin, &settings);
    return STATUS_OK;
}

/* A field that is named and empty goes back to its default. */
static enum status read_settings(struct admin_call *admin, const Gatehouse__V1__UpdateSettingsRequest *request,
                                 struct settings *settings)
{
    for (const struct row *row = rows; row < rows + ROWS; row++) {
        if (row->field == NULL || !admin_mask_has(request->update_mask, row->field))
            continue;
        const void *value = value_of(request->settings, row);
        *member_of(settings, row) = is_number(row)
                                        ? *(const int32_t *)value
                                        : read_duration(*(Google__Protobuf__Duration *const *)value, row->otherwise);
    }
    if (settings->idle_timeout % CLOCK_SECOND != 0)
        return call_fail_field(admin_fails(admin), "settings.idle_session_timeout", "INVALID_FIELD",
                               "settings.idle_session_timeout must be whole seconds");
    return STATUS_OK;
}

static void tell_settings(struct admin_call *admin, const struct settings *before, const struct settings *next)
{
    for (const struct row *row = rows; row < rows + ROWS; row++) {
        if (row->field == NULL)
            continue;
        int64_t was = *member_of(before, row), is = *member_of(next, row);
        if (is_number(row))
            admin_tell_number(admin, row->field, was, is);
        else
            admin_tell_duration(admin, row->field, was, is);
    }
}

/* What the request makes of the settings that are stored. */
static enum status next_settings(struct admin_call *admin, struct settings *before, struct settings *next)
{
    const Gatehouse__V1__UpdateSettingsRequest *request = (const void *)admin->request;
    TRY(setting_row_load(admin->work.tx, before));
    TRY(admin_check_etag(admin, request->settings->etag, before->version));
    *next = *before;
    TRY(read_settings(admin, request, next));
    settings_raise(before, next, admin->work.now);
    return STATUS_OK;
}

/* A token_credential_fn, of token_row_list_ended_by. */
static enum status add_credential(int64_t credential_id, void *arg)
{
    struct credentials *credentials = arg;
    credentials->ids[credentials->count++] = credential_id;
    return STATUS_OK;
}

/* A token of a credential that has limits of its own, which may leave it what the settings would end. */
struct limited {
    struct admin_call *admin;
    const struct settings *before, *next;
    int64_t last; /* credential that was counted */
};

/* A token_page_fn. */
static enum status look_at_limited(const struct token_row *row, const struct token_holder *holder, void *arg)
{
    struct limited *limited = arg;
    struct admin_call *admin = limited->admin;
    const struct token_facts token = {.key = row->key, .last_used = row->last_used, .epoch = row->epoch};
    const struct credential_facts credential = {.epoch = holder->epoch,
                                                .expires = holder->expires,
                                                .deleted = holder->deleted,
                                                .suspended = holder->suspended,
                                                .limits = holder->limits};
    if (!token_is_active(&token, &credential, limited->before, admin->work.now) ||
        token_is_active(&token, &credential, limited->next, admin->work.now))
        return STATUS_OK;
    admin->looked_tokens++;
    if (row->credential_id == limited->last)
        return STATUS_OK;
    limited->last = row->credential_id;
    admin->looked_credentials++;
    return admin->looked.count < RECENT_CREDENTIALS ? add_credential(row->credential_id, &admin->looked) : STATUS_OK;
}

/* Counts what stricter limits end, among all tokens. What ends between this and the change is a matter of moments. */
enum status look_at_settings(struct admin_call *admin)
{
    struct settings before, next;
    struct work *work = &admin->work;
    TRY(next_settings(admin, &before, &next));
    struct token_limits now = settings_limits(&before, work->now), then = settings_limits(&next, work->now);
    struct limited limited = {.admin = admin, .before = &before, .next = &next};
    admin->looked_tokens = admin->looked_credentials = 0;
    admin->looked.count = 0;
    if (then.used_after <= now.used_after && then.issued_after <= now.issued_after)
        return STATUS_OK;
    TRY(token_row_count_ended_by(work->tx, &now, &then, work->now, &admin->looked_tokens, &admin->looked_credentials));
    admin->looked.ids = arena_array(&admin->arena, int64_t, RECENT_CREDENTIALS);
    if (admin->is_dry)
        TRY(token_row_list_ended_by(work->tx, &now, &then, work->now, RECENT_CREDENTIALS, add_credential,
                                    &admin->looked));
    return token_row_each_limited(work->tx, look_at_limited, &limited);
}

enum status update_settings(struct admin_call *admin)
{
    RESPOND(Gatehouse__V1__UpdateSettingsResponse, gatehouse__v1__update_settings_response__init);
    struct work *work = &admin->work;
    struct settings before, next;
    admin->subject = "settings";
    if (admin->is_replay) {
        TRY(setting_row_load(work->tx, &next));
        response->settings = make_settings(admin, &next);
        return admin_impact(admin, 0, &response->impact);
    }
    TRY(next_settings(admin, &before, &next));
    tell_settings(admin, &before, &next);
    work->tokens_ended = admin->looked_tokens;
    work->credentials_affected = admin->looked_credentials;
    admin->recent = admin->is_dry ? admin->looked : admin->recent;
    admin_tell_ended(admin);
    if (!admin->is_unchanged) {
        TRY(setting_row_save(work->tx, &next));
        TRY(work_change_settings(work, &next));
    }
    response->settings = make_settings(admin, &next);
    return admin_impact(admin, 0, &response->impact);
}
