/* SPDX-License-Identifier: Apache-2.0 */
#include "records/credential_place.h"

struct walk {
    credential_place_fn *each;
    void *arg;
    bool is_by_name;
    int count;
};

static enum status read_place(const struct store_row *row, void *arg)
{
    struct walk *walk = arg;
    struct credential_place place = {.name = "", .id = store_row_int(row, 0)};
    walk->count++;
    if (walk->is_by_name)
        place.name = store_row_text(row, 1);
    else
        place.value = store_row_int(row, 1);
    return walk->each(&place, walk->arg);
}

/* In the order of `key`, of which there is an index; `value` is that of a place. Those that have the same value come
 * first, by a statement of their own: SQLite does not go by both columns of an index for (a, b) > (c, d). */
#define WALK_ONE_WAY(key, value, more, order) \
    do { \
        if (after == NULL) \
            return store_run(tx, "SELECT id, " key " FROM credential ORDER BY " key order ", id" order " LIMIT $1", \
                             read_place, walk, store_int(limit)); \
        TRY(store_run(tx, \
                      "SELECT id, " key " FROM credential WHERE " key " = $1 AND id" more "$2" \
                      " ORDER BY id" order " LIMIT $3", \
                      read_place, walk, value, store_int(after->id), store_int(limit))); \
        return store_run(tx, \
                         "SELECT id, " key " FROM credential WHERE " key more "$1" \
                         " ORDER BY " key order ", id" order " LIMIT $2", \
                         read_place, walk, value, store_int(limit - walk->count)); \
    } while (false)
#define WALK(walk_name, key, value) \
    static enum status walk_name(struct store_tx *tx, bool is_descending, const struct credential_place *after, \
                                 int limit, struct walk *walk) \
    { \
        if (is_descending) \
            WALK_ONE_WAY(key, value, " < ", " DESC"); \
        WALK_ONE_WAY(key, value, " > ", ""); \
    }
WALK(walk_by_name, "lower(name)", store_text(after->name))
WALK(walk_by_creation, "created", store_int(after->value))
WALK(walk_by_expiry, "(CASE WHEN expires = 0 THEN 9223372036854775807 ELSE expires END)", store_int(after->value))
WALK(walk_by_use, "last_used", store_int(after->value))

enum status credential_place_walk(struct store_tx *tx, enum credential_order order, bool is_descending,
                                  const struct credential_place *after, int limit, credential_place_fn *each, void *arg)
{
    struct walk walk = {each, arg, order == CREDENTIAL_BY_NAME, 0};
    switch (order) {
    case CREDENTIAL_BY_NAME:
        return walk_by_name(tx, is_descending, after, limit, &walk);
    case CREDENTIAL_BY_CREATION:
        return walk_by_creation(tx, is_descending, after, limit, &walk);
    case CREDENTIAL_BY_EXPIRY:
        return walk_by_expiry(tx, is_descending, after, limit, &walk);
    case CREDENTIAL_BY_USE:
        return walk_by_use(tx, is_descending, after, limit, &walk);
    }
    return STATUS_INTERNAL;
}

/* A place, with the values of all orders. */
#define PLACE_COLUMNS \
    "id, lower(name), created, (CASE WHEN expires = 0 THEN 9223372036854775807 ELSE expires END), last_used"

struct picking {
    enum credential_order order;
    credential_place_fn *each;
    void *arg;
};

static enum status read_picked(const struct store_row *row, void *arg)
{
    const struct picking *picking = arg;
    struct credential_place place = {.name = "", .id = store_row_int(row, 0)};
    if (picking->order == CREDENTIAL_BY_NAME)
        place.name = store_row_text(row, 1);
    else
        place.value = store_row_int(row, 1 + (int)picking->order);
    return picking->each(&place, picking->arg);
}

enum status credential_place_of(struct store_tx *tx, enum credential_order order, const char *client_id,
                                credential_place_fn *each, void *arg)
{
    struct picking picking = {order, each, arg};
    return store_run(tx, "SELECT " PLACE_COLUMNS " FROM credential WHERE client_id = $1", read_picked, &picking,
                     store_text(client_id));
}

enum status credential_place_of_owner(struct store_tx *tx, enum credential_order order, const char *owner,
                                      credential_place_fn *each, void *arg)
{
    struct picking picking = {order, each, arg};
    return store_run(tx, "SELECT " PLACE_COLUMNS " FROM credential WHERE owner = $1", read_picked, &picking,
                     store_text(owner));
}
