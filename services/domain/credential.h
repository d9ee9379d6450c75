/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials, in the store: who has which secret keys and roles, until when.
 *
 * A role change is effective if it changes what a token would carry; then, and only then, the credential's epoch moves
 * on and every token of an earlier epoch is dead. Everything here runs inside a write transaction (struct work), or a
 * read for the loads.
 */
#ifndef DOMAIN_CREDENTIAL_H
#define DOMAIN_CREDENTIAL_H

#include "domain/work.h"

struct credential_secret {
    int64_t id;
    uint8_t digest[SHA256_BYTES];
    char hint[SECRET_HINT_LEN + 1];
    int64_t created;
    int64_t ends; /* 0: no end */
    int64_t last_used;
};

struct credential_grant {
    int role;
    int64_t granted;
    const char *granted_by;
    int64_t revoked; /* 0: granted */
    const char *revoked_by;
};

struct credential {
    int64_t id;
    char client_id[CLIENT_ID_LEN + 1];
    const char *name;
    const char *owner; /* "": none */
    int64_t created;
    int64_t updated;
    int64_t expires; /* 0: never */
    int64_t deleted; /* 0: living */
    int64_t epoch;
    int64_t version;
    int64_t last_used;
    const char *created_by;
    struct credential_grant grants[ROLES_MAX]; /* by role number */
    int grant_count;
    /* The live ones first, and the newest first of these. One whose time is up may be here still: a clock that was
     * ahead and is put right must find it again. */
    struct credential_secret secrets[SECRETS_MAX];
    int secret_count;
    struct role_set granted;
    struct role_set effective;
    struct role_set owner_has; /* if there is an owner */
    struct role_set owner_had; /* and what was revoked from it */
    int64_t owner_revoked[ROLES_MAX];
};

/* NOT_FOUND: no such credential. Strings live in the arena. `now`: which secrets have ended. */
enum status credential_load(struct store_tx *tx, struct arena *arena, const char *client_id, int64_t now,
                            struct credential **ret_credential);
enum status credential_load_id(struct store_tx *tx, struct arena *arena, int64_t id, int64_t now,
                               struct credential **ret_credential);

/* What the directory keeps of it; malloc'ed. */
struct credential_facts *credential_facts_new(const struct credential *credential);

/* What its tokens carry: of an owner's credential, only what the owner has, too. */
struct role_set credential_effective(const struct role_set *granted, const char *owner,
                                     const struct role_set *owner_has);

/* Of all credentials, by id; the array is the caller's to free, and what it holds. */
enum status credential_facts_load_all(struct store_tx *tx, int64_t now, struct credential_facts ***ret_facts,
                                      size_t *ret_count);

bool credential_is_expired(const struct credential *credential, int64_t now);
bool credential_secret_has_ended(const struct credential_secret *secret, int64_t now);

/* A new one, named and dated by `credential` (name, owner, expires); gives client ID and the secret key's text.
 * ALREADY_EXISTS: the name is taken. */
enum status credential_create(struct work *work, struct credential *credential, const struct role_set *roles,
                              char secret[static SECRET_TEXT_LEN + 1]);

/* Name, owner, expiry as set in `credential`, which was loaded before. */
enum status credential_update(struct work *work, struct credential *credential);

enum status credential_delete(struct work *work, struct credential *credential);
enum status credential_undelete(struct work *work, struct credential *credential);

/* Grants `grant` and revokes `revoke`, whichever of them change anything. */
enum status credential_change_roles(struct work *work, struct credential *credential, const struct role_set *grant,
                                    const struct role_set *revoke);

/* A new secret key. The newest one before lives on for `overlap`; any other ends now; with overlap 0 all, and the live
 * tokens. */
enum status credential_regenerate(struct work *work, struct credential *credential, int64_t overlap,
                                  char secret[static SECRET_TEXT_LEN + 1]);

/* NOT_FOUND: it has no such secret that is live. */
enum status credential_end_secret(struct work *work, struct credential *credential, int64_t secret_id);

enum status credential_end_tokens(struct work *work, struct credential *credential);

/* After a user's roles changed: moves on the epoch of each of its credentials whose effective roles change. */
enum status credential_follow_owner(struct work *work, const char *owner, const struct role_set *before,
                                    const struct role_set *after);

/* FAILED_PRECONDITION: after this work there would be no living, unexpired credential that holds user_manager
 * effectively. */
enum status credential_check_administrator(struct work *work);

/* What was deleted or used later than `latest`, was so `now`: a clock that was wrong said so. */
enum status credential_mend(struct store_tx *tx, int64_t latest, int64_t now);

/* Removes for good what was deleted before `before`, at most `limit`. */
enum status credential_purge(struct work *work, int64_t before, int limit);

#endif
