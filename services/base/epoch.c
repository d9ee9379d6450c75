/* SPDX-License-Identifier: Apache-2.0 */
#include "base/epoch.h"

#include "base/must.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { CACHE_LINE = 64 };

/* A thread that reads, now and then. Of the process, not of a bin: there are as many as there were threads at a time,
 * and they are never freed. */
struct reader {
    _Alignas(CACHE_LINE) _Atomic uint64_t since; /* the epoch in which it entered; 0: it is outside */
    unsigned depth;                              /* of enters without leave; its thread's */
    atomic_bool is_taken;                        /* its thread has not ended */
    struct reader *next;
};

/* What was discarded in an epoch can be had only by a reader that entered in it or before: both are steps of one order
 * (sequential consistency), in which such a reader's `since` stands before the discard and the sweep after it. */
struct epoch_waste {
    uint64_t epoch;
    void *memory;
    void (*give_back)(void *memory);
    struct epoch_waste *next;
};

static _Atomic uint64_t current = 1;
static struct reader *_Atomic readers;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_end;
static _Thread_local struct reader *here;

/* pthread_key's: the thread has ended. */
static void let_go(void *data)
{
    struct reader *reader = data;
    here = NULL;
    atomic_store(&reader->is_taken, false);
}

/* By pthread_once. */
static void make_key(void)
{
    if (pthread_key_create(&thread_end, let_go) != 0)
        abort();
}

static struct reader *take_free(void)
{
    for (struct reader *reader = atomic_load(&readers); reader != NULL; reader = reader->next)
        if (!atomic_exchange(&reader->is_taken, true))
            return reader;
    return NULL;
}

static struct reader *add(void)
{
    struct reader *reader = must(aligned_alloc(CACHE_LINE, sizeof *reader));
    *reader = (struct reader){.is_taken = true, .next = atomic_load(&readers)};
    while (!atomic_compare_exchange_weak(&readers, &reader->next, reader))
        ;
    return reader;
}

static struct reader *this_thread(void)
{
    if (here != NULL)
        return here;
    pthread_once(&once, make_key);
    here = take_free();
    if (here == NULL)
        here = add();
    if (pthread_setspecific(thread_end, here) != 0)
        abort();
    return here;
}

void epoch_enter(void)
{
    struct reader *reader = this_thread();
    if (reader->depth++ == 0)
        atomic_store(&reader->since, atomic_load(&current));
}

void epoch_leave(void)
{
    if (--here->depth == 0)
        atomic_store_explicit(&here->since, 0, memory_order_release);
}

void epoch_discard(struct epoch_bin *bin, void *memory, void (*give_back)(void *memory))
{
    struct epoch_waste *waste = must(malloc(sizeof *waste));
    *waste = (struct epoch_waste){atomic_fetch_add(&current, 1), memory, give_back, NULL};
    if (bin->newest != NULL)
        bin->newest->next = waste;
    else
        bin->oldest = waste;
    bin->newest = waste;
}

static void free_before(struct epoch_bin *bin, uint64_t epoch)
{
    struct epoch_waste *waste;
    while ((waste = bin->oldest) != NULL && waste->epoch < epoch) {
        bin->oldest = waste->next;
        waste->give_back(waste->memory);
        free(waste);
    }
    if (bin->oldest == NULL)
        bin->newest = NULL;
}

void epoch_sweep(struct epoch_bin *bin)
{
    uint64_t first = UINT64_MAX;
    if (bin->oldest == NULL)
        return;
    for (struct reader *reader = atomic_load(&readers); reader != NULL; reader = reader->next) {
        uint64_t since = atomic_load(&reader->since);
        if (since != 0 && since < first)
            first = since;
    }
    free_before(bin, first);
}

void epoch_empty(struct epoch_bin *bin)
{
    free_before(bin, UINT64_MAX);
}
