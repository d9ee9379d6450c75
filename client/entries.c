/* SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

#include "base/epoch.h"
#include "base/must.h"
#include "pool.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_LEAST = 64, BUCKETS_MOST = 1 << 24, CHANCES = 8 };

static_assert(offsetof(struct entry, uses) + offsetof(struct use_count, next) <= 64, "a hit reads one cache line");

/* Whose answers are here. */
struct client {
    char *client_id;
    struct entry *first;
    UT_hash_handle hh;
};

struct entries {
    size_t max, count, mask;
    struct entry *_Atomic *buckets; /* each a list; a reader may be anywhere in it */
    struct uses *uses;
    struct pool *pool;
    struct entry *by_accessor;
    struct client *clients;
    struct entry *oldest, *youngest;
    struct epoch_bin bin;
};

struct entries *gatehouse_entries_new(size_t max, struct uses *uses)
{
    struct entries *entries = must(calloc(1, sizeof *entries));
    size_t buckets = BUCKETS_LEAST;
    while (buckets < BUCKETS_MOST && buckets / 2 < max)
        buckets *= 2;
    entries->max = max;
    entries->uses = uses;
    entries->mask = buckets - 1;
    entries->buckets = gatehouse_pool_map(buckets * sizeof *entries->buckets);
    entries->pool = gatehouse_pool_new(sizeof(struct entry), max);
    return entries;
}

void gatehouse_entries_close(struct entries *entries)
{
    gatehouse_entries_remove_all(entries);
    epoch_empty(&entries->bin);
}

void gatehouse_entries_free(struct entries *entries)
{
    gatehouse_pool_unmap(entries->buckets, (entries->mask + 1) * sizeof *entries->buckets);
    gatehouse_pool_free(entries->pool);
    free(entries);
}

/* Answers */

static struct answer *answer_new(const Gatehouse__V1__IntrospectResponse *response)
{
    struct answer *answer = must(malloc(sizeof *answer));
    size_t size = gatehouse__v1__introspect_response__get_packed_size(response);
    uint8_t *bytes = must(malloc(size + 1));
    gatehouse__v1__introspect_response__pack(response, bytes);
    answer->references = 1;
    answer->response = must(gatehouse__v1__introspect_response__unpack(NULL, size, bytes));
    free(bytes);
    return answer;
}

void gatehouse_answer_release(struct answer *answer)
{
    if (atomic_fetch_sub_explicit(&answer->references, 1, memory_order_acq_rel) > 1)
        return;
    gatehouse__v1__introspect_response__free_unpacked(answer->response, NULL);
    free(answer);
}

static void entry_give_back(struct use_counts *uses)
{
    struct entry *entry = (struct entry *)((char *)uses - offsetof(struct entry, uses));
    gatehouse_answer_release(entry->answer);
    free(entry->sources.networks);
    gatehouse_pool_give(entry->owner->pool, entry);
}

static void take_networks(struct entry *entry, const Gatehouse__V1__IntrospectResponse *response)
{
    if (response->n_networks == 0)
        return;
    entry->sources.networks = must(calloc(response->n_networks, sizeof *entry->sources.networks));
    for (size_t i = 0; i < response->n_networks; i++)
        if (network_parse(response->networks[i], &entry->sources.networks[entry->sources.count]))
            entry->sources.count++;
        else
            entry->has_unknown_network = true;
}

struct entry *gatehouse_entry_new(struct entries *entries, const Gatehouse__V1__IntrospectResponse *response)
{
    struct entry *entry = gatehouse_pool_take(entries->pool);
    entry->answer = answer_new(response);
    entry->owner = entries;
    entry->uses.give_back = entry_give_back;
    take_networks(entry, response);
    strncpy(entry->client_id, response->client_id, sizeof entry->client_id - 1);
    return entry;
}

void gatehouse_entry_free(struct entry *entry)
{
    gatehouse_uses_leave(entry->owner->uses, &entry->uses); /* what was counted is still to be reported */
}

/* By token: readers are in these lists */

static struct entry *_Atomic *bucket_of(struct entries *entries, const struct memory_key *key)
{
    return &entries->buckets[key->hash.a & entries->mask];
}

static bool is_same(const struct memory_key *a, const struct memory_key *b)
{
    return a->hash.a == b->hash.a && a->hash.b == b->hash.b;
}

struct entry *gatehouse_entries_find(struct entries *entries, const struct memory_key *key)
{
    struct entry *entry = atomic_load(bucket_of(entries, key));
    while (entry != NULL && !is_same(&entry->key, key))
        entry = atomic_load(&entry->next);
    return entry;
}

static void unlink_token(struct entries *entries, struct entry *entry)
{
    struct entry *_Atomic *at = bucket_of(entries, &entry->key);
    while (atomic_load(at) != entry)
        at = &atomic_load(at)->next;
    atomic_store(at, atomic_load(&entry->next));
}

