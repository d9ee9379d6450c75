/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/throttle.h"

#include "domain/crypto.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOTS = 4096, /* keys share a slot now and then; then their failures add up, which costs only who fails */
    FAILURES = 30,
};
#define REFILL INT64_C(2000000) /* one failure is forgiven every two seconds */

struct throttle {
    pthread_mutex_t lock;
    uint8_t secret[SHA256_BYTES]; /* so that nobody can choose keys that share a slot */
    int64_t full_at[SLOTS];       /* when all failures of the slot will have been forgiven */
};

struct throttle *throttle_new(void)
{
    struct throttle *throttle = calloc(1, sizeof *throttle);
    if (throttle == NULL)
        abort();
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

bool throttle_allow_failure(struct throttle *throttle, const char *key, int64_t now, int64_t *ret_retry_ms)
{
    uint8_t mac[SHA256_BYTES];
    uint32_t hash;
    crypto_hmac_sha256(throttle->secret, key, strlen(key), mac);
    memcpy(&hash, mac, sizeof hash);
    pthread_mutex_lock(&throttle->lock);
    int64_t *full_at = &throttle->full_at[hash % SLOTS];
    if (*full_at < now)
        *full_at = now;
    bool is_allowed = *full_at + REFILL <= now + FAILURES * REFILL;
    if (is_allowed)
        *full_at += REFILL;
    *ret_retry_ms = (*full_at - now - (FAILURES - 1) * REFILL) / 1000;
    pthread_mutex_unlock(&throttle->lock);
    return is_allowed;
}
