/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/credential.h"

#include "domain/administrator.h"
#include "records/counter.h"
#include "records/credential_facts.h"
#include "records/secret.h"
#include "records/token.h"

#include <stdio.h>

static enum status save(struct work *work, struct credential *credential)
{
    credential->version++;
    credential->updated = work->now;
    TRY(credential_row_save(work->tx, credential));
    return work_change_credential(work, credential_facts_new(credential));
}

static enum credential_state state_of(const struct work *work, const struct credential *credential)
{
    return credential_state(credential->deleted, credential->suspended, credential->expires, work->now);
}

/* What it was, and now is. */
static void note_administrator(struct work *work, const struct administrator_state *was,
                               const struct credential *credential)
{
    struct administrator_state is = administrator_state(work, credential);
    administrator_note(work, was, &is);
}

static enum status count_live(struct work *work, const struct credential *credential, const struct own_limits *limits,
                              int64_t *ret_live)
{
    struct token_limits held = own_token_limits(limits, &work->settings, work->now);
    return token_row_count_live(work->tx, credential->id, credential->epoch, &held, ret_live);
}

static void note_ended(struct work *work, int64_t tokens)
{
    work->tokens_ended += tokens;
    work->credentials_affected += tokens > 0;
}

/* From the commit on, every token of an earlier epoch has ended. Where the credential was not live before the change,
 * they had ended already and are not counted. */
static enum status move_epoch(struct work *work, struct credential *credential, bool was_live)
{
    int64_t live = 0;
    if (was_live)
        TRY(count_live(work, credential, &credential->limits_stored, &live));
    note_ended(work, live);
    credential->epoch++;
    return STATUS_OK;
}

/* Puts a new secret key before the others; the last one falls out of the array if there were two. */
static enum status add_secret(struct work *work, struct credential *credential, char text[static SECRET_TEXT_LEN + 1])
{
    secret_text_new(crypto_random, text);
    struct credential_secret secret = {.created = work->now};
    crypto_sha256(text, SECRET_TEXT_LEN, secret.digest);
    snprintf(secret.hint, sizeof secret.hint, "%s", text + SECRET_TEXT_LEN - SECRET_HINT_LEN);
    TRY(counter_next(work->tx, "secret_id", &secret.id));
    TRY(secret_row_insert(work->tx, credential->id, &secret));
    if (credential->secret_count > 0)
        credential->secrets[1] = credential->secrets[0];
    credential->secrets[0] = secret;
    credential->secret_count = credential->secret_count > 0 ? 2 : 1;
    return STATUS_OK;
}

static struct credential_grant new_grant(const struct work *work, int role)
{
    return (struct credential_grant){.role = role, .granted = work->now, .granted_by = work->actor, .revoked_by = ""};
}

enum status credential_create(struct work *work, struct credential *credential, const struct role_set *roles,
                              char secret[static SECRET_TEXT_LEN + 1])
{
    TRY(counter_next(work->tx, "credential_id", &credential->id));
    uint8_t random[CLIENT_ID_BYTES];
    crypto_random(random, sizeof random);
    credential_client_id(random, credential->client_id);
    credential->created = credential->updated = work->now;
    credential->announce = end_announced_next(credential->expires, work->now);
    credential->created_by = work->actor;
    credential->last_from = "";
    credential->epoch = credential->version = 1;
    credential->granted = *roles;
    TRY(credential_row_insert(work->tx, credential));
    for (int role = 0; role < ROLES_MAX; role++)
        if (role_set_has(roles, role)) {
            struct credential_grant *grant = &credential->grants[credential->grant_count++];
            *grant = new_grant(work, role);
            TRY(credential_role_grant(work->tx, credential->id, grant));
        }
    TRY(add_secret(work, credential, secret));
    TRY(credential_row_load_owner(work->tx, credential));
    return work_change_credential(work, credential_facts_new(credential));
}

/* Its limits are others now: those that were within their times, and no more are. */
static enum status move_limits(struct work *work, const struct credential *credential)
{
    int64_t before = 0, after = 0;
    TRY(count_live(work, credential, &credential->limits_stored, &before));
    TRY(count_live(work, credential, &credential->limits, &after));
    note_ended(work, before - after);
    return STATUS_OK;
}

enum status credential_update(struct work *work, struct credential *credential)
{
    struct arena arena = {0};
    struct credential *before = NULL;
    enum status status = credential_row_load_id(work->tx, &arena, credential->id, work->now, &before);
    if (status == STATUS_OK)
        status = credential_row_load_owner(work->tx, credential);
    if (status == STATUS_OK) {
        /* What had expired stays so when the date is moved on; what expires by this edit is counted. */
        enum credential_state was = state_of(work, before), is = state_of(work, credential);
        own_limits_raise(&before->limits, &credential->limits, &work->settings, work->now);
        if (was == CREDENTIAL_EXPIRED || is == CREDENTIAL_EXPIRED ||
            !role_set_equal(&before->effective, &credential->effective))
            status = move_epoch(work, credential, was == CREDENTIAL_LIVE);
        else if (was == CREDENTIAL_LIVE)
            status = move_limits(work, credential);
        if (credential->expires != before->expires)
            credential->announce = end_announced_next(credential->expires, work->now);
        struct administrator_state administered = administrator_state(work, before);
        note_administrator(work, &administered, credential);
    }
    arena_done(&arena);
    TRY(status);
    return save(work, credential);
}

