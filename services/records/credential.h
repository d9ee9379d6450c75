/* SPDX-License-Identifier: Apache-2.0 */
/* The tables `credential` and `credential_role`, and with them what other tables have of a credential: who has which
 * secret keys, roles and limits, until when. */
#ifndef RECORDS_CREDENTIAL_H
#define RECORDS_CREDENTIAL_H

#include "base/arena.h"
#include "records/limit.h"
#include "rules/credential.h"
#include "rules/secret_text.h"
#include "store/store.h"

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
    const char *owner;   /* "": none */
    const char *contact; /* "": none */
    const char *labels;  /* as rules/label.h has them */
    int64_t created;
    int64_t updated;
    int64_t expires;    /* 0: never */
    bool self_rotation; /* its holder may make the next secret key */
    int64_t announce;   /* when its expiry is announced next; 0: no more */
    int64_t deleted;    /* 0: living */
    int64_t suspended;  /* 0: not */
    int64_t resumed;    /* last; 0: never */
    int64_t warned;     /* when its suspension for disuse was announced; 0: it is not */
    int64_t epoch;
    int64_t version;
    int64_t last_used;
    const char *last_from;      /* the address of a use, the last that is known; "": none is */
    struct source_rule sources; /* its networks are the arena's */
    const char *created_by;
    struct own_limits limits, limits_stored; /* as they are to be; as the store has them */
    struct limit_seen limits_seen[LIMITS];
    struct credential_grant grants[ROLES_MAX]; /* in no order */
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
enum status credential_row_load(struct store_tx *tx, struct arena *arena, const char *client_id, int64_t now,
                                struct credential **ret_credential);
enum status credential_row_load_id(struct store_tx *tx, struct arena *arena, int64_t id, int64_t now,
                                   struct credential **ret_credential);

/* Each of these that is there, in their order; an id that is there twice, twice. It lives until `each` returns, which
 * may run statements; another status than OK of `each` is the last, and what is returned. However many they are, it is
 * five statements for each 250. */
typedef enum status credential_each_fn(struct credential *credential, void *arg);
enum status credential_row_each(struct store_tx *tx, const int64_t *ids, size_t count, int64_t now,
                                credential_each_fn *each, void *arg);
/* The same by their client IDs, each of which is there once; in no order. */
enum status credential_row_each_named(struct store_tx *tx, const char *const *client_ids, size_t count, int64_t now,
                                      credential_each_fn *each, void *arg);

/* What its owner has and had, and so what it carries; anew when its owner has changed. */
enum status credential_row_load_owner(struct store_tx *tx, struct credential *credential);

/* A new one, with its limits. ALREADY_EXISTS: the name is taken. */
enum status credential_row_insert(struct store_tx *tx, const struct credential *credential);

/* What can change of it, its limits too. ALREADY_EXISTS: the name is taken. */
enum status credential_row_save(struct store_tx *tx, const struct credential *credential);

/* It was used, unless another process is changing it now. */
enum status credential_row_store_use(struct store_tx *tx, int64_t id, int64_t used);

/* From there, the same way, unless it was used after `latest`: then perhaps from elsewhere. */
enum status credential_row_store_from(struct store_tx *tx, int64_t id, const char *from, int64_t latest);

/* With its roles, limits and secret keys; its usage stays. */
enum status credential_row_remove(struct store_tx *tx, int64_t id);

/* What was deleted or used later than `latest`, was so `now`: a clock that was wrong said so. At most `limit` of
 * each. */
enum status credential_row_mend(struct store_tx *tx, int64_t latest, int64_t now, int limit, int64_t *ret_mended);

/* Those that were deleted at `until` or before, the first of them first; at most `limit`. */
enum status credential_row_deleted(struct store_tx *tx, int64_t until, int limit, int64_t *ids, int *ret_count);

/* By grant->role; of a grant its time and who, of a revocation those of that. */
enum status credential_role_grant(struct store_tx *tx, int64_t id, const struct credential_grant *grant);
enum status credential_role_revoke(struct store_tx *tx, int64_t id, const struct credential_grant *grant);

/* Each role that each credential of an owner is granted, by credential. */
typedef void credential_owned_fn(int64_t id, int role, void *arg);
enum status credential_role_of_owner(struct store_tx *tx, const char *owner, credential_owned_fn *each, void *arg);

/* Does one hold it effectively that lives at that time and has a secret key that works then; another than `except`, a
 * credential's id (0: any)? */
enum status credential_role_is_held(struct store_tx *tx, int role, int64_t at, int64_t except, bool *ret_held);

/* Its suspension for disuse is announced, at `warned`, or is not (0). No change that anybody else must know of. */
enum status credential_row_warn(struct store_tx *tx, int64_t id, int64_t warned);

/* Among the `limit` next credentials by id after *cursor: `ids` of those that are neither deleted nor suspended and
 * were not used after `since`, or whose suspension is announced. *cursor is moved to the last one that was looked at;
 * 0: there are no more. */
enum status credential_row_unused(struct store_tx *tx, int64_t since, int limit, int64_t *cursor, int64_t *ids,
                                  int *ret_count);

#endif
