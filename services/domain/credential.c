/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/credential.h"

#include "clock.h"
#include "domain/domain.h"
#include "domain/token.h"
#include "domain/user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENDS_NOW = 1 };

/* Loading */

struct loading {
    struct arena *arena;
    struct credential *credential;
    int64_t now;
};

static enum status read_credential(const struct store_row *row, void *arg)
{
    struct loading *loading = arg;
    struct credential *credential = arena_new(loading->arena, struct credential);
    credential->id = store_row_int(row, 0);
    snprintf(credential->client_id, sizeof credential->client_id, "%s", store_row_text(row, 1));
    credential->name = arena_text(loading->arena, store_row_text(row, 2));
    credential->owner = arena_text(loading->arena, store_row_text(row, 3));
    credential->created = store_row_int(row, 4);
    credential->updated = store_row_int(row, 5);
    credential->expires = store_row_int(row, 6);
    credential->deleted = store_row_int(row, 7);
    credential->epoch = store_row_int(row, 8);
    credential->version = store_row_int(row, 9);
    credential->last_used = store_row_int(row, 10);
    credential->created_by = arena_text(loading->arena, store_row_text(row, 11));
    loading->credential = credential;
    return STATUS_OK;
}

static enum status read_grant(const struct store_row *row, void *arg)
{
    struct loading *loading = arg;
    struct credential *credential = loading->credential;
    if (credential->grant_count == ROLES_MAX)
        return STATUS_INTERNAL;
    struct credential_grant *grant = &credential->grants[credential->grant_count++];
    grant->role = (int)store_row_int(row, 0);
    grant->granted = store_row_int(row, 1);
    grant->granted_by = arena_text(loading->arena, store_row_text(row, 2));
    grant->revoked = store_row_int(row, 3);
    grant->revoked_by = arena_text(loading->arena, store_row_text(row, 4));
    if (grant->revoked == 0)
        role_set_add(&credential->granted, grant->role);
    return STATUS_OK;
}

static enum status read_secret(const struct store_row *row, void *arg)
{
    struct loading *loading = arg;
    struct credential *credential = loading->credential;
    size_t len = 0;
    const void *digest = store_row_blob(row, 1, &len);
    if (credential->secret_count == SECRETS_MAX) /* the live and newest come first: this one has ended */
        return STATUS_OK;
    if (len != SHA256_BYTES)
        return STATUS_INTERNAL;
    struct credential_secret *secret = &credential->secrets[credential->secret_count++];
    secret->id = store_row_int(row, 0);
    memcpy(secret->digest, digest, SHA256_BYTES);
    snprintf(secret->hint, sizeof secret->hint, "%s", store_row_text(row, 2));
    secret->created = store_row_int(row, 3);
    secret->ends = store_row_int(row, 4);
    secret->last_used = store_row_int(row, 5);
    return STATUS_OK;
}

struct role_set credential_effective(const struct role_set *granted, const char *owner,
                                     const struct role_set *owner_has)
{
    return owner[0] == '\0' ? *granted : role_set_and(granted, owner_has);
}

static void compute_effective(struct credential *credential)
{
    credential->effective = credential_effective(&credential->granted, credential->owner, &credential->owner_has);
}

static enum status load_owner(struct store_tx *tx, struct credential *credential)
{
    credential->owner_has = credential->owner_had = (struct role_set){0};
    if (credential->owner[0] != '\0')
        TRY(user_load_roles(tx, credential->owner, &credential->owner_has, &credential->owner_had,
                            credential->owner_revoked));
    compute_effective(credential);
    return STATUS_OK;
}

static enum status load_parts(struct store_tx *tx, struct loading *loading, struct credential **ret_credential)
{
    struct credential *credential = loading->credential;
    if (credential == NULL)
        return STATUS_NOT_FOUND;
    TRY(store_run(tx,
                  "SELECT role, granted, granted_by, revoked, revoked_by FROM credential_role WHERE credential = $1"
                  " ORDER BY role",
                  read_grant, loading, store_int(credential->id)));
    TRY(store_run(tx,
                  "SELECT id, digest, hint, created, ends, last_used FROM secret"
                  " WHERE credential = $1 AND ends <> 1 /* ENDS_NOW */"
                  " ORDER BY (ends = 0 OR ends > $2) DESC, id DESC",
                  read_secret, loading, store_int(credential->id), store_int(loading->now)));
    TRY(load_owner(tx, credential));
    *ret_credential = credential;
    return STATUS_OK;
}

