/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/directory.h"

#include "base/must.h"
#include "memory/catalogue.h"
#include "memory/credential_index.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct directory {
    pthread_mutex_t lock; /* of writers */
    /* Odd while something is written. A reader that finds the same even number before and after has seen one state. */
    _Atomic uint64_t turn;
    struct credential_index by_id, by_client_id;
    _Atomic int64_t count;            /* of those that are not deleted */
    struct credential_entry *retired; /* another history gave their ids to others */
    const struct settings *_Atomic settings;
    struct catalogue *_Atomic catalogue;
    _Atomic int64_t revision, change_id;   /* the position */
    _Atomic int64_t least_idle, most_idle; /* as struct directory_idle has them */
    _Atomic uint64_t idle_changes;
    struct epoch_bin bin;
};

struct directory *directory_new(void)
{
    struct directory *directory = must(calloc(1, sizeof *directory));
    pthread_mutex_init(&directory->lock, NULL);
    credential_index_init(&directory->by_id, false);
    credential_index_init(&directory->by_client_id, true);
    atomic_init(&directory->least_idle, INT64_MAX);
    atomic_init(&directory->settings, must(calloc(1, sizeof(struct settings))));
    atomic_init(&directory->catalogue, catalogue_new(NULL));
    return directory;
}

static void entry_free(struct credential_entry *entry)
{
    packed_facts_free((void *)(uintptr_t)atomic_load(&entry->facts));
    free(entry);
}

void directory_free(struct directory *directory)
{
    if (directory == NULL)
        return;
    struct credential_entry *entry;
    size_t at = 0;
    while ((entry = credential_index_next(&directory->by_id, &at)) != NULL)
        entry_free(entry);
    while ((entry = directory->retired) != NULL) {
        directory->retired = entry->next_retired;
        entry_free(entry);
    }
    credential_index_done(&directory->by_id);
    credential_index_done(&directory->by_client_id);
    catalogue_free(directory->catalogue);
    free((void *)(uintptr_t)atomic_load(&directory->settings));
    epoch_empty(&directory->bin);
    pthread_mutex_destroy(&directory->lock);
    free(directory);
}

/* Readers */

uint64_t directory_begin(struct directory *directory)
{
    epoch_enter();
    for (;;) {
        uint64_t turn = atomic_load(&directory->turn);
        if (turn % 2 == 0)
            return turn;
        pthread_mutex_lock(&directory->lock); /* until it is written */
        pthread_mutex_unlock(&directory->lock);
    }
}

bool directory_end(struct directory *directory, uint64_t turn)
{
    bool is_same = atomic_load(&directory->turn) == turn;
    epoch_leave();
    return is_same;
}

struct credential_entry *directory_find(struct directory *directory, const char *client_id)
{
    return credential_index_find_client(&directory->by_client_id, client_id);
}

struct credential_entry *directory_find_id(struct directory *directory, int64_t id)
{
    return credential_index_find_id(&directory->by_id, id);
}

const struct credential_facts *directory_facts(const struct credential_entry *entry, struct credential_facts *ret_facts)
{
    ret_facts->id = entry->id;
    memcpy(ret_facts->client_id, entry->client_id, sizeof entry->client_id);
    ret_facts->last_used = atomic_load_explicit(&entry->last_used, memory_order_relaxed);
    packed_facts_read(atomic_load(&entry->facts), ret_facts);
    return ret_facts;
}

int64_t directory_count(struct directory *directory)
{
    return atomic_load(&directory->count);
}

int64_t directory_id(const struct credential_entry *entry)
{
    return entry->id;
}

const char *directory_client_id(const struct credential_entry *entry)
{
    return entry->client_id;
}

void directory_note_use(struct credential_entry *entry, int64_t used)
{
    if (used > atomic_load_explicit(&entry->last_used, memory_order_relaxed))
        atomic_store_explicit(&entry->last_used, used, memory_order_relaxed);
}

#define IDLE_UNIT (60 * CLOCK_SECOND)

