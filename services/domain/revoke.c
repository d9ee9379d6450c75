/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/revoke.h"

#include "records/token.h"
#include "records/token_count.h"

enum status revoke_token(struct work *work, const struct token_key *key, int64_t *ret_credential_id)
{
    struct token_row row;
    *ret_credential_id = 0;
    enum status status = token_row_load(work->tx, key, &row);
    if (status == STATUS_OK) {
        struct token_facts facts = {.key = row.key, .last_used = row.last_used, .epoch = row.epoch};
        if (memory_is_live(work->memory, &facts, row.credential_id, &work->settings, work->now))
            *ret_credential_id = row.credential_id;
        status = token_row_remove(work->tx, key);
        if (status == STATUS_OK && *ret_credential_id != 0 && memory_counts_tokens(work->memory, row.credential_id))
            status = token_count_row_add(work->tx, row.credential_id, row.epoch, -1);
    }
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    return work_change_token(work, key);
}

/* By the store, or by memory where the store does not have the token (any more). */
enum status revoke_find(struct work *work, const struct token_key *key, int64_t *ret_credential_id)
{
    struct token_row row;
    struct token_facts facts;
    uint64_t generation;
    enum status status = token_row_load(work->tx, key, &row);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    *ret_credential_id = status == STATUS_OK ? row.credential_id : 0;
    if (status == STATUS_NOT_FOUND && token_table_get(work->memory->tokens, key, &facts, &generation))
        *ret_credential_id = directory_id(facts.credential);
    return STATUS_OK;
}

enum status revoke_check(struct work *work, const struct token_key *key, int64_t credential_id)
{
    int64_t id = 0;
    TRY(revoke_find(work, key, &id));
    return id != 0 && id != credential_id ? STATUS_PERMISSION_DENIED : STATUS_OK;
}
