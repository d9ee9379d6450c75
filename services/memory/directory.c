/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/directory.h"

#include "base/must.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { ROLE_SLOTS = 1024 }; /* open addressing, at most a quarter full */

/* Roles by number and by id. Readers take no lock: an entry is complete before its number counts. Another history puts
 * another catalogue in its place; the one before stays, for somebody may be reading it. */
struct catalogue {
    struct role *roles[ROLES_MAX];
    _Atomic int count;
    _Atomic int16_t slots[ROLE_SLOTS]; /* number + 1; 0: empty */
    struct catalogue *before;
};

struct entry {
    struct credential_facts facts;
    bool is_purged;
    UT_hash_handle by_id;
    UT_hash_handle by_client_id;
    struct entry *next_retired;
};

struct directory {
    pthread_rwlock_t lock;
    struct entry *by_id;
    struct entry *by_client_id;
    struct entry *retired; /* another history gave their ids to others */
    struct settings settings;
    struct catalogue *_Atomic catalogue;
    /* The position, by one writer at a time: odd while it writes. */
    _Atomic uint64_t position_turn;
    _Atomic int64_t revision, change_id;
};

static struct catalogue *catalogue_new(struct catalogue *before)
{
    struct catalogue *catalogue = must(calloc(1, sizeof *catalogue));
    catalogue->before = before;
    return catalogue;
}

struct directory *directory_new(void)
{
    struct directory *directory = must(calloc(1, sizeof *directory));
    /* Without this a stream of introspections could keep a revocation waiting. */
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&directory->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    directory->catalogue = catalogue_new(NULL);
    return directory;
}

static void entry_free(struct entry *entry)
{
    free(entry->facts.name);
    free(entry->facts.owner);
    free(entry);
}

void directory_free(struct directory *directory)
{
    if (directory == NULL)
        return;
    struct entry *entry, *next;
    HASH_CLEAR(by_client_id, directory->by_client_id);
    HASH_ITER(by_id, directory->by_id, entry, next)
    {
        HASH_DELETE(by_id, directory->by_id, entry);
        entry_free(entry);
    }
    while ((entry = directory->retired) != NULL) {
        directory->retired = entry->next_retired;
        entry_free(entry);
    }
    for (struct catalogue *catalogue = directory->catalogue, *before; catalogue != NULL; catalogue = before) {
        before = catalogue->before;
        for (int i = 0; i < catalogue->count; i++)
            free(catalogue->roles[i]);
        free(catalogue);
    }
    pthread_rwlock_destroy(&directory->lock);
    free(directory);
}

void directory_lock(struct directory *directory)
{
    pthread_rwlock_rdlock(&directory->lock);
}

void directory_unlock(struct directory *directory)
{
    pthread_rwlock_unlock(&directory->lock);
}

const struct credential_facts *directory_find(struct directory *directory, const char *client_id)
{
    struct entry *entry = NULL;
    HASH_FIND(by_client_id, directory->by_client_id, client_id, strlen(client_id), entry);
    return entry == NULL ? NULL : &entry->facts;
}

static struct entry *find_entry(struct directory *directory, int64_t id)
{
    struct entry *entry = NULL;
    HASH_FIND(by_id, directory->by_id, &id, sizeof id, entry);
    return entry;
}

struct credential_facts *directory_find_id(struct directory *directory, int64_t id)
{
    struct entry *entry = find_entry(directory, id);
    return entry == NULL ? NULL : &entry->facts;
}

const struct settings *directory_settings(struct directory *directory)
{
    return &directory->settings;
}

void directory_each(struct directory *directory, directory_each_fn *each, void *arg)
{
    for (struct entry *entry = directory->by_id; entry != NULL; entry = entry->by_id.next)
        if (!entry->is_purged)
            each(&entry->facts, arg);
}

static size_t role_slot(const char *role_id)
{
    uint32_t hash = 2166136261u; /* FNV-1a; an administrator chooses these ids, no stranger */
    for (; *role_id != '\0'; role_id++)
        hash = (hash ^ (uint8_t)*role_id) * 16777619u;
    return hash % ROLE_SLOTS;
}

int directory_role_number(struct directory *directory, const char *role_id)
{
    const struct catalogue *catalogue = atomic_load_explicit(&directory->catalogue, memory_order_acquire);
    for (size_t slot = role_slot(role_id);; slot = (slot + 1) % ROLE_SLOTS) {
        int number = atomic_load_explicit(&catalogue->slots[slot], memory_order_acquire) - 1;
        if (number < 0 || strcmp(catalogue->roles[number]->id, role_id) == 0)
            return number;
    }
}

