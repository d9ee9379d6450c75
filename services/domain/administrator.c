/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/administrator.h"

#include "domain/credential.h"
#include "records/audit.h"

#include <stdio.h>

struct counting {
    int role;
    int64_t now;
    int count;
};

/* A directory_each_fn. */
static void count_administrator(const struct credential_facts *facts, void *arg)
{
    struct counting *counting = arg;
    bool is_living = credential_state(facts->deleted, facts->expires, counting->now) == CREDENTIAL_LIVE;
    counting->count += is_living && role_set_has(&facts->effective, counting->role);
}

enum status administrator_check(struct work *work)
{
    struct directory *directory = work->memory->directory;
    struct counting before = {directory_role_number(directory, ROLE_USER_MANAGER), work->now, 0};
    directory_lock(directory);
    directory_each(directory, count_administrator, &before);
    directory_unlock(directory);
    int64_t after = 0;
    TRY(credential_role_count_holders(work->tx, before.role, work->now, &after));
    return before.count > 0 && after == 0 ? STATUS_FAILED_PRECONDITION : STATUS_OK;
}

struct first {
    struct work *work;
    const char *name;
    char *client_id;
    char *secret;
};

static enum status create_first(struct store_tx *tx, void *arg)
{
    struct first *first = arg;
    struct work *work = first->work;
    struct role_set roles = {0};
    role_set_add(&roles, directory_role_number(work->memory->directory, ROLE_USER_MANAGER));
    role_set_add(&roles, directory_role_number(work->memory->directory, ROLE_RESOURCE_SERVER));
    work_begin(work, tx);
    struct credential *credential = arena_new(work->arena, struct credential);
    credential->name = first->name;
    credential->owner = "";
    TRY(credential_create(work, credential, &roles, first->secret));
    snprintf(first->client_id, CLIENT_ID_LEN + 1, "%s", credential->client_id);
    return audit_append(tx, &(struct audit_event){
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
    enum status status = store_write_wait(store, create_first, &first);
    if (status == STATUS_OK)
        work_apply(work);
    work_reset(work);
    return status;
}
