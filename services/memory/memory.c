/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/memory.h"

#include "base/must.h"

struct memory *memory_new(size_t max_tokens)
{
    struct memory *memory = must(calloc(1, sizeof *memory));
    *memory = (struct memory){
        .directory = directory_new(),
        .ring = ring_new(),
        .tokens = token_table_new(max_tokens),
        .usage = usage_new(),
        .audit = audit_queue_new(),
        .secrets = secret_uses_new(),
        .sources = source_uses_new(),
        .throttle = throttle_new(),
        .observed = observed_new(),
    };
    return memory;
}

void memory_free(struct memory *memory)
{
    if (memory == NULL)
        return;
    observed_free(memory->observed);
    throttle_free(memory->throttle);
    source_uses_free(memory->sources);
    secret_uses_free(memory->secrets);
    audit_queue_free(memory->audit);
    usage_free(memory->usage);
    token_table_free(memory->tokens);
    ring_free(memory->ring);
    directory_free(memory->directory);
    free(memory);
}

void memory_look(const struct memory *memory, const struct token_key *key, struct memory_view *ret_view)
{
    struct directory *directory = memory->directory;
    ret_view->position = directory_position(directory); /* W3: before the token, a lower bound */
    ret_view->is_known = token_table_get(memory->tokens, key, &ret_view->token, &ret_view->generation);
    ret_view->turn = directory_begin(directory);
    ret_view->settings = directory_settings(directory);
    if (ret_view->is_known)
        ret_view->credential = directory_facts(ret_view->token.credential, &ret_view->facts);
}

void memory_look_row(const struct memory *memory, const struct token_facts *token, int64_t credential_id,
                     struct memory_view *ret_view)
{
    struct directory *directory = memory->directory;
    struct token_facts *seen = &ret_view->token;
    int64_t used = token_table_last_used(memory->tokens, &token->key, NULL);
    ret_view->turn = directory_begin(directory);
    ret_view->settings = directory_settings(directory);
    *seen = *token;
    if (used > seen->last_used)
        seen->last_used = used;
    seen->credential = directory_find_id(directory, credential_id);
    ret_view->is_known = seen->credential != NULL;
    if (ret_view->is_known)
        ret_view->credential = directory_facts(seen->credential, &ret_view->facts);
}

bool memory_look_done(const struct memory *memory, const struct memory_view *view)
{
    return directory_end(memory->directory, view->turn);
}

uint32_t memory_count_use(const struct memory *memory, const struct memory_use *use)
{
    directory_note_use(use->token->credential, use->used);
    if (use->source->kind == SOURCE_ADDRESS)
        source_uses_note(memory->sources, &(struct source_use){use->credential_id, use->used, use->source->address});
    return usage_count(memory->usage, use->credential_id, use->api, use->used, use->is_allowed, use->count);
}

bool memory_note_use(const struct memory *memory, const struct memory_use *use, uint32_t *ret_api)
{
    *ret_api = memory_count_use(memory, use);
    return token_table_touch(memory->tokens, &use->token->key, use->token->last_used, *ret_api);
}

void memory_count_refused(const struct memory *memory, int64_t credential_id, const char *api, int64_t used,
                          int64_t count)
{
    usage_count_refused(memory->usage, credential_id, api, used, count);
}

void memory_count_observed(const struct memory *memory, int64_t credential_id, const char *api, int64_t at,
                           int64_t count)
{
    usage_count_observed(memory->usage, credential_id, api, at, count);
}

struct settings memory_settings(const struct memory *memory)
{
    struct settings settings;
    uint64_t turn;
    do {
        turn = directory_begin(memory->directory);
        settings = *directory_settings(memory->directory);
    } while (!directory_end(memory->directory, turn));
    return settings;
}

struct settings memory_settings_shortest(const struct memory *memory)
{
    struct settings settings = memory_settings(memory);
    int64_t least = directory_idle(memory->directory).least;
    if (least < settings.idle_timeout)
        settings.idle_timeout = least;
    return settings;
}

bool memory_counts_tokens(const struct memory *memory, int64_t credential_id)
{
    struct credential_facts facts;
    bool is_limited;
    uint64_t turn;
    do {
        turn = directory_begin(memory->directory);
        const struct credential_entry *credential = directory_find_id(memory->directory, credential_id);
        is_limited = directory_settings(memory->directory)->max_tokens > 0 ||
                     (credential != NULL && directory_facts(credential, &facts)->limits.of[LIMIT_TOKENS].value != 0);
    } while (!directory_end(memory->directory, turn));
    return is_limited;
}

void memory_note_observed(struct memory *memory, int64_t credential_id, enum limit limit, int64_t at, int64_t count)
{
    observed_note(memory->observed, &(struct observed_count){credential_id, limit, count, at, at});
    memory_note_news(memory);
}

bool memory_is_live(const struct memory *memory, const struct token_facts *token, int64_t credential_id,
                    const struct settings *settings, int64_t now)
{
    struct credential_facts facts;
    bool is_live;
    uint64_t turn;
    do {
        turn = directory_begin(memory->directory);
        const struct credential_entry *credential = directory_find_id(memory->directory, credential_id);
        is_live = credential != NULL && token_is_active(token, directory_facts(credential, &facts), settings, now);
    } while (!directory_end(memory->directory, turn));
    return is_live;
}