int directory_role_count(struct directory *directory)
{
    const struct catalogue *catalogue = atomic_load_explicit(&directory->catalogue, memory_order_acquire);
    return atomic_load_explicit(&catalogue->count, memory_order_acquire);
}

const struct role *directory_role(struct directory *directory, int number)
{
    const struct catalogue *catalogue = atomic_load_explicit(&directory->catalogue, memory_order_acquire);
    int count = atomic_load_explicit(&catalogue->count, memory_order_acquire);
    return number >= 0 && number < count ? catalogue->roles[number] : NULL;
}

const char *directory_role_id(struct directory *directory, int number)
{
    const struct role *role = directory_role(directory, number);
    return role == NULL ? NULL : role->id;
}

struct position directory_position(struct directory *directory)
{
    for (;;) {
        uint64_t turn = atomic_load(&directory->position_turn);
        struct position position = {atomic_load(&directory->revision), atomic_load(&directory->change_id)};
        if (turn % 2 == 0 && atomic_load(&directory->position_turn) == turn)
            return position;
    }
}

void directory_set_position(struct directory *directory, struct position position)
{
    pthread_rwlock_wrlock(&directory->lock);
    atomic_fetch_add(&directory->position_turn, 1);
    atomic_store(&directory->revision, position.revision);
    atomic_store(&directory->change_id, position.change_id);
    atomic_fetch_add(&directory->position_turn, 1);
    pthread_rwlock_unlock(&directory->lock);
}

static void swap_text(char **a, char **b)
{
    char *kept = *a;
    *a = *b;
    *b = kept;
}

/* Copies all that can change into the credential that is there already. */
static void update_facts(struct credential_facts *facts, struct credential_facts *from)
{
    swap_text(&facts->name, &from->name);
    swap_text(&facts->owner, &from->owner);
    facts->expires = from->expires;
    facts->deleted = from->deleted;
    facts->epoch = from->epoch;
    facts->version = from->version;
    facts->granted = from->granted;
    facts->effective = from->effective;
    memcpy(facts->secrets, from->secrets, sizeof facts->secrets);
    facts->secret_count = from->secret_count;
}

/* `facts` is emptied. */
static void add_facts(struct directory *directory, struct credential_facts *facts)
{
    struct entry *entry = must(calloc(1, sizeof *entry));
    entry->facts = *facts;
    facts->name = facts->owner = NULL;
    facts = &entry->facts;
    HASH_ADD(by_id, directory->by_id, facts.id, sizeof facts->id, entry);
    HASH_ADD_KEYPTR(by_client_id, directory->by_client_id, facts->client_id, strlen(facts->client_id), entry);
}

/* No token of it is active from now on. */
static void purge(struct directory *directory, struct entry *entry)
{
    if (entry->is_purged)
        return;
    entry->is_purged = true;
    if (entry->facts.deleted == 0)
        entry->facts.deleted = 1; /* long ago */
    entry->facts.secret_count = 0;
    HASH_DELETE(by_client_id, directory->by_client_id, entry);
}

/* Its id has become another's. */
static void retire(struct directory *directory, struct entry *entry)
{
    purge(directory, entry);
    HASH_DELETE(by_id, directory->by_id, entry);
    entry->next_retired = directory->retired;
    directory->retired = entry;
}

/* The facts of the same credential that are there; NULL: none. What has its id and is not it is retired: so a purged
 * one stays as it is, for good. */
static struct credential_facts *find_same(struct directory *directory, const struct credential_facts *facts)
{
    struct entry *entry = find_entry(directory, facts->id);
    if (entry == NULL)
        return NULL;
    if (!entry->is_purged && strcmp(entry->facts.client_id, facts->client_id) == 0)
        return &entry->facts;
    retire(directory, entry);
    return NULL;
}

void directory_put_credential(struct directory *directory, struct credential_facts *facts)
{
    pthread_rwlock_wrlock(&directory->lock);
    struct credential_facts *present = find_same(directory, facts);
    if (present == NULL) {
        add_facts(directory, facts);
    } else {
        if (facts->last_used > present->last_used)
            present->last_used = facts->last_used;
        if (facts->version >= present->version)
            update_facts(present, facts);
    }
    pthread_rwlock_unlock(&directory->lock);
    credential_facts_free(facts);
}

