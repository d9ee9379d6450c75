/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One unit of administrative work: a write transaction, who does it, and what it changes in memory once it is
 * committed.
 *
 * What ends or changes anything that the hot path knows is recorded here: it takes the next revision, leaves a row in
 * the change log (which other replicas follow), and is put into the directory and the token table by work_apply, after
 * the commit and before the acknowledgement.
 */
#ifndef DOMAIN_WORK_H
#define DOMAIN_WORK_H

#include "base/arena.h"
#include "base/clock.h"
#include "memory/memory.h"
#include "rules/secret_text.h"
#include "store/store.h"

struct follow;
struct own_change;

/* Can anybody get in who may administer? Lasting: still in a day. */
enum administration { ADMINISTRATION_NONE, ADMINISTRATION_NOW, ADMINISTRATION_LASTING };

struct work {
    struct memory *memory;
    struct clock *clock;
    struct follow *follow; /* NULL: nobody else writes to the store */
    struct store_tx *tx;
    struct arena *arena; /* of the call */
    int64_t now;
    struct settings settings; /* as memory has them, now */
    const char *actor;        /* client ID or mutual-TLS identity */
    struct position position; /* of the last change, if the work has made one; stays after work_apply */
    int64_t tokens_ended;
    int64_t credentials_affected;
    enum administration takes_administration; /* what of it a credential had, and has no more */
    struct own_change *changes;               /* newest first */
};

/* At each try: empty again, in this transaction, now, with one look at memory. */
void work_begin(struct work *work, struct store_tx *tx);

/* Empty again. */
void work_reset(struct work *work);

/* `facts` is the work's from then on. */
enum status work_change_credential(struct work *work, struct credential_facts *facts);
enum status work_change_token(struct work *work, const struct token_key *key);
enum status work_change_settings(struct work *work, const struct settings *settings);
enum status work_change_role(struct work *work, const struct role *role);
enum status work_change_purge(struct work *work, int64_t credential_id);
enum status work_change_all(struct work *work);

/* The ids of credentials that it changes, at most `most`, each once. How many. */
size_t work_credentials(const struct work *work, int64_t *ids, size_t most);

/* After the commit. Then the work is empty. What the log has told already is left as it is there. */
void work_apply(struct work *work);

#endif
