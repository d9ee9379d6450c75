/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: live tokens. */
#include "api/admin.h"

#include <inttypes.h>
#include <string.h>

struct token_listing {
    struct admin_call *admin;
    const struct credential *credential;
    struct settings settings;
    int size;
    bool has_more;
    Gatehouse__V1__ListTokensResponse *response;
};

/* A token_each_fn, of list_tokens: within its statement. */
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
                                          .effective = listing->credential->effective,
                                          .limits = listing->credential->limits};
    Gatehouse__V1__TokenInfo *token = arena_new(&admin->arena, Gatehouse__V1__TokenInfo);
    gatehouse__v1__token_info__init(token);
    token->accessor = arena_alloc(&admin->arena, TOKEN_ACCESSOR_LEN + 1);
    token_key_format(&row->key, token->accessor);
    token->client_id = arena_text(&admin->arena, listing->credential->client_id);
    token->issue_time = admin_time(admin, token_key_issued(&row->key));
    token->last_use_time = admin_time(admin, facts.last_used);
    token->expire_time = admin_time(admin, token_expires(&facts, &credential, &listing->settings));
    if (is_later && !usage_api(memory->usage, number, api)) /* nor is it what the row has, which is older */
        api[0] = '\0';
    token->last_api = arena_text(&admin->arena, is_later ? api : row->last_api);
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
    if (credential_state(credential->deleted, credential->suspended, credential->expires, admin->work.now) !=
        CREDENTIAL_LIVE)
        return STATUS_OK;
    struct token_limits limits = own_token_limits(&credential->limits, &listing.settings, admin->work.now);
    if (cursor[0] == '\0')
        TRY(token_row_count_live(admin->work.tx, credential->id, credential->epoch, &limits, &response->total_size));
    TRY(token_row_list(admin->work.tx, credential->id, credential->epoch, &limits, &before, listing.size + 1, add_token,
                       &listing));
    if (listing.has_more)
        response->next_page_token =
            page_make(admin, request->client_id, response->tokens[response->n_tokens - 1]->accessor);
    return STATUS_OK;
}

/* May the caller end it? By the credential that it was issued to. */
static enum status check_token(struct admin_call *admin, const struct token_key *key)
{
    int64_t id = 0;
    struct credential *credential = NULL;
    TRY(revoke_find(&admin->work, key, &id));
    if (id == 0)
        return STATUS_OK;
    enum status status = credential_row_load_id(admin->work.tx, &admin->arena, id, admin->work.now, &credential);
    if (status == STATUS_NOT_FOUND) /* purged, and its tokens are dead */
        return STATUS_OK;
    TRY(status);
    return admin_check_touch(admin, credential);
}

enum status end_token(struct admin_call *admin)
{
    const Gatehouse__V1__EndTokenRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__EndTokenResponse, gatehouse__v1__end_token_response__init);
    struct token_key key;
    if (!token_key_parse(request->accessor, &key))
        return STATUS_INTERNAL; /* the contract's pattern is that of an accessor */
    int64_t credential_id = 0;
    admin->subject = request->accessor;
    if (admin->is_replay)
        return admin_impact(admin, 0, &response->impact);
    TRY(check_token(admin, &key));
    TRY(revoke_token(&admin->work, &key, &credential_id));
    admin->work.tokens_ended = admin->work.credentials_affected = credential_id != 0;
    return admin_impact(admin, credential_id, &response->impact);
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
