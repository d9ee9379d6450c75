/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include "base/must.h"
#include "entries.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { REVOKED = 256 };
#define REQUIRED_MOST (75 * MEMORY_SECOND) /* the longest lease of replicas, and of caches */
#define DURATION_MOST (INT64_C(315360000) * MEMORY_SECOND)

/* C4 */
struct window_event {
    struct position position;
    Gatehouse__V1__WatchEventKind kind;
    uint64_t subject;
};

struct memory {
    int64_t lease;
    struct siphash_key secret;
    int64_t (*clock)(void);
    struct uses *uses;
    struct entries *entries;       /* changed under the lock */
    _Atomic int64_t trusted_until; /* as well; before the first pong it is long past */
    _Atomic int64_t behind_until;  /* as well; see `required` */

    pthread_mutex_t lock; /* guards what follows */
    int64_t pong_sent;
    bool has_pong;
    struct window_event *window; /* the last window_count positions; none: none is reached */
    size_t window_begin, window_count;
    struct entry *waiting;
    size_t waiting_count;
    struct memory_key revoked[REVOKED]; /* by this connection */
    size_t revoked_count;
    int64_t required, required_until; /* a revision that the stream must reach, and how long it is waited for */
    struct gatehouse_cache_stats stats;
};

struct memory *gatehouse_memory_new(size_t entries, int64_t lease, const struct siphash_key *secret,
                                    int64_t (*clock)(void), struct uses *uses)
{
    struct memory *memory = must(calloc(1, sizeof *memory));
    memory->uses = uses;
    memory->entries = gatehouse_entries_new(entries, uses);
    memory->trusted_until = memory->behind_until = INT64_MIN;
    memory->lease = lease;
    memory->secret = *secret;
    memory->clock = clock;
    memory->window = must(calloc(MEMORY_WINDOW, sizeof *memory->window));
    pthread_mutex_init(&memory->lock, NULL);
    return memory;
}

struct memory_key gatehouse_memory_key(const struct memory *memory, const char *token)
{
    return (struct memory_key){siphash_of(&memory->secret, token, strlen(token))};
}

/* 0 of none and of a negative one. */
static int64_t read_duration(const Google__Protobuf__Duration *duration)
{
    if (duration == NULL || duration->seconds < 0 || duration->nanos < 0)
        return 0;
    if (duration->seconds >= DURATION_MOST / MEMORY_SECOND)
        return DURATION_MOST;
    return duration->seconds * MEMORY_SECOND + duration->nanos / 1000;
}

/* C4: only the hash of a subject is remembered. Two that share one would end an answer too many, never one too few. */
static uint64_t subject_of(const struct memory *memory, const char *text)
{
    return siphash_of(&memory->secret, text, strlen(text)).a;
}

static struct entry *entry_new(const struct memory *memory, const struct memory_key *key,
                               const Gatehouse__V1__IntrospectResponse *response, int64_t sent)
{
    struct entry *entry = gatehouse_entry_new(memory->entries, response);
    int64_t idle = read_duration(response->idle_timeout);
    entry->key = *key;
    entry->position = (struct position){response->position->revision, response->position->change_id};
    entry->sent = sent;
    entry->until = sent + read_duration(response->valid_for); /* C1: since it was sent, not since it was answered */
    entry->limit = entry->until - gatehouse_uses_interval(idle) - gatehouse_uses_report_time(idle); /* C9 */
    entry->uses.idle_timeout = idle;
    entry->accessor = subject_of(memory, response->accessor);
    entry->client = subject_of(memory, response->client_id);
    return entry;
}

/* Under the lock. */

static void put_in(struct memory *memory, struct entry *entry)
{
    struct entry *before = gatehouse_entries_find(memory->entries, &entry->key);
    if (before != NULL && before->sent > entry->sent) { /* what was asked later is known already */
        gatehouse_entry_free(entry);
        return;
    }
    if (before != NULL)
        gatehouse_entries_remove(memory->entries, before);
    memory->stats.evicted += gatehouse_entries_add(memory->entries, entry);
    memory->stats.kept++;
}

/* C4: the window; under the lock. */

static const struct window_event *window_at(const struct memory *memory, size_t index)
{
    return &memory->window[(memory->window_begin + index) % MEMORY_WINDOW];
}