static void link_token(struct entries *entries, struct entry *entry)
{
    struct entry *_Atomic *at = bucket_of(entries, &entry->key);
    atomic_store_explicit(&entry->next, atomic_load(at), memory_order_relaxed);
    atomic_store(at, entry);
}

/* By client */

static void join_client(struct entries *entries, struct entry *entry)
{
    const char *client_id = entry->answer->response->client_id;
    struct client *client;
    HASH_FIND_STR(entries->clients, client_id, client);
    if (client == NULL) {
        client = must(calloc(1, sizeof *client));
        client->client_id = must_copy(client_id);
        HASH_ADD_KEYPTR(hh, entries->clients, client->client_id, strlen(client->client_id), client);
    }
    entry->of = client;
    entry->previous_of_client = NULL;
    entry->next_of_client = client->first;
    if (client->first != NULL)
        client->first->previous_of_client = entry;
    client->first = entry;
}

static void leave_client(struct entries *entries, struct entry *entry)
{
    struct client *client = entry->of;
    if (entry->previous_of_client != NULL)
        entry->previous_of_client->next_of_client = entry->next_of_client;
    else
        client->first = entry->next_of_client;
    if (entry->next_of_client != NULL)
        entry->next_of_client->previous_of_client = entry->previous_of_client;
    if (client->first != NULL)
        return;
    HASH_DEL(entries->clients, client);
    free(client->client_id);
    free(client);
}

/* By age */

static void become_youngest(struct entries *entries, struct entry *entry)
{
    entry->younger = NULL;
    entry->older = entries->youngest;
    *(entries->youngest != NULL ? &entries->youngest->younger : &entries->oldest) = entry;
    entries->youngest = entry;
}

static void leave_age(struct entries *entries, struct entry *entry)
{
    *(entry->older != NULL ? &entry->older->younger : &entries->oldest) = entry->younger;
    *(entry->younger != NULL ? &entry->younger->older : &entries->youngest) = entry->older;
}

/* The oldest goes, unless it has been asked for since it was last in this place; then it is the youngest once more. */
static size_t make_room(struct entries *entries)
{
    size_t gone = 0;
    for (int chances = CHANCES; entries->count >= entries->max; chances--) {
        struct entry *oldest = entries->oldest;
        if (chances > 0 && atomic_exchange_explicit(&oldest->was_hit, false, memory_order_relaxed)) {
            leave_age(entries, oldest);
            become_youngest(entries, oldest);
            continue;
        }
        gatehouse_entries_remove(entries, oldest);
        gone++;
    }
    return gone;
}

/* All of them */

size_t gatehouse_entries_add(struct entries *entries, struct entry *entry)
{
    size_t gone = make_room(entries);
    const char *accessor = entry->answer->response->accessor;
    HASH_ADD_KEYPTR(hh, entries->by_accessor, accessor, strlen(accessor), entry);
    join_client(entries, entry);
    become_youngest(entries, entry);
    link_token(entries, entry);
    entries->count++;
    return gone;
}

static void give_back(void *entry)
{
    gatehouse_entry_free(entry);
}

void gatehouse_entries_remove(struct entries *entries, struct entry *entry)
{
    unlink_token(entries, entry);
    HASH_DEL(entries->by_accessor, entry);
    leave_client(entries, entry);
    leave_age(entries, entry);
    entries->count--;
    epoch_discard(&entries->bin, entry, give_back);
}

size_t gatehouse_entries_remove_accessor(struct entries *entries, const char *accessor)
{
    struct entry *entry;
    for (size_t count = 0;; count++) {
        HASH_FIND_STR(entries->by_accessor, accessor, entry);
        if (entry == NULL)
            return count;
        gatehouse_entries_remove(entries, entry);
    }
}

size_t gatehouse_entries_remove_client(struct entries *entries, const char *client_id)
{
    struct client *client;
    size_t count = 0;
    HASH_FIND_STR(entries->clients, client_id, client);
    for (struct entry *entry = client != NULL ? client->first : NULL, *next; entry != NULL; entry = next, count++) {
        next = entry->next_of_client;
        gatehouse_entries_remove(entries, entry); /* with the last of them the client goes, too */
    }
    return count;
}

size_t gatehouse_entries_remove_all(struct entries *entries)
{
    size_t count = 0;
    for (; entries->oldest != NULL; count++)
        gatehouse_entries_remove(entries, entries->oldest);
    return count;
}

size_t gatehouse_entries_count(const struct entries *entries)
{
    return entries->count;
}

void gatehouse_entries_sweep(struct entries *entries)
{
    epoch_sweep(&entries->bin);
}