void directory_purge(struct directory *directory, int64_t credential_id)
{
    pthread_rwlock_wrlock(&directory->lock);
    struct entry *entry = find_entry(directory, credential_id);
    if (entry != NULL)
        purge(directory, entry);
    pthread_rwlock_unlock(&directory->lock);
}

static void add_role(struct catalogue *catalogue, const struct role *role)
{
    struct role *copy = must(malloc(sizeof *copy));
    *copy = *role;
    catalogue->roles[role->number] = copy;
    atomic_store_explicit(&catalogue->count, role->number + 1, memory_order_release);
    size_t slot = role_slot(role->id);
    while (catalogue->slots[slot] != 0)
        slot = (slot + 1) % ROLE_SLOTS;
    atomic_store_explicit(&catalogue->slots[slot], (int16_t)(role->number + 1), memory_order_release);
}

static void update_role(struct role *present, const struct role *role)
{
    memcpy(present->name, role->name, sizeof present->name);
    memcpy(present->group, role->group, sizeof present->group);
    memcpy(present->description, role->description, sizeof present->description);
    present->is_retired = role->is_retired;
    present->version = role->version;
}

void directory_put_role(struct directory *directory, const struct role *role)
{
    pthread_rwlock_wrlock(&directory->lock);
    struct catalogue *catalogue = directory->catalogue;
    struct role *present = role->number < catalogue->count ? catalogue->roles[role->number] : NULL;
    if (present != NULL && role->version >= present->version)
        update_role(present, role);
    else if (role->number == catalogue->count && role->number < ROLES_MAX)
        add_role(catalogue, role);
    pthread_rwlock_unlock(&directory->lock);
}

void directory_put_settings(struct directory *directory, const struct settings *settings)
{
    pthread_rwlock_wrlock(&directory->lock);
    if (settings->version >= directory->settings.version)
        directory->settings = *settings;
    pthread_rwlock_unlock(&directory->lock);
}

static int compare_ids(const void *id, const void *facts)
{
    int64_t left = *(const int64_t *)id, right = (*(struct credential_facts *const *)facts)->id;
    return (left > right) - (left < right);
}

static void purge_absent(struct directory *directory, const struct directory_content *content)
{
    for (struct entry *entry = directory->by_id; entry != NULL; entry = entry->by_id.next)
        if (content->facts_count == 0 || bsearch(&entry->facts.id, content->facts, content->facts_count,
                                                 sizeof *content->facts, compare_ids) == NULL)
            purge(directory, entry);
}

static void replace_facts(struct directory *directory, struct credential_facts *facts)
{
    struct credential_facts *present = find_same(directory, facts);
    if (present == NULL) {
        add_facts(directory, facts);
    } else {
        present->last_used = facts->last_used;
        update_facts(present, facts);
    }
    credential_facts_free(facts);
}

static bool has_same_roles(const struct catalogue *catalogue, const struct directory_content *content)
{
    bool is_same = (size_t)catalogue->count <= content->role_count;
    for (int i = 0; is_same && i < catalogue->count; i++)
        is_same = strcmp(catalogue->roles[i]->id, content->roles[i].id) == 0;
    return is_same;
}

static void replace_roles(struct directory *directory, const struct directory_content *content)
{
    struct catalogue *catalogue = directory->catalogue;
    if (!has_same_roles(catalogue, content))
        catalogue = catalogue_new(catalogue);
    for (size_t i = 0; i < content->role_count; i++) {
        if (content->roles[i].number < catalogue->count)
            update_role(catalogue->roles[content->roles[i].number], &content->roles[i]);
        else if (content->roles[i].number == catalogue->count && catalogue->count < ROLES_MAX)
            add_role(catalogue, &content->roles[i]);
    }
    atomic_store_explicit(&directory->catalogue, catalogue, memory_order_release);
}

void directory_replace(struct directory *directory, const struct directory_content *content)
{
    pthread_rwlock_wrlock(&directory->lock);
    purge_absent(directory, content);
    for (size_t i = 0; i < content->facts_count; i++)
        replace_facts(directory, content->facts[i]);
    replace_roles(directory, content);
    directory->settings = *content->settings;
    pthread_rwlock_unlock(&directory->lock);
}

void directory_clamp(struct directory *directory, int64_t latest, int64_t now)
{
    directory_lock(directory);
    for (struct entry *entry = directory->by_id; entry != NULL; entry = entry->by_id.next) {
        int64_t used = atomic_load(&entry->facts.last_used);
        if (used > latest)
            atomic_compare_exchange_strong(&entry->facts.last_used, &used, now);
    }
    directory_unlock(directory);
}