int64_t directory_own_idle(const struct credential_entry *entry)
{
    return atomic_load_explicit(&entry->idle_minutes, memory_order_relaxed) * IDLE_UNIT;
}

struct directory_idle directory_idle(struct directory *directory)
{
    return (struct directory_idle){atomic_load(&directory->least_idle), atomic_load(&directory->most_idle),
                                   atomic_load(&directory->idle_changes)};
}

const struct settings *directory_settings(struct directory *directory)
{
    return atomic_load(&directory->settings);
}

void directory_lock(struct directory *directory)
{
    pthread_mutex_lock(&directory->lock);
}

void directory_unlock(struct directory *directory)
{
    epoch_sweep(&directory->bin);
    pthread_mutex_unlock(&directory->lock);
}

void directory_each(struct directory *directory, directory_each_fn *each, void *arg)
{
    struct credential_entry *entry;
    struct credential_facts facts;
    size_t at = 0;
    while ((entry = credential_index_next(&directory->by_id, &at)) != NULL)
        if (!entry->is_purged)
            each(directory_facts(entry, &facts), atomic_load(&entry->last_used), arg);
}

static void count_ends(const struct credential_facts *facts, int64_t now, int64_t until, struct directory_ends *ends)
{
    if (credential_state(facts->deleted, facts->suspended, facts->expires, now) != CREDENTIAL_LIVE)
        return;
    ends->credentials += facts->expires != 0 && facts->expires <= until;
    for (int i = 0; i < facts->secret_count; i++) {
        int64_t end = facts->secrets[i].ends;
        ends->secrets += end != 0 && !secret_has_ended(end, now) && end <= until;
    }
}

struct directory_ends directory_count_ends(struct directory *directory, int64_t now, int64_t within)
{
    enum { AT_ONCE = 1000 };
    struct directory_ends ends = {0};
    struct credential_entry *entry = NULL;
    struct credential_facts facts;
    size_t at = 0;
    do {
        int count = 0;
        directory_lock(directory);
        while (count++ < AT_ONCE && (entry = credential_index_next(&directory->by_id, &at)) != NULL)
            if (!entry->is_purged)
                count_ends(directory_facts(entry, &facts), now, now + within, &ends);
        directory_unlock(directory);
    } while (entry != NULL);
    return ends;
}

static struct catalogue *catalogue_of(struct directory *directory)
{
    return atomic_load_explicit(&directory->catalogue, memory_order_acquire);
}

int directory_role_number(struct directory *directory, const char *role_id)
{
    return catalogue_number(catalogue_of(directory), role_id);
}

int directory_graded(struct directory *directory, enum grade grade)
{
    return catalogue_graded(catalogue_of(directory), grade);
}

enum grade directory_grade(struct directory *directory, const struct role_set *roles)
{
    enum grade grade = GRADE_USER_MANAGER;
    for (; grade > GRADE_NONE; grade--) {
        int role = directory_graded(directory, grade);
        if (role >= 0 && role_set_has(roles, role))
            break;
    }
    return grade;
}

int directory_resource_server(struct directory *directory)
{
    return catalogue_resource_server(catalogue_of(directory));
}

int directory_role_count(struct directory *directory)
{
    return catalogue_count(catalogue_of(directory));
}

const struct role *directory_role(struct directory *directory, int number)
{
    return catalogue_role(catalogue_of(directory), number);
}

const char *directory_role_id(struct directory *directory, int number)
{
    const struct role *role = directory_role(directory, number);
    return role == NULL ? NULL : role->id;
}

struct position directory_position(struct directory *directory)
{
    struct position position;
    uint64_t turn;
    do {
        turn = directory_begin(directory);
        position = (struct position){atomic_load(&directory->revision), atomic_load(&directory->change_id)};
    } while (!directory_end(directory, turn));
    return position;
}

/* Writers */

/* What the functions below store, they store between these two, and nothing that takes long. */
static void write_begin(struct directory *directory)
{
    atomic_fetch_add(&directory->turn, 1);
}

