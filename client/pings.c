/* SPDX-License-Identifier: Apache-2.0 */
#include "pings.h"

#include "cache.h"

#define LEAST (MEMORY_SECOND / 50) /* between two: the server takes 64 a second */

void gatehouse_pings_begin(struct pings *pings, int64_t now)
{
    pings->due = now; /* C7 */
    pings->first = pings->number + 1;
}

/* C7 */
static int64_t interval(const struct pings *pings, int64_t lease)
{
    if (pings->is_resting)
        return PINGS_REST;
    return lease / 4 > LEAST ? lease / 4 : LEAST;
}

int64_t gatehouse_pings_next(struct pings *pings, int64_t now, int64_t lease)
{
    int64_t number = ++pings->number;
    pings->last = now;
    pings->due = now + interval(pings, lease);
    pings->times[number % PINGS_KNOWN] = gatehouse_cache_clock(); /* C2: read before it is handed over */
    return number;
}

void gatehouse_pings_hasten(struct pings *pings)
{
    int64_t next = pings->last + LEAST;
    pings->due = next < pings->due ? next : pings->due;
}

bool gatehouse_pings_answer(struct pings *pings, int64_t number, int64_t *ret_sent)
{
    bool is_ours = number >= pings->first && number > pings->answered && number <= pings->number &&
                   number > pings->number - PINGS_KNOWN;
    if (!is_ours)
        return false;
    pings->answered = number;
    *ret_sent = pings->times[number % PINGS_KNOWN];
    return true;
}

void gatehouse_pings_end(struct pings *pings)
{
    pings->answered = pings->number;
}

uint64_t gatehouse_pings_unanswered(const struct pings *pings)
{
    int64_t answered = pings->answered; /* before the number, which only grows */
    return (uint64_t)(pings->number - answered);
}