#define CREDENTIAL_COLUMNS \
    "id, client_id, name, owner, created, updated, expires, deleted, epoch, version, last_used, created_by"

enum status credential_load(struct store_tx *tx, struct arena *arena, const char *client_id, int64_t now,
                            struct credential **ret_credential)
{
    struct loading loading = {.arena = arena, .now = now};
    TRY(store_run(tx, "SELECT " CREDENTIAL_COLUMNS " FROM credential WHERE client_id = $1", read_credential, &loading,
                  store_text(client_id)));
    return load_parts(tx, &loading, ret_credential);
}

enum status credential_load_id(struct store_tx *tx, struct arena *arena, int64_t id, int64_t now,
                               struct credential **ret_credential)
{
    struct loading loading = {.arena = arena, .now = now};
    TRY(store_run(tx, "SELECT " CREDENTIAL_COLUMNS " FROM credential WHERE id = $1", read_credential, &loading,
                  store_int(id)));
    return load_parts(tx, &loading, ret_credential);
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        abort();
    return copy;
}

struct credential_facts *credential_facts_new(const struct credential *credential)
{
    struct credential_facts *facts = calloc(1, sizeof *facts);
    if (facts == NULL)
        abort();
    facts->id = credential->id;
    memcpy(facts->client_id, credential->client_id, sizeof facts->client_id);
    facts->name = copy_text(credential->name);
    facts->owner = copy_text(credential->owner);
    facts->created = credential->created;
    facts->expires = credential->expires;
    facts->deleted = credential->deleted;
    facts->epoch = credential->epoch;
    facts->version = credential->version;
    facts->granted = credential->granted;
    facts->effective = credential->effective;
    facts->last_used = credential->last_used;
    facts->secret_count = credential->secret_count;
    for (int i = 0; i < credential->secret_count; i++) {
        facts->secrets[i].id = credential->secrets[i].id;
        memcpy(facts->secrets[i].digest, credential->secrets[i].digest, SHA256_BYTES);
        facts->secrets[i].ends = credential->secrets[i].ends;
    }
    return facts;
}

bool credential_secret_has_ended(const struct credential_secret *secret, int64_t now)
{
    return secret->ends != 0 && secret->ends <= now;
}

bool credential_is_expired(const struct credential *credential, int64_t now)
{
    return credential->expires != 0 && credential->expires <= now;
}

/* Changing */

static enum status save(struct work *work, struct credential *credential)
{
    credential->version++;
    credential->updated = work->now;
    TRY(store_run(work->tx,
                  "UPDATE credential SET name = $1, owner = $2, updated = $3, expires = $4, deleted = $5, epoch = $6,"
                  " version = $7 WHERE id = $8",
                  NULL, NULL, store_text(credential->name),
                  credential->owner[0] == '\0' ? store_null() : store_text(credential->owner),
                  store_int(credential->updated), store_int(credential->expires), store_int(credential->deleted),
                  store_int(credential->epoch), store_int(credential->version), store_int(credential->id)));
    return work_change_credential(work, credential_facts_new(credential));
}

/* Every token of an earlier epoch is dead from the commit on. Where the credential was expired before the change, or is
 * deleted, they were dead already and are not counted. */
static enum status move_epoch(struct work *work, struct credential *credential, bool was_expired)
{
    directory_lock(work->domain->directory);
    struct token_limits limits = settings_limits(directory_settings(work->domain->directory), work->now);
    directory_unlock(work->domain->directory);
    int64_t live = 0;
    if (credential->deleted == 0 && !was_expired)
        TRY(token_count_live(work->tx, credential->id, credential->epoch, &limits, &live));
    work->tokens_ended += live;
    work->credentials_affected += live > 0;
    credential->epoch++;
    return STATUS_OK;
}