static void write_end(struct directory *directory)
{
    atomic_fetch_add(&directory->turn, 1);
}

void directory_set_position(struct directory *directory, struct position position)
{
    directory_lock(directory);
    write_begin(directory);
    atomic_store(&directory->revision, position.revision);
    atomic_store(&directory->change_id, position.change_id);
    write_end(directory);
    directory_unlock(directory);
}

/* `packed` is the entry's from then on. */
static void set_facts(struct directory *directory, struct credential_entry *entry, const struct packed_facts *packed)
{
    const struct packed_facts *before = atomic_exchange(&entry->facts, packed);
    atomic_fetch_add(&directory->count, packed_facts_are_deleted(before) - packed_facts_are_deleted(packed));
    epoch_discard(&directory->bin, (void *)(uintptr_t)before, packed_facts_free);
}

static void set_idle(struct directory *directory, struct credential_entry *entry, const struct credential_facts *facts)
{
    int64_t idle = own_limit_in_force(&facts->limits, LIMIT_IDLE_TIMEOUT);
    uint16_t before = atomic_exchange(&entry->idle_minutes, (uint16_t)(idle / IDLE_UNIT));
    if (idle != 0 && idle < directory->least_idle)
        atomic_store(&directory->least_idle, idle);
    if (idle > directory->most_idle)
        atomic_store(&directory->most_idle, idle);
    if (before != idle / IDLE_UNIT)
        atomic_fetch_add(&directory->idle_changes, 1);
}

static void set_settings(struct directory *directory, const struct settings *settings)
{
    struct settings *copy = must(malloc(sizeof *copy));
    *copy = *settings;
    epoch_discard(&directory->bin, (void *)(uintptr_t)atomic_exchange(&directory->settings, copy), free);
}

/* `packed` is the entry's from then on. */
static void add_facts(struct directory *directory, const struct credential_facts *facts,
                      const struct packed_facts *packed)
{
    struct credential_entry *entry = must(calloc(1, sizeof *entry));
    entry->id = facts->id;
    memcpy(entry->client_id, facts->client_id, sizeof entry->client_id);
    atomic_init(&entry->last_used, facts->last_used);
    atomic_init(&entry->facts, packed);
    set_idle(directory, entry, facts);
    atomic_fetch_add(&directory->count, !packed_facts_are_deleted(packed));
    credential_index_add(&directory->by_id, entry, &directory->bin);
    credential_index_add(&directory->by_client_id, entry, &directory->bin);
}

/* No token of it is active from now on. */
static void purge(struct directory *directory, struct credential_entry *entry)
{
    if (entry->is_purged)
        return;
    entry->is_purged = true;
    set_facts(directory, entry, packed_facts_purged());
    credential_index_remove(&directory->by_client_id, entry);
}

/* Its id has become another's. */
static void retire(struct directory *directory, struct credential_entry *entry)
{
    purge(directory, entry);
    credential_index_remove(&directory->by_id, entry);
    entry->next_retired = directory->retired;
    directory->retired = entry;
}

/* The entry of the same credential; NULL: there is none. What has its id and is not it is retired: so a purged one
 * stays as it is, for good. */
static struct credential_entry *find_same(struct directory *directory, const struct credential_facts *facts)
{
    struct credential_entry *entry = directory_find_id(directory, facts->id);
    if (entry == NULL)
        return NULL;
    if (!entry->is_purged && strcmp(entry->client_id, facts->client_id) == 0)
        return entry;
    retire(directory, entry);
    return NULL;
}

/* Before anybody is kept waiting. */
static void make_room(struct directory *directory, size_t count)
{
    credential_index_make_room(&directory->by_id, count, &directory->bin);
    credential_index_make_room(&directory->by_client_id, count, &directory->bin);
}

