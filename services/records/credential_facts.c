/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of every credential, in five statements however many there are: what a process reads when it starts. */
#include "records/credential_facts.h"

#include "base/must.h"
#include "records/limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct credential_facts *credential_facts_new(const struct credential *credential)
{
    struct credential_facts *facts = credential_facts_make(
        &(struct credential_texts){credential->name, credential->owner, credential->contact, credential->labels});
    facts->id = credential->id;
    memcpy(facts->client_id, credential->client_id, sizeof facts->client_id);
    facts->expires = credential->expires;
    facts->deleted = credential->deleted;
    facts->suspended = credential->suspended;
    facts->epoch = credential->epoch;
    facts->version = credential->version;
    facts->sources = credential->sources;
    facts->sources.networks = source_copy(credential->sources.networks, credential->sources.count);
    facts->granted = credential->granted;
    facts->effective = credential->effective;
    facts->last_used = credential->last_used;
    facts->limits = credential->limits;
    facts->secret_count = credential->secret_count;
    for (int i = 0; i < credential->secret_count; i++) {
        facts->secrets[i].id = credential->secrets[i].id;
        memcpy(facts->secrets[i].digest, credential->secrets[i].digest, SHA256_BYTES);
        facts->secrets[i].ends = credential->secrets[i].ends;
    }
    return facts;
}

enum { ROOM = 200 };

/* By id, as all five statements are: one walk beside the rows finds the credential of each. */
struct loading {
    struct credential_facts **facts;
    size_t count, size;
    size_t at;
    int64_t now;
    struct role_set *owner_has;
};

/* glibc gives a thread of ours its memory page by page, by a system call each: for a million credentials a tenth of
 * what it takes to load them. What was free at the end stays free. */
static void make_room(const struct loading *loading)
{
    if (loading->count % ROOM != 0)
        return;
    void *volatile room = malloc(ROOM * sizeof(struct credential_facts));
    free(room);
}

static enum status read_facts(const struct store_row *row, void *arg)
{
    struct loading *loading = arg;
    make_room(loading);
    struct credential_facts *facts = credential_facts_make(&(struct credential_texts){
        store_row_text(row, 2), store_row_text(row, 3), store_row_text(row, 12), store_row_text(row, 13)});
    if (loading->count == loading->size) {
        loading->size = loading->size == 0 ? 256 : loading->size * 2;
        loading->facts = must(realloc(loading->facts, loading->size * sizeof *loading->facts));
    }
    loading->facts[loading->count++] = facts;
    facts->id = store_row_int(row, 0);
    snprintf(facts->client_id, sizeof facts->client_id, "%s", store_row_text(row, 1));
    facts->expires = store_row_int(row, 4);
    facts->deleted = store_row_int(row, 5);
    facts->epoch = store_row_int(row, 6);
    facts->version = store_row_int(row, 7);
    facts->last_used = store_row_int(row, 8);
    facts->suspended = store_row_int(row, 9);
    facts->sources.is_observed = store_row_int(row, 11) != 0;
    struct network networks[SOURCE_NETWORKS_MAX];
    if (!source_parse(store_row_text(row, 10), networks, &facts->sources.count))
        return STATUS_INTERNAL;
    facts->sources.networks = source_copy(networks, facts->sources.count);
    return STATUS_OK;
}

/* NULL: none of those loaded. */
static struct credential_facts *find_next(struct loading *loading, int64_t id)
{
    while (loading->at < loading->count && loading->facts[loading->at]->id < id)
        loading->at++;
    bool is_found = loading->at < loading->count && loading->facts[loading->at]->id == id;
    return is_found ? loading->facts[loading->at] : NULL;
}

static enum status read_granted(const struct store_row *row, void *arg)
{
    struct credential_facts *facts = find_next(arg, store_row_int(row, 0));
    if (facts != NULL)
        role_set_add(&facts->granted, (int)store_row_int(row, 1));
    return STATUS_OK;
}

