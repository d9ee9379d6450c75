/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/throttle.h"

#include "base/address.h"
#include "base/crypto.h"
#include "base/must.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOTS = 4096, /* of each row. Keys share a slot now and then; but hardly one in every row */
    ROWS = 4,
    FAILURES = 30,
};
#define REFILL INT64_C(2000000)      /* one failure is forgiven every two seconds */
#define TELL_EVERY INT64_C(60000000) /* of refusals of one key */

struct table {
    int64_t full_at[ROWS][SLOTS]; /* when all failures of the slot will have been forgiven */
    int64_t told_at[SLOTS];
    int64_t untold[SLOTS];
};

struct throttle {
    pthread_mutex_t lock;
    uint8_t secret[SHA256_BYTES]; /* so that nobody can choose keys that share a slot */
    struct table addresses, clients;
    _Atomic uint64_t refused;
};

struct throttle *throttle_new(void)
{
    struct throttle *throttle = must(calloc(1, sizeof *throttle));
    pthread_mutex_init(&throttle->lock, NULL);
    crypto_random(throttle->secret, sizeof throttle->secret);
    return throttle;
}

void throttle_free(struct throttle *throttle)
{
    if (throttle != NULL)
        pthread_mutex_destroy(&throttle->lock);
    free(throttle);
}

static void find_slots(const struct throttle *throttle, const char *key, uint32_t slots[static ROWS])
{
    uint8_t mac[SHA256_BYTES];
    crypto_hmac_sha256(throttle->secret, key, strlen(key), mac);
    for (int row = 0; row < ROWS; row++) {
        memcpy(&slots[row], mac + (size_t)row * sizeof *slots, sizeof *slots);
        slots[row] %= SLOTS;
    }
}

/* What the key has to answer for is at most what its least slot says. */
static int64_t least_of(struct table *table, const uint32_t slots[static ROWS], int64_t now)
{
    int64_t least = INT64_MAX, most = now + FAILURES * REFILL;
    for (int row = 0; row < ROWS; row++) {
        int64_t *full_at = &table->full_at[row][slots[row]];
        if (*full_at > most) /* only a clock that was set back leaves so much */
            *full_at = most;
        if (*full_at < least)
            least = *full_at;
    }
    return least < now ? now : least;
}

static void raise_to(struct table *table, const uint32_t slots[static ROWS], int64_t full_at)
{
    for (int row = 0; row < ROWS; row++)
        if (table->full_at[row][slots[row]] < full_at)
            table->full_at[row][slots[row]] = full_at;
}

static int64_t tell(struct table *table, uint32_t slot, int64_t now)
{
    int64_t count = ++table->untold[slot], since = now - table->told_at[slot];
    if (table->told_at[slot] != 0 && since >= 0 && since < TELL_EVERY)
        return 0;
    table->told_at[slot] = now;
    table->untold[slot] = 0;
    return count;
}

static struct throttle_verdict note(struct throttle *throttle, struct table *table, const char *key, int64_t now)
{
    uint32_t slots[ROWS];
    find_slots(throttle, key, slots);
    int64_t full_at = least_of(table, slots, now);
    struct throttle_verdict verdict = {.is_allowed = full_at + REFILL <= now + FAILURES * REFILL};
    if (verdict.is_allowed)
        raise_to(table, slots, full_at += REFILL);
    else
        verdict.refused = tell(table, slots[0], now);
    verdict.retry_ms = (full_at - now - (FAILURES - 1) * REFILL) / 1000;
    return verdict;
}

struct throttle_verdict throttle_failure(struct throttle *throttle, const char *peer, const char *client_id,
                                         int64_t now)
{
    char group[ADDRESS_TEXT_MAX];
    address_group(peer, group);
    pthread_mutex_lock(&throttle->lock);
    struct throttle_verdict verdict = note(throttle, &throttle->addresses, group, now);
    if (verdict.is_allowed && client_id != NULL)
        verdict = note(throttle, &throttle->clients, client_id, now);
    pthread_mutex_unlock(&throttle->lock);
    if (!verdict.is_allowed)
        atomic_fetch_add_explicit(&throttle->refused, 1, memory_order_relaxed);
    return verdict;
}

uint64_t throttle_refused(const struct throttle *throttle)
{
    return atomic_load_explicit(&throttle->refused, memory_order_relaxed);
}
