/* SPDX-License-Identifier: Apache-2.0 */
#include "base/peers.h"

#include "base/must.h"

#include <pthread.h>
#include <stdio.h>
#include <uthash.h>

struct peer {
    char address[64];
    int count;
    UT_hash_handle hh;
};

struct peers {
    pthread_mutex_t lock;
    struct peer *table;
    int most;
};

struct peers *peers_new(int most)
{
    struct peers *peers = must(calloc(1, sizeof *peers));
    peers->most = most;
    pthread_mutex_init(&peers->lock, NULL);
    return peers;
}

void peers_free(struct peers *peers)
{
    if (peers == NULL)
        return;
    struct peer *peer, *next;
    HASH_ITER(hh, peers->table, peer, next)
    {
        HASH_DEL(peers->table, peer);
        free(peer);
    }
    pthread_mutex_destroy(&peers->lock);
    free(peers);
}

static struct peer *add_locked(struct peers *peers, const char *address)
{
    struct peer *peer = must(calloc(1, sizeof *peer));
    snprintf(peer->address, sizeof peer->address, "%s", address);
    HASH_ADD_STR(peers->table, address, peer);
    return peer;
}

bool peers_add(struct peers *peers, const char *address)
{
    struct peer *peer;
    if (*address == '\0')
        return true;
    pthread_mutex_lock(&peers->lock);
    HASH_FIND_STR(peers->table, address, peer);
    if (peer == NULL)
        peer = add_locked(peers, address);
    bool is_added = peer->count < peers->most;
    if (is_added)
        peer->count++;
    pthread_mutex_unlock(&peers->lock);
    return is_added;
}

void peers_remove(struct peers *peers, const char *address)
{
    struct peer *peer;
    if (*address == '\0')
        return;
    pthread_mutex_lock(&peers->lock);
    HASH_FIND_STR(peers->table, address, peer);
    if (peer != NULL && --peer->count == 0) {
        HASH_DEL(peers->table, peer);
        free(peer);
    }
    pthread_mutex_unlock(&peers->lock);
}
