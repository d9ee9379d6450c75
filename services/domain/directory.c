/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/directory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ROLE_SLOTS = 1024 }; /* open addressing, at most a quarter full */

struct directory {
    pthread_rwlock_t lock;
    struct credential_facts *by_id;
    struct credential_facts *by_client_id;
    struct settings settings;
    struct role *roles[ROLES_MAX];
    _Atomic int role_count;
    _Atomic int16_t role_slots[ROLE_SLOTS]; /* number + 1; 0: empty */
    _Atomic int64_t revision;
};

struct directory *directory_new(void)
{
    struct directory *directory = calloc(1, sizeof *directory);
    if (directory == NULL)
        abort();
    /* Without this a stream of introspections could keep a revocation waiting. */
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&directory->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return directory;
}

void credential_facts_free(struct credential_facts *facts)
{
    if (facts == NULL)
        return;
    free(facts->name);
    free(facts->owner);
    free(facts);
}

void directory_free(struct directory *directory)
{
    if (directory == NULL)
        return;
    struct credential_facts *facts, *next;
    HASH_CLEAR(by_client_id, directory->by_client_id);
    HASH_ITER(by_id, directory->by_id, facts, next)
    {
        HASH_DELETE(by_id, directory->by_id, facts);
        credential_facts_free(facts);
    }
    for (int i = 0; i < directory->role_count; i++)
        free(directory->roles[i]);
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
    struct credential_facts *facts = NULL;
    HASH_FIND(by_client_id, directory->by_client_id, client_id, strlen(client_id), facts);
    return facts;
}

struct credential_facts *directory_find_id(struct directory *directory, int64_t id)
{
    struct credential_facts *facts = NULL;
    HASH_FIND(by_id, directory->by_id, &id, sizeof id, facts);
    return facts;
}

const struct settings *directory_settings(struct directory *directory)
{
    return &directory->settings;
}

void directory_each(struct directory *directory, directory_each_fn *each, void *arg)
{
    for (struct credential_facts *facts = directory->by_id; facts != NULL; facts = facts->by_id.next)
        if (!facts->is_purged)
            each(facts, arg);
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
    for (size_t slot = role_slot(role_id);; slot = (slot + 1) % ROLE_SLOTS) {
        int number = atomic_load_explicit(&directory->role_slots[slot], memory_order_acquire) - 1;
        if (number < 0 || strcmp(directory->roles[number]->id, role_id) == 0)
            return number;
    }
}

int directory_role_count(struct directory *directory)
{
    return atomic_load_explicit(&directory->role_count, memory_order_acquire);
}

const char *directory_role_id(struct directory *directory, int number)
{
    return number >= 0 && number < directory_role_count(directory) ? directory->roles[number]->id : NULL;
}

const struct role *directory_role(struct directory *directory, int number)
{
    return number >= 0 && number < directory_role_count(directory) ? directory->roles[number] : NULL;
}

int64_t directory_revision(struct directory *directory)
{
    return atomic_load(&directory->revision);
}

void directory_set_revision(struct directory *directory, int64_t revision)
{
    int64_t current = atomic_load(&directory->revision);
    while (revision > current && !atomic_compare_exchange_weak(&directory->revision, &current, revision))
        ;
}

static void swap_text(char **a, char **b)
{
    char *kept = *a;
    *a = *b;
    *b = kept;
}

/* Copies all that can change into the credential that is there already, unless that is the newer one. */
static void update_facts(struct credential_facts *facts, struct credential_facts *from)
{
    if (from->last_used > facts->last_used)
        facts->last_used = from->last_used;
    if (from->version < facts->version)
        return;
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

void directory_put_credential(struct directory *directory, struct credential_facts *facts)
{
    pthread_rwlock_wrlock(&directory->lock);
    struct credential_facts *present = directory_find_id(directory, facts->id);
    if (present != NULL) {
        update_facts(present, facts);
    } else {
        HASH_ADD(by_id, directory->by_id, id, sizeof facts->id, facts);
        HASH_ADD_KEYPTR(by_client_id, directory->by_client_id, facts->client_id, strlen(facts->client_id), facts);
    }
    pthread_rwlock_unlock(&directory->lock);
    if (present != NULL)
        credential_facts_free(facts);
}

void directory_purge(struct directory *directory, int64_t credential_id)
{
    pthread_rwlock_wrlock(&directory->lock);
    struct credential_facts *facts = directory_find_id(directory, credential_id);
    if (facts != NULL && !facts->is_purged) {
        facts->is_purged = true;
        HASH_DELETE(by_client_id, directory->by_client_id, facts);
    }
    pthread_rwlock_unlock(&directory->lock);
}

void directory_put_role(struct directory *directory, const struct role *role)
{
    pthread_rwlock_wrlock(&directory->lock);
    struct role *present = role->number < directory->role_count ? directory->roles[role->number] : NULL;
    if (present != NULL && role->version >= present->version) {
        memcpy(present->name, role->name, sizeof present->name);
        memcpy(present->group, role->group, sizeof present->group);
        memcpy(present->description, role->description, sizeof present->description);
        present->is_retired = role->is_retired;
        present->version = role->version;
    } else if (role->number == directory->role_count && role->number < ROLES_MAX) {
        struct role *copy = malloc(sizeof *copy);
        if (copy == NULL)
            abort();
        *copy = *role;
        directory->roles[role->number] = copy;
        atomic_store_explicit(&directory->role_count, role->number + 1, memory_order_release);
        size_t slot = role_slot(role->id);
        while (directory->role_slots[slot] != 0)
            slot = (slot + 1) % ROLE_SLOTS;
        atomic_store_explicit(&directory->role_slots[slot], (int16_t)(role->number + 1), memory_order_release);
    }
    pthread_rwlock_unlock(&directory->lock);
}

void directory_put_settings(struct directory *directory, const struct settings *settings)
{
    pthread_rwlock_wrlock(&directory->lock);
    if (settings->version >= directory->settings.version)
        directory->settings = *settings;
    pthread_rwlock_unlock(&directory->lock);
}
