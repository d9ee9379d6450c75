/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/owner.h"

#include "domain/administrator.h"
#include "domain/credential.h"
#include "records/user.h"

#include <string.h>

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

/* A credential_owned_fn. */
static void add_role(int64_t id, int role, void *arg)
{
    struct owned *owned = arg;
    if (id != owned->current) {
        end_of_credential(owned);
        owned->current = id;
        owned->granted = (struct role_set){0};
    }
    role_set_add(&owned->granted, role);
}

struct following {
    struct work *work;
    const struct role_set *before, *after;
};

/* A credential_each_fn: it was loaded after the owner's roles were stored. */
static enum status end_tokens(struct credential *credential, void *arg)
{
    const struct following *following = arg;
    struct administrator_state was = administrator_state(following->work, credential), is = was;
    was.effective = role_set_and(&credential->granted, following->before);
    is.effective = role_set_and(&credential->granted, following->after);
    administrator_note(following->work, &was, &is);
    return credential_end_tokens(following->work, credential);
}

/* After a user's roles changed: moves on the epoch of each of its credentials whose effective roles change. */
static enum status follow_owner(struct work *work, const char *owner, const struct role_set *before,
                                const struct role_set *after)
{
    struct owned owned = {.arena = work->arena, .before = before, .after = after};
    TRY(credential_role_of_owner(work->tx, owner, add_role, &owned));
    end_of_credential(&owned);
    struct following following = {work, before, after};
    return credential_row_each(work->tx, owned.ids, owned.count, work->now, end_tokens, &following);
}

static enum status write_roles(struct work *work, const struct user *before, const struct role_set *roles)
{
    for (int role = 0; role < ROLES_MAX; role++) {
        bool has = role_set_has(roles, role);
        if (has != role_set_has(&before->has, role))
            TRY(user_row_save_role(work->tx, before->id, role, has, work->now));
    }
    return follow_owner(work, before->id, &before->has, roles);
}

static enum status save(struct work *work, const struct user *before, bool is_deleted)
{
    const struct user user = {.id = before->id, .version = before->version + 1, .deleted = is_deleted ? work->now : 0};
    return user_row_save(work->tx, &user, work->now);
}

enum status user_set_roles(struct work *work, const char *id, const struct role_set *roles)
{
    struct user before;
    TRY(user_row_load_any(work->tx, id, &before));
    TRY(user_row_load_roles(work->tx, id, &before.has, &before.had, NULL));
    bool is_living = before.version != 0 && before.deleted == 0;
    if (is_living && role_set_equal(&before.has, roles))
        return STATUS_OK;
    TRY(save(work, &before, false));
    return write_roles(work, &before, roles);
}

enum status user_delete(struct work *work, const char *id)
{
    struct user before;
    TRY(user_row_load(work->tx, id, &before));
    TRY(save(work, &before, true));
    return write_roles(work, &before, &(struct role_set){0});
}
