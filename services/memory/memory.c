/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/memory.h"

#include "base/must.h"

struct memory *memory_new(size_t max_tokens)
{
    struct memory *memory = must(calloc(1, sizeof *memory));
    *memory = (struct memory){
        .directory = directory_new(),
        .tokens = token_table_new(max_tokens),
        .usage = usage_new(),
        .audit = audit_queue_new(),
        .secrets = secret_uses_new(),
        .throttle = throttle_new(),
    };
    return memory;
}

void memory_free(struct memory *memory)
{
    if (memory == NULL)
        return;
    throttle_free(memory->throttle);
    secret_uses_free(memory->secrets);
    audit_queue_free(memory->audit);
    usage_free(memory->usage);
    token_table_free(memory->tokens);
    directory_free(memory->directory);
    free(memory);
}

struct settings memory_settings(const struct memory *memory)
{
    directory_lock(memory->directory);
    struct settings settings = *directory_settings(memory->directory);
    directory_unlock(memory->directory);
    return settings;
}

bool memory_is_live(const struct memory *memory, const struct token_facts *token, int64_t credential_id,
                    const struct token_limits *limits, int64_t now)
{
    directory_lock(memory->directory);
    const struct credential_facts *credential = directory_find_id(memory->directory, credential_id);
    bool is_live = credential != NULL && token_is_active(token, credential, limits, now);
    directory_unlock(memory->directory);
    return is_live;
}