static enum status save_grant(struct work *work, const struct credential *credential, int role, bool is_grant)
{
    if (is_grant)
        return store_run(work->tx,
                         "INSERT INTO credential_role (credential, role, granted, granted_by, revoked, revoked_by)"
                         " VALUES ($1, $2, $3, $4, 0, '') ON CONFLICT (credential, role) DO UPDATE SET"
                         " granted = excluded.granted, granted_by = excluded.granted_by, revoked = 0, revoked_by = ''",
                         NULL, NULL, store_int(credential->id), store_int(role), store_int(work->now),
                         store_text(work->actor));
    return store_run(
        work->tx, "UPDATE credential_role SET revoked = $1, revoked_by = $2 WHERE credential = $3 AND role = $4", NULL,
        NULL, store_int(work->now), store_text(work->actor), store_int(credential->id), store_int(role));
}

static void make_client_id(char client_id[static CLIENT_ID_LEN + 1])
{
    uint8_t b[16];
    crypto_random(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 9562, version 4 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(client_id, CLIENT_ID_LEN + 1, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* Puts a new secret key before the others; the last one falls out of the array if there were two. */
static enum status add_secret(struct work *work, struct credential *credential, char text[static SECRET_TEXT_LEN + 1])
{
    secret_text_new(text);
    struct credential_secret secret = {.created = work->now};
    crypto_sha256(text, SECRET_TEXT_LEN, secret.digest);
    snprintf(secret.hint, sizeof secret.hint, "%s", text + SECRET_TEXT_LEN - SECRET_HINT_LEN);
    TRY(work_next(work->tx, "secret_id", &secret.id));
    TRY(store_run(work->tx,
                  "INSERT INTO secret (id, credential, digest, hint, created, ends, last_used)"
                  " VALUES ($1, $2, $3, $4, $5, 0, 0)",
                  NULL, NULL, store_int(secret.id), store_int(credential->id), store_blob(secret.digest, SHA256_BYTES),
                  store_text(secret.hint), store_int(secret.created)));
    if (credential->secret_count > 0)
        credential->secrets[1] = credential->secrets[0];
    credential->secrets[0] = secret;
    credential->secret_count = credential->secret_count > 0 ? 2 : 1;
    return STATUS_OK;
}

/* ENDS_NOW: it has ended by every clock, also by one that is behind. */
static enum status end_secret(struct work *work, const struct credential_secret *secret, int64_t ends)
{
    return store_run(work->tx, "UPDATE secret SET ends = $1 WHERE id = $2", NULL, NULL, store_int(ends),
                     store_int(secret->id));
}

enum status credential_create(struct work *work, struct credential *credential, const struct role_set *roles,
                              char secret[static SECRET_TEXT_LEN + 1])
{
    TRY(work_next(work->tx, "credential_id", &credential->id));
    make_client_id(credential->client_id);
    credential->created = credential->updated = work->now;
    credential->created_by = work->actor;
    credential->epoch = credential->version = 1;
    credential->granted = *roles;
    TRY(store_run(
        work->tx,
        "INSERT INTO credential (id, client_id, name, owner, created, updated, expires, deleted, epoch, version,"
        " last_used, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 1, 1, 0, $8)",
        NULL, NULL, store_int(credential->id), store_text(credential->client_id), store_text(credential->name),
        credential->owner[0] == '\0' ? store_null() : store_text(credential->owner), store_int(work->now),
        store_int(work->now), store_int(credential->expires), store_text(work->actor)));
    for (int role = 0; role < ROLES_MAX; role++)
        if (role_set_has(roles, role)) {
            TRY(save_grant(work, credential, role, true));
            credential->grants[credential->grant_count++] = (struct credential_grant){
                .role = role, .granted = work->now, .granted_by = work->actor, .revoked_by = ""};
        }
    TRY(add_secret(work, credential, secret));
    TRY(load_owner(work->tx, credential));
    return work_change_credential(work, credential_facts_new(credential));
}

enum status credential_update(struct work *work, struct credential *credential)
{
    struct arena arena = {0};
    struct credential *before = NULL;
    enum status status = credential_load_id(work->tx, &arena, credential->id, work->now, &before);
    if (status == STATUS_OK)
        status = load_owner(work->tx, credential);
    if (status == STATUS_OK) {
        /* What was expired stays dead when the date moves on; what expires by this edit is counted. */
        bool was_expired = credential_is_expired(before, work->now);
        if (was_expired || credential_is_expired(credential, work->now) ||
            !role_set_equal(&before->effective, &credential->effective))
            status = move_epoch(work, credential, was_expired);
    }
    arena_done(&arena);
    TRY(status);
    return save(work, credential);
}

enum status credential_delete(struct work *work, struct credential *credential)
{
    TRY(move_epoch(work, credential, credential_is_expired(credential, work->now)));
    credential->deleted = work->now;
    return save(work, credential);
}

enum status credential_undelete(struct work *work, struct credential *credential)
{
    credential->deleted = 0;
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
    TRY(save_grant(work, credential, role, is_grant));
    if (is_grant) {
        if (grant == NULL)
            grant = &credential->grants[credential->grant_count++];
        *grant =
            (struct credential_grant){.role = role, .granted = work->now, .granted_by = work->actor, .revoked_by = ""};
        role_set_add(&credential->granted, role);
    } else {
        grant->revoked = work->now;
        grant->revoked_by = work->actor;
        credential->granted.words[role / 64] &= ~(UINT64_C(1) << (role % 64));
    }
    return STATUS_OK;
}

enum status credential_change_roles(struct work *work, struct credential *credential, const struct role_set *grant,
                                    const struct role_set *revoke)
{
    struct role_set granted_before = credential->granted;
    struct role_set effective_before = credential->effective;
    for (int role = 0; role < ROLES_MAX; role++) {
        if (role_set_has(grant, role) && !role_set_has(&credential->granted, role))
            TRY(change_role(work, credential, role, true));
        if (role_set_has(revoke, role) && role_set_has(&credential->granted, role))
            TRY(change_role(work, credential, role, false));
    }
    if (role_set_equal(&granted_before, &credential->granted))
        return STATUS_OK;
    compute_effective(credential);
    if (!role_set_equal(&effective_before, &credential->effective))
        TRY(move_epoch(work, credential, credential_is_expired(credential, work->now)));
    return save(work, credential);
}

enum status credential_regenerate(struct work *work, struct credential *credential, int64_t overlap,
                                  char secret[static SECRET_TEXT_LEN + 1])
{
    int64_t now = 0;
    TRY(work_sober_time(work, &now));
    for (int i = 0; i < credential->secret_count; i++) {
        struct credential_secret *old = &credential->secrets[i];
        bool lives_on = i == 0 && overlap > 0;
        int64_t ends = lives_on ? now + overlap : ENDS_NOW;
        if (old->ends != 0 && old->ends < ends)
            ends = old->ends;
        TRY(end_secret(work, old, ends));
        old->ends = ends;
    }
    credential->secret_count = overlap > 0 && credential->secret_count > 0 ? 1 : 0;
    TRY(add_secret(work, credential, secret));
    if (overlap == 0)
        TRY(move_epoch(work, credential, credential_is_expired(credential, work->now)));
    return save(work, credential);
}

enum status credential_end_secret(struct work *work, struct credential *credential, int64_t secret_id)
{
    for (int i = 0; i < credential->secret_count; i++) {
        if (credential->secrets[i].id != secret_id || credential_secret_has_ended(&credential->secrets[i], work->now))
            continue;
        TRY(end_secret(work, &credential->secrets[i], ENDS_NOW));
        if (i == 0)
            credential->secrets[0] = credential->secrets[1];
        credential->secret_count--;
        return save(work, credential);
    }
    return STATUS_NOT_FOUND;
}

enum status credential_end_tokens(struct work *work, struct credential *credential)
{
    TRY(move_epoch(work, credential, credential_is_expired(credential, work->now)));
    return save(work, credential);
}
