/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/change.h"

void change_apply(struct memory *memory, const struct change *change)
{
    switch (change->kind) {
    case CHANGE_CREDENTIAL:
        directory_put_credential(memory->directory, change->facts);
        break;
    case CHANGE_TOKEN:
        token_table_remove(memory->tokens, change->token);
        break;
    case CHANGE_SETTINGS:
        directory_put_settings(memory->directory, change->settings);
        break;
    case CHANGE_ROLE:
        directory_put_role(memory->directory, change->role);
        break;
    case CHANGE_PURGE:
        directory_purge(memory->directory, change->credential_id);
        break;
    case CHANGE_ALL:
        break;
    }
}

void change_apply_all(struct memory *memory, const struct directory_content *content)
{
    directory_replace(memory->directory, content);
    token_table_clear(memory->tokens);
}

void change_forget_token(struct memory *memory, const struct token_key *key)
{
    token_table_remove(memory->tokens, key);
}