static enum status read_owner_role(const struct store_row *row, void *arg)
{
    struct loading *loading = arg;
    if (find_next(loading, store_row_int(row, 0)) != NULL)
        role_set_add(&loading->owner_has[loading->at], (int)store_row_int(row, 1));
    return STATUS_OK;
}

/* In its place, if it is among the first SECRETS_MAX. Here, not in SQL: a sort for each credential costs more. */
static void put_secret(struct credential_facts *facts, const struct secret_facts *secret, int64_t now)
{
    int at = facts->secret_count;
    while (at > 0 &&
           secret_comes_before(secret->id, secret->ends, facts->secrets[at - 1].id, facts->secrets[at - 1].ends, now))
        at--;
    if (at == SECRETS_MAX)
        return;
    if (facts->secret_count < SECRETS_MAX)
        facts->secret_count++;
    for (int i = facts->secret_count - 1; i > at; i--)
        facts->secrets[i] = facts->secrets[i - 1];
    facts->secrets[at] = *secret;
}

static enum status read_secret(const struct store_row *row, void *arg)
{
    struct loading *loading = arg;
    struct credential_facts *facts = find_next(loading, store_row_int(row, 0));
    size_t len = 0;
    const void *digest = store_row_blob(row, 2, &len);
    if (facts == NULL)
        return STATUS_OK;
    if (len != SHA256_BYTES)
        return STATUS_INTERNAL;
    struct secret_facts secret = {.id = store_row_int(row, 1), .ends = store_row_int(row, 3)};
    memcpy(secret.digest, digest, SHA256_BYTES);
    put_secret(facts, &secret, loading->now);
    return STATUS_OK;
}

/* A limit_each_fn. */
static void add_limit(const struct limit_row *row, void *arg)
{
    struct credential_facts *facts = find_next(arg, row->credential_id);
    if (facts != NULL)
        facts->limits.of[row->limit] = row->own;
}

static enum status load(struct store_tx *tx, struct loading *loading)
{
    TRY(store_run(tx,
                  "SELECT id, client_id, name, owner, expires, deleted, epoch, version, last_used, suspended,"
                  " networks, networks_observed, contact, labels"
                  " FROM credential ORDER BY id",
                  read_facts, loading));
    TRY(store_run(tx, "SELECT credential, role FROM credential_role WHERE revoked = 0 ORDER BY credential",
                  read_granted, loading));
    loading->at = 0;
    TRY(store_run(tx,
                  "SELECT credential, id, digest, ends FROM secret WHERE ends <> 1 /* SECRET_ENDS_NOW */"
                  " ORDER BY credential",
                  read_secret, loading));
    loading->at = 0;
    TRY(limit_row_list(tx, add_limit, loading));
    loading->at = 0;
    loading->owner_has = must(calloc(loading->count + 1, sizeof *loading->owner_has));
    return store_run(tx,
                     "SELECT c.id, u.role FROM credential c JOIN user_role u ON u.user_id = c.owner"
                     " WHERE u.revoked = 0 ORDER BY c.id",
                     read_owner_role, loading);
}

enum status credential_facts_load_all(struct store_tx *tx, int64_t now, struct credential_facts ***ret_facts,
                                      size_t *ret_count)
{
    struct loading loading = {.now = now};
    enum status status = load(tx, &loading);
    for (size_t i = 0; i < loading.count && status == STATUS_OK; i++) {
        struct credential_facts *facts = loading.facts[i];
        facts->effective = credential_effective(&facts->granted, facts->owner, &loading.owner_has[i]);
    }
    free(loading.owner_has);
    if (status == STATUS_OK) {
        *ret_facts = loading.facts;
        *ret_count = loading.count;
        return STATUS_OK;
    }
    for (size_t i = 0; i < loading.count; i++)
        credential_facts_free(loading.facts[i]);
    free(loading.facts);
    return status;
}
