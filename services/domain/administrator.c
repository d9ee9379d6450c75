/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/administrator.h"

#include "domain/credential.h"
#include "records/audit.h"

#include <stdio.h>

#define SOON (24 * 3600 * CLOCK_SECOND)

static enum administration level_of(const struct administrator_state *state, int role, int64_t now)
{
    if (!role_set_has(&state->effective, role) || state->until <= now)
        return ADMINISTRATION_NONE;
    return state->until > now + SOON ? ADMINISTRATION_LASTING : ADMINISTRATION_NOW;
}

struct administrator_state administrator_state(const struct work *work, const struct credential *credential)
{
    int64_t ends[SECRETS_MAX];
    for (int i = 0; i < credential->secret_count; i++)
        ends[i] = credential->secrets[i].ends;
    enum credential_state state =
        credential_state(credential->deleted, credential->suspended, credential->expires, work->now);
    return (struct administrator_state){
        credential_usable_until(state, credential->expires, ends, credential->secret_count, work->now),
        credential->effective};
}

void administrator_note(struct work *work, const struct administrator_state *was, const struct administrator_state *is)
{
    int role = directory_role_number(work->memory->directory, ROLE_USER_MANAGER);
    enum administration before = level_of(was, role, work->now), after = level_of(is, role, work->now);
    if (after < before && before > work->takes_administration)
        work->takes_administration = before;
}

enum status administrator_check(struct work *work)
{
    bool is_held = true;
    int role = directory_role_number(work->memory->directory, ROLE_USER_MANAGER);
    int64_t at = work->takes_administration == ADMINISTRATION_LASTING ? work->now + SOON : work->now;
    if (work->takes_administration != ADMINISTRATION_NONE)
        TRY(credential_role_is_held(work->tx, role, at, 0, &is_held));
    return is_held ? STATUS_OK : STATUS_FAILED_PRECONDITION;
}

enum status administrator_is_last(struct work *work, const struct credential *credential, bool *ret_is_last)
{
    bool is_held = true;
    int role = directory_role_number(work->memory->directory, ROLE_USER_MANAGER);
    if (role_set_has(&credential->effective, role))
        TRY(credential_role_is_held(work->tx, role, work->now + SOON, credential->id, &is_held));
    *ret_is_last = !is_held;
    return STATUS_OK;
}

struct first {
    struct work *work;
    const char *name;
    char *client_id;
    char *secret;
};

static enum status create_first_tx(struct store_tx *tx, void *arg)
{
    struct first *first = arg;
    struct work *work = first->work;
    struct role_set roles = {0};
    role_set_add(&roles, directory_role_number(work->memory->directory, ROLE_USER_MANAGER));
    role_set_add(&roles, directory_role_number(work->memory->directory, ROLE_RESOURCE_SERVER));
    work_begin(work, tx);
    struct credential *credential = arena_new(work->arena, struct credential);
    credential->name = first->name;
    credential->owner = credential->contact = credential->labels = "";
    TRY(credential_create(work, credential, &roles, first->secret));
    snprintf(first->client_id, CLIENT_ID_LEN + 1, "%s", credential->client_id);
    return audit_row_append(tx, &(struct audit_event){
                                    .at = work->now,
                                    .actor = work->actor,
                                    .action = "CreateCredential",
                                    .subject = credential->client_id,
                                    .outcome = status_name(STATUS_OK),
                                    .detail = "the first administrator",
                                });
}

enum status administrator_create(struct store *store, struct work *work, const char *name,
                                 char client_id[static CLIENT_ID_LEN + 1], char secret[static SECRET_TEXT_LEN + 1])
{
    struct first first = {work, name, client_id, secret};
    enum status status = store_write_wait(store, create_first_tx, &first);
    if (status == STATUS_OK)
        work_apply(work);
    work_reset(work);
    return status;
}
