/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/limits.h"

#include "base/clock.h"
#include "base/log.h"

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
