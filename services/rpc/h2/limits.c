/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/limits.h"

#include "base/clock.h"
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

enum { BURST = 4, QUIET_S = 10 };

void h2_rate_init(struct h2_rate *rate, int a_second, int64_t now)
{
    rate->left = (int64_t)a_second * BURST * CLOCK_SECOND;
    rate->filled = now;
}

void h2_rate_give(struct h2_rate *rate)
{
    rate->left += CLOCK_SECOND; /* taking cuts it down to what is allowed at once */
}

bool h2_rate_take(struct h2_rate *rate, int a_second, int64_t now)
{
    int64_t most = (int64_t)a_second * BURST * CLOCK_SECOND, passed = now - rate->filled;
    rate->filled = now;
    rate->left += passed > BURST * CLOCK_SECOND ? most : passed * a_second;
    if (rate->left > most)
        rate->left = most;
    if (rate->left < CLOCK_SECOND)
        return false;
    rate->left -= CLOCK_SECOND;
    return true;
}

bool h2_limits_met(struct h2_limits *limits, enum rpc_limit limit, const char *peer, const char *why, int64_t now)
{
    uint_least64_t met = atomic_fetch_add_explicit(&limits->met[limit], 1, memory_order_relaxed) + 1;
    int_least64_t before = atomic_load_explicit(&limits->told_at[limit], memory_order_relaxed);
    if (before != 0 && now - before < QUIET_S * CLOCK_SECOND)
        return false;
    if (!atomic_compare_exchange_strong(&limits->told_at[limit], &before, now))
        return false;
    uint_least64_t told = atomic_exchange(&limits->told[limit], met);
    log_write(LOG_LEVEL_WARN, "grpc_limit", "limit", rpc_limit_name(limit), "peer", peer, "why", why, "times",
              log_number((long long)(met - told)).text, NULL);
    return true;
}

struct peer {
    char address[64];
    int count;
    UT_hash_handle hh;
};

struct h2_peers {
    pthread_mutex_t lock;
    struct peer *table;
    int most;
};

struct h2_peers *h2_peers_new(int most)
{
    struct h2_peers *peers = calloc(1, sizeof *peers);
    if (peers == NULL)
        abort();
    peers->most = most;
    pthread_mutex_init(&peers->lock, NULL);
    return peers;
}

void h2_peers_free(struct h2_peers *peers)
{
    struct peer *peer, *next;
    if (peers == NULL)
        return;
    HASH_ITER(hh, peers->table, peer, next)
    {
        HASH_DEL(peers->table, peer);
        free(peer);
    }
    pthread_mutex_destroy(&peers->lock);
    free(peers);
}

bool h2_peers_add(struct h2_peers *peers, const char *address)
{
    struct peer *peer;
    if (*address == '\0')
        return true;
    pthread_mutex_lock(&peers->lock);
    HASH_FIND_STR(peers->table, address, peer);
    if (peer == NULL) {
        peer = calloc(1, sizeof *peer);
        if (peer == NULL)
            abort();
        snprintf(peer->address, sizeof peer->address, "%s", address);
        HASH_ADD_STR(peers->table, address, peer);
    }
    bool is_added = peer->count < peers->most;
    if (is_added)
        peer->count++;
    pthread_mutex_unlock(&peers->lock);
    return is_added;
}

void h2_peers_remove(struct h2_peers *peers, const char *address)
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
