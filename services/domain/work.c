/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/work.h"

#include "base/must.h"
#include "domain/follow.h"
#include "memory/change.h"
#include "records/change_log.h"

#include <stdlib.h>
#include <string.h>

/* A change, and what it points to. */
struct own_change {
    struct own_change *next;
    struct position position;
    struct change change;
    struct token_key key;
    struct settings settings;
    struct role role;
};

static void free_change(struct own_change *own)
{
    if (own->change.kind == CHANGE_CREDENTIAL)
        credential_facts_free(own->change.facts);
    free(own);
}

void work_reset(struct work *work)
{
    while (work->changes != NULL) {
        struct own_change *own = work->changes;
        work->changes = own->next;
        free_change(own);
    }
    work->position = (struct position){0};
    work->tokens_ended = 0;
    work->credentials_affected = 0;
    work->takes_administration = ADMINISTRATION_NONE;
}

void work_begin(struct work *work, struct store_tx *tx)
{
    work_reset(work);
    work->tx = tx;
    work->now = clock_now(work->clock);
    work->settings = memory_settings(work->memory);
}

static struct own_change *add(struct work *work, enum change_kind kind)
{
    struct own_change *own = must(calloc(1, sizeof *own));
    own->change.kind = kind;
    own->next = work->changes;
    work->changes = own;
    return own;
}

/* Not 0, which stands for none. */
static int64_t make_change_id(void)
{
    int64_t id = 0;
    while (id == 0)
        crypto_random(&id, sizeof id);
    return id;
}

static enum status append_log(struct work *work, struct own_change *own, const void *subject, size_t len)
{
    TRY(change_log_next(work->tx, &own->position.revision));
    own->position.change_id = make_change_id();
    work->position = own->position;
    const struct change_row row = {
        .position = own->position, .kind = own->change.kind, .subject = subject, .subject_len = len};
    return change_log_append(work->tx, &row, work->now);
}

enum status work_change_credential(struct work *work, struct credential_facts *facts)
{
    struct own_change *own = add(work, CHANGE_CREDENTIAL);
    own->change.facts = facts;
    return append_log(work, own, facts->client_id, CLIENT_ID_LEN);
}

enum status work_change_token(struct work *work, const struct token_key *key)
{
    struct own_change *own = add(work, CHANGE_TOKEN);
    own->key = *key;
    own->change.token = &own->key;
    return append_log(work, own, key->bytes, TOKEN_KEY_BYTES);
}

enum status work_change_settings(struct work *work, const struct settings *settings)
{
    struct own_change *own = add(work, CHANGE_SETTINGS);
    own->settings = *settings;
    own->change.settings = &own->settings;
    return append_log(work, own, "", 0);
}

enum status work_change_role(struct work *work, const struct role *role)
{
    struct own_change *own = add(work, CHANGE_ROLE);
    own->role = *role;
    own->change.role = &own->role;
    return append_log(work, own, role->id, strlen(role->id));
}

enum status work_change_purge(struct work *work, int64_t credential_id)
{
    struct own_change *own = add(work, CHANGE_PURGE);
    own->change.credential_id = credential_id;
    return append_log(work, own, &credential_id, sizeof credential_id);
}

enum status work_change_all(struct work *work)
{
    return append_log(work, add(work, CHANGE_ALL), "", 0);
}

size_t work_credentials(const struct work *work, int64_t *ids, size_t most)
{
    size_t count = 0;
    for (const struct own_change *own = work->changes; own != NULL && count < most; own = own->next) {
        if (own->change.kind != CHANGE_CREDENTIAL)
            continue;
        bool is_there = false;
        for (size_t i = 0; i < count; i++)
            is_there = is_there || ids[i] == own->change.facts->id;
        if (!is_there)
            ids[count++] = own->change.facts->id;
    }
    return count;
}

/* Where others write, too, theirs may be missing before it: the log will say when the position moves. And unless it is
 * the next one, what is known cannot be compared with it: only what ends is obeyed. */
static void obey(struct work *work, struct own_change *own)
{
    bool is_next = work->follow == NULL || follow_begin_own(work->follow, own->position);
    const struct ring_event event = change_event(work->memory, own->position, &own->change);
    if (is_next || own->change.kind == CHANGE_TOKEN) {
        change_apply(work->memory, &own->change);
        if (own->change.kind == CHANGE_CREDENTIAL)
            own->change.facts = NULL; /* memory has it now */
    }
    if (work->follow == NULL)
        change_pass(work->memory, &event, 1);
    else
        follow_end_own(work->follow);
}

void work_apply(struct work *work)
{
    struct own_change *oldest_first = NULL;
    while (work->changes != NULL) {
        struct own_change *own = work->changes;
        work->changes = own->next;
        own->next = oldest_first;
        oldest_first = own;
    }
    while (oldest_first != NULL) {
        struct own_change *own = oldest_first;
        oldest_first = own->next;
        obey(work, own);
        free_change(own);
    }
}
