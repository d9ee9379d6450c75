/* SPDX-License-Identifier: Apache-2.0 */
/* What concerns several credentials at once: those of an owner, the administrators, the deleted ones. */
#include "domain/credential.h"
#include "domain/domain.h"

#include <string.h>

/* Following an owner */

struct owned {
    struct arena *arena;
    const struct role_set *before, *after;
    int64_t *ids; /* of credentials whose effective roles change */
    size_t count, size;
    int64_t current;
    struct role_set granted;
};

static void end_of_credential(struct owned *owned)
{
    struct role_set before = role_set_and(&owned->granted, owned->before);
    struct role_set after = role_set_and(&owned->granted, owned->after);
    if (owned->current == 0 || role_set_equal(&before, &after))
        return;
    if (owned->count == owned->size) {
        size_t size = owned->size == 0 ? 64 : owned->size * 2;
        int64_t *ids = arena_array(owned->arena, int64_t, size);
        if (owned->count > 0)
            memcpy(ids, owned->ids, owned->count * sizeof *ids);
        owned->ids = ids;
        owned->size = size;
    }
    owned->ids[owned->count++] = owned->current;
}

static enum status read_owned(const struct store_row *row, void *arg)
{
    struct owned *owned = arg;
    int64_t id = store_row_int(row, 0);
    if (id != owned->current) {
        end_of_credential(owned);
        owned->current = id;
        owned->granted = (struct role_set){0};
    }
    role_set_add(&owned->granted, (int)store_row_int(row, 1));
    return STATUS_OK;
}

enum status credential_follow_owner(struct work *work, const char *owner, const struct role_set *before,
                                    const struct role_set *after)
{
    struct owned owned = {.arena = work->arena, .before = before, .after = after};
    TRY(store_run(work->tx,
                  "SELECT c.id, r.role FROM credential c JOIN credential_role r ON r.credential = c.id"
                  " WHERE c.owner = $1 AND r.revoked = 0 ORDER BY c.id",
                  read_owned, &owned, store_text(owner)));
    end_of_credential(&owned);
    for (size_t i = 0; i < owned.count; i++) {
        struct arena arena = {0};
        struct credential *credential = NULL;
        enum status status = credential_load_id(work->tx, &arena, owned.ids[i], work->now, &credential);
        if (status == STATUS_OK)
            status = credential_end_tokens(work, credential);
        arena_done(&arena);
        TRY(status);
    }
    return STATUS_OK;
}

/* The last administrator */

static void count_administrator(const struct credential_facts *facts, void *arg)
{
    struct {
        int role;
        int64_t now;
        int count;
    } *counting = arg;
    bool is_living = facts->deleted == 0 && (facts->expires == 0 || facts->expires > counting->now);
    counting->count += is_living && role_set_has(&facts->effective, counting->role);
}

static enum status read_count(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

enum status credential_check_administrator(struct work *work)
{
    struct directory *directory = work->domain->directory;
    struct {
        int role;
        int64_t now;
        int count;
    } before = {directory_role_number(directory, ROLE_USER_MANAGER), work->now, 0};
    directory_lock(directory);
    directory_each(directory, count_administrator, &before);
    directory_unlock(directory);
    int64_t after = 0;
    TRY(store_run(work->tx,
                  "SELECT count(*) FROM credential c JOIN credential_role r ON r.credential = c.id"
                  " WHERE r.role = $1 AND r.revoked = 0 AND c.deleted = 0 AND (c.expires = 0 OR c.expires > $2)"
                  " AND (c.owner IS NULL OR EXISTS (SELECT 1 FROM user_role u"
                  " WHERE u.user_id = c.owner AND u.role = $1 AND u.revoked = 0))",
                  read_count, &after, store_int(before.role), store_int(work->now)));
    return before.count > 0 && after == 0 ? STATUS_FAILED_PRECONDITION : STATUS_OK;
}

enum status credential_mend(struct store_tx *tx, int64_t latest, int64_t now)
{
    TRY(store_run(tx, "UPDATE credential SET deleted = $1 WHERE deleted > $2", NULL, NULL, store_int(now),
                  store_int(latest)));
    TRY(store_run(tx, "UPDATE credential SET last_used = $1 WHERE last_used > $2", NULL, NULL, store_int(now),
                  store_int(latest)));
    return store_run(tx, "UPDATE secret SET last_used = $1 WHERE last_used > $2", NULL, NULL, store_int(now),
                     store_int(latest));
}

/* Purging */

struct purge {
    int64_t ids[64];
    int count;
};

static enum status read_purge(const struct store_row *row, void *arg)
{
    struct purge *purge = arg;
    purge->ids[purge->count++] = store_row_int(row, 0);
    return STATUS_OK;
}

enum status credential_purge(struct work *work, int64_t before, int limit)
{
    struct purge purge = {.count = 0};
    TRY(store_run(work->tx, "SELECT id FROM credential WHERE deleted <> 0 AND deleted <= $1 LIMIT $2", read_purge,
                  &purge, store_int(before), store_int(limit > 64 ? 64 : limit)));
    for (int i = 0; i < purge.count; i++) {
        struct store_value id = store_int(purge.ids[i]);
        TRY(store_run(work->tx, "DELETE FROM secret WHERE credential = $1", NULL, NULL, id));
        TRY(store_run(work->tx, "DELETE FROM credential_role WHERE credential = $1", NULL, NULL, id));
        TRY(store_run(work->tx, "DELETE FROM usage WHERE credential = $1", NULL, NULL, id));
        TRY(store_run(work->tx, "DELETE FROM credential WHERE id = $1", NULL, NULL, id));
        TRY(work_change_purge(work, purge.ids[i]));
    }
    return STATUS_OK;
}