void directory_put_credential(struct directory *directory, struct credential_facts *facts)
{
    struct packed_facts *packed = packed_facts_new(facts);
    directory_lock(directory);
    make_room(directory, 0);
    write_begin(directory);
    struct credential_entry *present = find_same(directory, facts);
    if (present == NULL) {
        add_facts(directory, facts, packed);
    } else {
        directory_note_use(present, facts->last_used);
        if (facts->version >= packed_facts_version(atomic_load(&present->facts))) {
            set_facts(directory, present, packed);
            set_idle(directory, present, facts);
        } else {
            packed_facts_free(packed);
        }
    }
    write_end(directory);
    directory_unlock(directory);
    credential_facts_free(facts);
}

void directory_purge(struct directory *directory, int64_t credential_id)
{
    directory_lock(directory);
    write_begin(directory);
    struct credential_entry *entry = directory_find_id(directory, credential_id);
    if (entry != NULL)
        purge(directory, entry);
    write_end(directory);
    directory_unlock(directory);
}

void directory_put_role(struct directory *directory, const struct role *role)
{
    directory_lock(directory);
    catalogue_put(directory->catalogue, role, false);
    directory_unlock(directory);
}

void directory_put_settings(struct directory *directory, const struct settings *settings)
{
    directory_lock(directory);
    write_begin(directory);
    if (settings->version >= directory_settings(directory)->version)
        set_settings(directory, settings);
    write_end(directory);
    directory_unlock(directory);
}

static int compare_ids(const void *id, const void *facts)
{
    int64_t left = *(const int64_t *)id, right = (*(struct credential_facts *const *)facts)->id;
    return (left > right) - (left < right);
}

static void purge_absent(struct directory *directory, const struct directory_content *content)
{
    struct credential_entry *entry;
    size_t at = 0;
    while ((entry = credential_index_next(&directory->by_id, &at)) != NULL)
        if (content->facts_count == 0 ||
            bsearch(&entry->id, content->facts, content->facts_count, sizeof *content->facts, compare_ids) == NULL)
            purge(directory, entry);
}

static void replace_facts(struct directory *directory, const struct credential_facts *facts,
                          const struct packed_facts *packed)
{
    struct credential_entry *present = find_same(directory, facts);
    if (present == NULL) {
        add_facts(directory, facts, packed);
    } else {
        atomic_store(&present->last_used, facts->last_used);
        set_facts(directory, present, packed);
        set_idle(directory, present, facts);
    }
}

static void replace_roles(struct directory *directory, const struct directory_content *content)
{
    struct catalogue *catalogue = directory->catalogue;
    if (!catalogue_fits(catalogue, content->roles, content->role_count))
        catalogue = catalogue_new(catalogue);
    for (size_t i = 0; i < content->role_count; i++)
        catalogue_put(catalogue, &content->roles[i], true);
    atomic_store_explicit(&directory->catalogue, catalogue, memory_order_release);
}

void directory_replace(struct directory *directory, const struct directory_content *content)
{
    struct packed_facts **packed = must(calloc(content->facts_count + 1, sizeof(struct packed_facts *)));
    for (size_t i = 0; i < content->facts_count; i++)
        packed[i] = packed_facts_new(content->facts[i]);
    directory_lock(directory);
    make_room(directory, content->facts_count);
    write_begin(directory); /* all at once: what was before and what is now do not go together */
    atomic_store(&directory->least_idle, INT64_MAX);
    atomic_store(&directory->most_idle, 0);
    purge_absent(directory, content);
    for (size_t i = 0; i < content->facts_count; i++)
        replace_facts(directory, content->facts[i], packed[i]);
    replace_roles(directory, content);
    set_settings(directory, content->settings);
    write_end(directory);
    directory_unlock(directory);
    for (size_t i = 0; i < content->facts_count; i++)
        credential_facts_free(content->facts[i]);
    free(packed);
}

void directory_clamp(struct directory *directory, int64_t latest, int64_t now)
{
    struct credential_entry *entry;
    size_t at = 0;
    directory_lock(directory);
    while ((entry = credential_index_next(&directory->by_id, &at)) != NULL) {
        int64_t used = atomic_load(&entry->last_used);
        if (used > latest)
            atomic_compare_exchange_strong(&entry->last_used, &used, now);
    }
    directory_unlock(directory);
}