static const struct window_event *window_last(const struct memory *memory)
{
    return memory->window_count == 0 ? NULL : window_at(memory, memory->window_count - 1);
}

/* What this connection has changed and is not known here yet keeps hits away. Another history may never get there: by
 * the end of REQUIRED_MOST every cache obeys the change, whatever it knows of it. */
static void judge_required(struct memory *memory)
{
    const struct window_event *last = window_last(memory);
    bool is_behind = last == NULL || last->position.revision < memory->required;
    atomic_store(&memory->behind_until, is_behind ? memory->required_until : INT64_MIN);
}

static void window_add(struct memory *memory, const struct window_event *event)
{
    if (memory->window_count == MEMORY_WINDOW) { /* its old end is cut, and nothing else of it */
        memory->window_begin = (memory->window_begin + 1) % MEMORY_WINDOW;
        memory->window_count--;
    }
    memory->window[(memory->window_begin + memory->window_count++) % MEMORY_WINDOW] = *event;
    judge_required(memory);
}

enum place { PLACE_UNKNOWN, PLACE_AHEAD, PLACE_KNOWN };

/* Revisions follow each other without a gap. W1: what another change_id has there is of another history. */
static enum place window_find(const struct memory *memory, int64_t revision, int64_t change_id, size_t *ret_index)
{
    if (memory->window_count == 0 || revision < window_at(memory, 0)->position.revision)
        return PLACE_UNKNOWN;
    if (revision > window_last(memory)->position.revision)
        return PLACE_AHEAD;
    *ret_index = (size_t)(revision - window_at(memory, 0)->position.revision);
    return window_at(memory, *ret_index)->position.change_id == change_id ? PLACE_KNOWN : PLACE_UNKNOWN;
}

static bool names(const struct window_event *event, const struct entry *entry)
{
    if (event->kind == GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_TOKEN)
        return event->subject == entry->accessor;
    if (event->kind == GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_CREDENTIAL)
        return event->subject == entry->client;
    return true; /* all, or a kind that a newer server knows */
}

static bool is_named_after(const struct memory *memory, const struct entry *entry, size_t index)
{
    for (size_t i = index + 1; i < memory->window_count; i++)
        if (names(window_at(memory, i), entry))
            return true;
    return false;
}

/* C5; under the lock. The entry is the memory's from now on. */

static bool is_revoked(const struct memory *memory, const struct memory_key *key)
{
    size_t count = memory->revoked_count < REVOKED ? memory->revoked_count : REVOKED;
    for (size_t i = 0; i < count; i++)
        if (memcmp(&memory->revoked[i], key, sizeof *key) == 0)
            return true;
    return false;
}

static void wait_for_position(struct memory *memory, struct entry *entry)
{
    if (memory->waiting_count == MEMORY_WAITING) {
        gatehouse_entry_free(entry);
        return;
    }
    entry->older = memory->waiting;
    memory->waiting = entry;
    memory->waiting_count++;
}

static void judge(struct memory *memory, struct entry *entry)
{
    size_t index;
    enum place place = window_find(memory, entry->position.revision, entry->position.change_id, &index);
    if (place == PLACE_AHEAD)
        wait_for_position(memory, entry);
    else if (place == PLACE_UNKNOWN || is_named_after(memory, entry, index) || is_revoked(memory, &entry->key))
        gatehouse_entry_free(entry);
    else
        put_in(memory, entry);
}

/* Those that wait: `is_over` says which go. The rest is judged anew. */
static void judge_waiting(struct memory *memory,
                          bool (*is_over)(const struct memory *, const struct entry *, const void *), const void *arg)
{
    struct entry *waiting = memory->waiting;
    memory->waiting = NULL;
    memory->waiting_count = 0;
    for (struct entry *next; waiting != NULL; waiting = next) {
        next = waiting->older;
        if (is_over(memory, waiting, arg))
            gatehouse_entry_free(waiting);
        else
            judge(memory, waiting);
    }
}

static bool is_named(const struct memory *memory, const struct entry *entry, const void *arg)
{
    (void)memory;
    return names(arg, entry);
}

static bool has_waited(const struct memory *memory, const struct entry *entry, const void *arg)
{
    const int64_t *now = arg;
    return *now - entry->sent > memory->lease;
}

