/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/change.h"

#include <string.h>

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

static bool find_client_id(struct directory *directory, int64_t credential_id, char client_id[CLIENT_ID_LEN + 1])
{
    struct credential_entry *entry;
    uint64_t turn;
    do {
        turn = directory_begin(directory);
        entry = directory_find_id(directory, credential_id);
        if (entry != NULL)
            memcpy(client_id, directory_client_id(entry), CLIENT_ID_LEN + 1);
    } while (!directory_end(directory, turn));
    return entry != NULL;
}

/* W8: whatever ends or narrows a token is told; what is not known to end none may end any. */
struct ring_event change_event(struct memory *memory, struct position position, const struct change *change)
{
    struct ring_event event = {.position = position, .kind = RING_ALL};
    switch (change->kind) {
    case CHANGE_CREDENTIAL:
        event.kind = RING_CREDENTIAL;
        memcpy(event.client_id, change->facts->client_id, sizeof event.client_id);
        break;
    case CHANGE_TOKEN:
        event.kind = RING_TOKEN;
        event.token = *change->token;
        break;
    case CHANGE_PURGE:
        if (find_client_id(memory->directory, change->credential_id, event.client_id))
            event.kind = RING_CREDENTIAL;
        break;
    case CHANGE_SETTINGS:
    case CHANGE_ROLE:
    case CHANGE_ALL:
        break;
    }
    return event;
}

/* W2: obeyed, then in the ring, then the position of every answer; and all that before it is acknowledged. */
void change_pass(struct memory *memory, const struct ring_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ring_add(memory->ring, &events[i]);
    if (count > 0)
        directory_set_position(memory->directory, events[count - 1].position);
}

/* W6: who watches is reset before it is told anything else. */
void change_apply_all(struct memory *memory, const struct directory_content *content, struct position position,
                      enum ring_cause cause)
{
    directory_replace(memory->directory, content);
    token_table_clear(memory->tokens);
    ring_restart(memory->ring, position, cause);
    directory_set_position(memory->directory, position);
}

void change_forget_token(struct memory *memory, const struct token_key *key)
{
    token_table_remove(memory->tokens, key);
}