enum status credential_delete(struct work *work, struct credential *credential)
{
    struct administrator_state was = administrator_state(work, credential);
    TRY(move_epoch(work, credential, state_of(work, credential) == CREDENTIAL_LIVE));
    credential->deleted = work->now;
    note_administrator(work, &was, credential);
    return save(work, credential);
}

enum status credential_undelete(struct work *work, struct credential *credential)
{
    credential->deleted = 0;
    return save(work, credential);
}

enum status credential_suspend(struct work *work, struct credential *credential)
{
    struct administrator_state was = administrator_state(work, credential);
    TRY(move_epoch(work, credential, state_of(work, credential) == CREDENTIAL_LIVE));
    credential->suspended = work->now;
    credential->warned = 0;
    note_administrator(work, &was, credential);
    return save(work, credential);
}

enum status credential_resume(struct work *work, struct credential *credential)
{
    TRY(move_epoch(work, credential, false)); /* whatever an older program may have issued meanwhile */
    credential->suspended = 0;
    credential->resumed = work->now;
    return save(work, credential);
}

static struct credential_grant *find_grant(struct credential *credential, int role)
{
    for (int i = 0; i < credential->grant_count; i++)
        if (credential->grants[i].role == role)
            return &credential->grants[i];
    return NULL;
}

static enum status change_role(struct work *work, struct credential *credential, int role, bool is_grant)
{
    struct credential_grant *grant = find_grant(credential, role);
    if (is_grant) {
        if (grant == NULL)
            grant = &credential->grants[credential->grant_count++];
        *grant = new_grant(work, role);
        role_set_add(&credential->granted, role);
        return credential_role_grant(work->tx, credential->id, grant);
    }
    grant->revoked = work->now;
    grant->revoked_by = work->actor;
    role_set_remove(&credential->granted, role);
    return credential_role_revoke(work->tx, credential->id, grant);
}

enum status credential_change_roles(struct work *work, struct credential *credential, const struct role_set *grant,
                                    const struct role_set *revoke)
{
    struct role_set granted_before = credential->granted;
    struct administrator_state was = administrator_state(work, credential);
    for (int role = 0; role < ROLES_MAX; role++) {
        if (role_set_has(grant, role) && !role_set_has(&credential->granted, role))
            TRY(change_role(work, credential, role, true));
        if (role_set_has(revoke, role) && role_set_has(&credential->granted, role))
            TRY(change_role(work, credential, role, false));
    }
    if (role_set_equal(&granted_before, &credential->granted))
        return STATUS_OK;
    credential->effective = credential_effective(&credential->granted, credential->owner, &credential->owner_has);
    if (!role_set_equal(&was.effective, &credential->effective))
        TRY(move_epoch(work, credential, state_of(work, credential) == CREDENTIAL_LIVE));
    note_administrator(work, &was, credential);
    return save(work, credential);
}

enum status credential_regenerate(struct work *work, struct credential *credential, int64_t overlap,
                                  char secret[static SECRET_TEXT_LEN + 1])
{
    int64_t now = clock_sober(work->clock); /* others will compare the end with theirs */
    for (int i = 0; i < credential->secret_count; i++) {
        struct credential_secret *old = &credential->secrets[i];
        bool lives_on = i == 0 && overlap > 0;
        int64_t ends = lives_on ? now + overlap : SECRET_ENDS_NOW;
        if (old->ends != 0 && old->ends < ends)
            ends = old->ends;
        TRY(secret_row_end(work->tx, old->id, ends, end_announced_next(ends, now)));
        old->ends = ends;
    }
    credential->secret_count = overlap > 0 && credential->secret_count > 0 ? 1 : 0;
    TRY(add_secret(work, credential, secret));
    if (overlap == 0)
        TRY(move_epoch(work, credential, state_of(work, credential) == CREDENTIAL_LIVE));
    return save(work, credential);
}

enum status credential_end_secret(struct work *work, struct credential *credential, int64_t secret_id)
{
    for (int i = 0; i < credential->secret_count; i++) {
        if (credential->secrets[i].id != secret_id || secret_has_ended(credential->secrets[i].ends, work->now))
            continue;
        struct administrator_state was = administrator_state(work, credential);
        TRY(secret_row_end(work->tx, credential->secrets[i].id, SECRET_ENDS_NOW, 0));
        if (i == 0)
            credential->secrets[0] = credential->secrets[1];
        credential->secret_count--;
        note_administrator(work, &was, credential);
        return save(work, credential);
    }
    return STATUS_NOT_FOUND;
}

enum status credential_mend(struct work *work, int64_t id, int64_t latest)
{
    struct arena arena = {0};
    struct credential *credential = NULL;
    enum status status = credential_row_load_id(work->tx, &arena, id, work->now, &credential);
    if (status == STATUS_OK && own_limits_mend(&credential->limits, &work->settings, latest, work->now))
        status = save(work, credential);
    arena_done(&arena);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status credential_end_tokens(struct work *work, struct credential *credential)
{
    TRY(move_epoch(work, credential, state_of(work, credential) == CREDENTIAL_LIVE));
    return save(work, credential);
}