static bool is_key(const struct memory *memory, const struct entry *entry, const void *arg)
{
    (void)memory;
    return memcmp(&entry->key, arg, sizeof entry->key) == 0;
}

static bool any(const struct memory *memory, const struct entry *entry, const void *arg)
{
    (void)memory, (void)entry, (void)arg;
    return true;
}

/* For others */

void gatehouse_memory_free(struct memory *memory)
{
    if (memory == NULL)
        return;
    gatehouse_memory_forget(memory);
    gatehouse_entries_close(memory->entries);
    gatehouse_uses_free(memory->uses);
    gatehouse_entries_free(memory->entries);
    pthread_mutex_destroy(&memory->lock);
    free(memory->window);
    explicit_bzero(&memory->secret, sizeof memory->secret);
    free(memory);
}

/* C3: trust is read, then the entry is found, then the clock is read. In this order no lock is needed: where trust
 * comes of a pong, all that came before the pong was obeyed before (C6), and what it named is not found any more. So
 * whoever finds it has a trust that ends a lease after that pong's ping, and was not ended before that ping. As it is
 * with trust it is with what this connection has changed. */
static bool find(struct memory *memory, const struct memory_key *key, struct hit *ret_hit)
{
    int64_t behind_until = atomic_load(&memory->behind_until), trusted_until = atomic_load(&memory->trusted_until);
    struct entry *entry = gatehouse_entries_find(memory->entries, key);
    if (entry == NULL)
        return false;
    __builtin_prefetch(entry->client_id); /* the next cache line, while the clock is read */
    int64_t now = memory->clock();
    if (now >= trusted_until || now >= entry->limit || now < behind_until) /* C2: strictly */
        return false;
    if (!atomic_load_explicit(&entry->was_hit, memory_order_relaxed))
        atomic_store_explicit(&entry->was_hit, true, memory_order_relaxed);
    *ret_hit = (struct hit){entry, now};
    return true;
}

void gatehouse_memory_require(struct memory *memory, const struct position *position)
{
    pthread_mutex_lock(&memory->lock);
    int64_t now = memory->clock();
    if (position->revision > memory->required || now >= memory->required_until) {
        memory->required = position->revision;
        memory->required_until = now + REQUIRED_MOST;
        judge_required(memory);
    }
    pthread_mutex_unlock(&memory->lock);
}

bool gatehouse_memory_find(struct memory *memory, const struct memory_key *key,
                           const Gatehouse__V1__Position *min_position, struct hit *ret_hit)
{
    size_t index;
    if (min_position == NULL)
        return find(memory, key, ret_hit);
    pthread_mutex_lock(&memory->lock); /* C10: no reset comes between the window and the entry */
    bool is_hit = window_find(memory, min_position->revision, min_position->change_id, &index) == PLACE_KNOWN &&
                  find(memory, key, ret_hit);
    pthread_mutex_unlock(&memory->lock);
    return is_hit;
}

void gatehouse_memory_keep(struct memory *memory, const struct memory_key *key,
                           const Gatehouse__V1__IntrospectResponse *response, int64_t sent)
{
    if (!response->active || response->position == NULL || response->valid_for == NULL)
        return; /* C8: inactive is not kept */
    struct entry *entry = entry_new(memory, key, response, sent);
    pthread_mutex_lock(&memory->lock);
    judge(memory, entry); /* C5, with its insertion under one lock */
    pthread_mutex_unlock(&memory->lock);
}

void gatehouse_memory_remove(struct memory *memory, const struct memory_key *key, bool for_good)
{
    pthread_mutex_lock(&memory->lock);
    if (for_good)
        memory->revoked[memory->revoked_count++ % REVOKED] = *key;
    struct entry *entry = gatehouse_entries_find(memory->entries, key);
    if (entry != NULL) {
        gatehouse_entries_remove(memory->entries, entry);
        memory->stats.removed++;
    }
    judge_waiting(memory, is_key, key);
    pthread_mutex_unlock(&memory->lock);
}

/* Under the lock. */
static void forget(struct memory *memory)
{
    memory->stats.removed += gatehouse_entries_remove_all(memory->entries);
    judge_waiting(memory, any, NULL);
    memory->window_begin = memory->window_count = 0;
    judge_required(memory);
}

