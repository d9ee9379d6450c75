/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: live tokens, and the settings that say how long they live. */
#include "api/admin.h"

#include <inttypes.h>
#include <string.h>

#define MINUTE (60 * CLOCK_SECOND)
#define DAY (24 * 60 * MINUTE)

struct token_listing {
    struct admin_call *admin;
    const struct credential *credential;
    struct settings settings;
    int size;
    bool has_more;
    Gatehouse__V1__ListTokensResponse *response;
};

static enum status add_token(const struct token_row *row, void *arg)
{
    struct token_listing *listing = arg;
    struct admin_call *admin = listing->admin;
    Gatehouse__V1__ListTokensResponse *response = listing->response;
    if (response->n_tokens == (size_t)listing->size) {
        listing->has_more = true;
        return STATUS_OK;
    }
    struct memory *memory = admin->calling.api->domain->memory;
    char api[API_MAX + 1];
    uint32_t number = 0;
    int64_t used = token_table_last_used(memory->tokens, &row->key, &number);
    bool is_later = used > row->last_used; /* and not worth a write yet */
    struct token_facts facts = {.key = row->key,
                                .last_used = is_later ? used : row->last_used,
                                .is_narrowed = row->is_narrowed,
                                .roles = row->roles};
    struct credential_facts credential = {.expires = listing->credential->expires,
                                          .effective = listing->credential->effective};
    Gatehouse__V1__TokenInfo *token = arena_new(&admin->arena, Gatehouse__V1__TokenInfo);
    gatehouse__v1__token_info__init(token);
    token->accessor = arena_alloc(&admin->arena, TOKEN_ACCESSOR_LEN + 1);
    token_key_format(&row->key, token->accessor);
    token->client_id = arena_text(&admin->arena, listing->credential->client_id);
    token->issue_time = admin_time(admin, token_key_issued(&row->key));
    token->last_use_time = admin_time(admin, facts.last_used);
    token->expire_time = admin_time(admin, token_expires(&facts, &credential, &listing->settings));
    bool is_known = is_later && usage_api(memory->usage, number, api);
    token->last_api = arena_text(&admin->arena, is_known ? api : row->last_api);
    struct role_set roles = token_roles(&facts, &credential);
    token->roles = admin_role_ids(admin, &roles, &token->n_roles);
    response->tokens[response->n_tokens++] = token;
    return STATUS_OK;
}

enum status list_tokens(struct admin_call *admin)
{
    const Gatehouse__V1__ListTokensRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__ListTokensResponse, gatehouse__v1__list_tokens_response__init);
    struct token_listing listing = {.admin = admin, .response = response};
    struct credential *credential = NULL;
    const char *cursor = NULL;
    struct token_key before;
    memset(before.bytes, 0xff, sizeof before.bytes);
    TRY(admin_load(admin, request->client_id, &credential));
    listing.size = page_size(request->page_size);
    TRY(page_read(admin, request->page_token, request->client_id, &cursor));
    if (cursor[0] != '\0' && !token_key_parse(cursor, &before))
        return STATUS_INTERNAL;
    listing.credential = credential;
    listing.settings = memory_settings(admin->calling.api->domain->memory);
    response->tokens = arena_array(&admin->arena, Gatehouse__V1__TokenInfo *, (size_t)listing.size);
    if (credential_state(credential->deleted, credential->expires, admin->work.now) != CREDENTIAL_LIVE)
        return STATUS_OK;
    struct token_limits limits = settings_limits(&listing.settings, admin->work.now);
    if (cursor[0] == '\0')
        TRY(token_row_count_live(admin->work.tx, credential->id, credential->epoch, &limits, &response->total_size));
    TRY(token_row_list(admin->work.tx, credential->id, credential->epoch, &limits, &before, listing.size + 1, add_token,
                       &listing));
    if (listing.has_more)
        response->next_page_token =
            page_make(admin, request->client_id, response->tokens[response->n_tokens - 1]->accessor);
    return STATUS_OK;
}

enum status end_token(struct admin_call *admin)
{
    const Gatehouse__V1__EndTokenRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__EndTokenResponse, gatehouse__v1__end_token_response__init);
    struct token_key key;
    if (!token_key_parse(request->accessor, &key))
        return STATUS_INTERNAL; /* the contract's pattern is that of an accessor */
    bool was_live = false;
    admin->subject = request->accessor;
    if (admin->is_replay)
        return admin_impact(admin, 0, &response->impact);
    TRY(revoke_token(&admin->work, &key, &was_live));
    admin->work.tokens_ended = admin->work.credentials_affected = was_live;
    return admin_impact(admin, 0, &response->impact);
}

enum status end_tokens(struct admin_call *admin)
{
    const Gatehouse__V1__EndTokensRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__EndTokensResponse, gatehouse__v1__end_tokens_response__init);
    struct credential *credential = NULL;
    TRY(admin_load(admin, request->client_id, &credential));
    TRY(admin_check_etag(admin, request->etag, credential->version));
    if (admin->is_replay)
        return admin_impact(admin, 0, &response->impact);
    TRY(credential_end_tokens(&admin->work, credential));
    admin->detail = arena_format(&admin->arena, "tokens ended: %" PRId64, admin->work.tokens_ended);
    return admin_impact(admin, credential->id, &response->impact);
}

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

/* Counts what stricter limits end, among all tokens. What ends between this and the change is a matter of moments. */
enum status look_at_settings(struct admin_call *admin)
{
    struct settings before, next;
    struct work *work = &admin->work;
    TRY(next_settings(admin, &before, &next));
    struct token_limits now = settings_limits(&before, work->now), then = settings_limits(&next, work->now);
    admin->looked_tokens = admin->looked_credentials = 0;
    if (then.used_after <= now.used_after && then.issued_after <= now.issued_after)
        return STATUS_OK;
    return token_row_count_ended_by(work->tx, &now, &then, work->now, &admin->looked_tokens,
                                    &admin->looked_credentials);
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
    work->tokens_ended = admin->looked_tokens;
    work->credentials_affected = admin->looked_credentials;
    admin_tell_ended(admin);
    if (!admin->is_unchanged) {
        TRY(setting_save(work->tx, &next));
        TRY(work_change_settings(work, &next));
    }
    response->settings = make_settings(admin, &next);
    return admin_impact(admin, 0, &response->impact);
}
