/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials: what must be known of one to answer a call, whether it lives, and what it carries. */
#ifndef RULES_CREDENTIAL_H
#define RULES_CREDENTIAL_H

#include "base/crypto.h"
#include "rules/limits.h"
#include "rules/role.h"
#include "rules/source.h"

#include <stdbool.h>

enum {
    CLIENT_ID_LEN = 36,
    CLIENT_ID_BYTES = 16,
    CLIENT_ID_TEXT_MAX = 64, /* of what somebody sends as one */
    CREDENTIAL_NAME_MAX = 400,
    USER_ID_MAX = 256,
    SECRETS_MAX = 2,
};

struct secret_facts {
    int64_t id;
    uint8_t digest[SHA256_BYTES];
    int64_t ends; /* 0: no end */
};

struct credential_facts {
    int64_t id;
    char client_id[CLIENT_ID_LEN + 1];
    char *name;
    char *owner;       /* "": none */
    char *contact;     /* "": none */
    char *labels;      /* as rules/label.h has them */
    int64_t expires;   /* 0: never */
    int64_t deleted;   /* 0: living */
    int64_t suspended; /* 0: not */
    int64_t epoch;
    int64_t version;
    struct source_rule sources;
    struct role_set granted;
    struct role_set effective;
    int64_t last_used; /* as the store has it */
    struct own_limits limits;
    int secret_count;
    struct secret_facts secrets[SECRETS_MAX];
};

struct credential_texts {
    const char *name, *owner, *contact, *labels; /* NULL is as "" */
};

/* One that has copies of these texts, in one piece of memory with it, and is empty but for them: to be filled. Its
 * networks are to be malloc'ed. */
struct credential_facts *credential_facts_make(const struct credential_texts *texts);

/* Frees such a one with its networks. NULL is fine. */
void credential_facts_free(struct credential_facts *facts);

enum credential_state { CREDENTIAL_LIVE, CREDENTIAL_EXPIRED, CREDENTIAL_DELETED, CREDENTIAL_SUSPENDED };

/* deleted, suspended, expires: 0: never. The one function that decides; the statements of records/ that say the same in
 * SQL are held to it by tests. */
enum credential_state credential_state(int64_t deleted, int64_t suspended, int64_t expires, int64_t now);

/* Has a secret key ended that ends then (0: never)? SECRET_ENDS_NOW: by every clock, also by one that is behind. */
enum { SECRET_ENDS_NOW = 1 };
bool secret_has_ended(int64_t ends, int64_t now);

/* The order of a credential's secret keys: those that work first, and of these, and of the others, the newest. */
bool secret_comes_before(int64_t id, int64_t ends, int64_t other_id, int64_t other_ends, int64_t now);

/* Until when somebody can get in with it, who has its secret keys (`ends` of each): INT64_MAX: for good; 0: not now. */
int64_t credential_usable_until(enum credential_state state, int64_t expires, const int64_t *ends, int count,
                                int64_t now);

/* Nothing ends unannounced: 30 days, 7 days and a day before. When, next after `now`, is an end to be announced? 0: no
 * more. And which announcement holds `now`: it ends within so many days? 0: none, it is further away, or over. */
int64_t end_announced_next(int64_t end, int64_t now);
int end_days(int64_t end, int64_t now);

/* What its tokens carry: of an owner's credential ("": it has none), only what the owner has, too. */
struct role_set credential_effective(const struct role_set *granted, const char *owner,
                                     const struct role_set *owner_has);

/* The form of a client ID, from random bytes: a UUID of version 4. */
void credential_client_id(const uint8_t random[static CLIENT_ID_BYTES], char client_id[static CLIENT_ID_LEN + 1]);

#endif