static void remove_named(struct memory *memory, const Gatehouse__V1__WatchEvent *event)
{
    if (event->kind == GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_TOKEN)
        memory->stats.removed += gatehouse_entries_remove_accessor(memory->entries, event->accessor);
    else if (event->kind == GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_CREDENTIAL)
        memory->stats.removed += gatehouse_entries_remove_client(memory->entries, event->client_id);
    else
        memory->stats.removed += gatehouse_entries_remove_all(memory->entries);
}

bool gatehouse_memory_event(struct memory *memory, const Gatehouse__V1__WatchEvent *event)
{
    struct window_event seen = {.kind = event->kind};
    pthread_mutex_lock(&memory->lock);
    const struct window_event *last = window_last(memory);
    bool follows = last != NULL && event->position != NULL && event->position->revision - 1 == last->position.revision;
    if (!follows) {
        forget(memory);
    } else {
        seen.position = (struct position){event->position->revision, event->position->change_id};
        seen.subject = subject_of(memory, event->kind == GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_TOKEN
                                              ? event->accessor
                                              : event->client_id);
        remove_named(memory, event); /* C6: first what it names, then the position */
        window_add(memory, &seen);
        judge_waiting(memory, is_named, &seen);
        memory->stats.events++;
    }
    pthread_mutex_unlock(&memory->lock);
    return follows;
}

bool gatehouse_memory_resumed(struct memory *memory, const struct position *position)
{
    pthread_mutex_lock(&memory->lock);
    const struct window_event *last = window_last(memory);
    bool is_there = last != NULL && last->position.revision == position->revision &&
                    last->position.change_id == position->change_id;
    if (!is_there)
        forget(memory);
    pthread_mutex_unlock(&memory->lock);
    return is_there;
}

void gatehouse_memory_reset(struct memory *memory, const struct position *position)
{
    pthread_mutex_lock(&memory->lock);
    forget(memory); /* C6: what waits, too; the window begins here. C2: trust runs on */
    window_add(memory, &(struct window_event){.position = *position});
    pthread_mutex_unlock(&memory->lock);
}

void gatehouse_memory_forget(struct memory *memory)
{
    pthread_mutex_lock(&memory->lock);
    forget(memory);
    pthread_mutex_unlock(&memory->lock);
}

void gatehouse_memory_pong(struct memory *memory, int64_t sent, int64_t lease)
{
    pthread_mutex_lock(&memory->lock);
    int64_t until = sent + lease / 64 * 63; /* W9: clocks run differently */
    if (!memory->has_pong || sent > memory->pong_sent)
        memory->pong_sent = sent;
    if (until > memory->trusted_until)
        atomic_store(&memory->trusted_until, until); /* C2: only a pong moves it, and it only grows */
    memory->has_pong = true;
    memory->stats.lease_ms = lease / 1000;
    pthread_mutex_unlock(&memory->lock);
}

bool gatehouse_memory_position(struct memory *memory, struct position *ret_position)
{
    pthread_mutex_lock(&memory->lock);
    const struct window_event *last = window_last(memory);
    if (last != NULL)
        *ret_position = last->position;
    pthread_mutex_unlock(&memory->lock);
    return last != NULL;
}

void gatehouse_memory_tidy(struct memory *memory)
{
    pthread_mutex_lock(&memory->lock);
    int64_t now = memory->clock();
    if (memory->waiting != NULL)
        judge_waiting(memory, has_waited, &now); /* C5: a lease at most */
    gatehouse_entries_sweep(memory->entries);
    pthread_mutex_unlock(&memory->lock);
}

void gatehouse_memory_stats(struct memory *memory, struct gatehouse_cache_stats *ret_stats)
{
    pthread_mutex_lock(&memory->lock);
    *ret_stats = memory->stats;
    ret_stats->entries = gatehouse_entries_count(memory->entries);
    int64_t now = memory->clock();
    ret_stats->is_trusted = memory->has_pong && memory->window_count > 0 && now < memory->trusted_until;
    ret_stats->pong_age_ms = memory->has_pong ? (now - memory->pong_sent) / 1000 : -1;
    pthread_mutex_unlock(&memory->lock);
}
