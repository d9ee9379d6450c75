/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include "base/must.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(message) abort()
/* Its keys are hashes already, or short and not for others to choose. */
#include <uthash.h>

enum { REVOKED = 256, CHANCES = 8 };
#define IDLE_MOST (10 * MEMORY_SECOND)
#define REPORT_MOST (2 * MEMORY_SECOND)
#define REQUIRED_MOST (75 * MEMORY_SECOND) /* the longest lease of replicas, and of caches */
#define DURATION_MOST (INT64_C(315360000) * MEMORY_SECOND)

struct client;

/* C1 */
struct entry {
    struct memory_key key;
    struct answer *answer;
    struct position position;
    int64_t sent, until, idle_timeout;
    uint64_t accessor, client_id; /* as events name them; see struct window_event */
    bool was_hit;                 /* since it was last the oldest */
    struct client *client;
    struct entry *previous, *next; /* of the same client; of those that wait: next */
    UT_hash_handle by_key, by_accessor;
};

/* Whose answers are here. */
struct client {
    const char *client_id; /* its first entry's */
    struct entry *first;
    UT_hash_handle hh;
};

/* C4 */
struct window_event {
    struct position position;
    Gatehouse__V1__WatchEventKind kind;
    uint64_t subject;
};

struct memory {
    size_t entries_max;
    int64_t lease;
    struct siphash_key secret;
    int64_t (*clock)(void);

    pthread_mutex_t lock; /* guards what follows */
    struct entry *by_key, *by_accessor;
    struct client *clients;
    int64_t trusted_until, pong_sent;
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
                                    int64_t (*clock)(void))
{
    struct memory *memory = must(calloc(1, sizeof *memory));
    memory->entries_max = entries;
    memory->lease = lease;
    memory->secret = *secret;
    memory->clock = clock;
    memory->window = must(calloc(MEMORY_WINDOW, sizeof *memory->window));
    pthread_mutex_init(&memory->lock, NULL);
    return memory;
}

struct memory_key gatehouse_memory_key(const struct memory *memory, const char *token)
{
    return (struct memory_key){gatehouse_siphash(&memory->secret, token, strlen(token))};
}

int64_t gatehouse_memory_interval(int64_t idle_timeout)
{
    return idle_timeout / 10 < IDLE_MOST ? idle_timeout / 10 : IDLE_MOST; /* C9 */
}

int64_t gatehouse_memory_report_time(int64_t idle_timeout)
{
    int64_t interval = gatehouse_memory_interval(idle_timeout);
    return interval < REPORT_MOST ? interval : REPORT_MOST;
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
    if (__atomic_sub_fetch(&answer->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    gatehouse__v1__introspect_response__free_unpacked(answer->response, NULL);
    free(answer);
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
    return gatehouse_siphash(&memory->secret, text, strlen(text)).a;
}

static struct entry *entry_new(const struct memory *memory, const struct memory_key *key,
                               const Gatehouse__V1__IntrospectResponse *response, int64_t sent)
{
    struct entry *entry = must(calloc(1, sizeof *entry));
    entry->key = *key;
    entry->answer = answer_new(response);
    entry->position = (struct position){response->position->revision, response->position->change_id};
    entry->sent = sent;
    entry->until = sent + read_duration(response->valid_for); /* C1: since it was sent, not since it was answered */
    entry->idle_timeout = read_duration(response->idle_timeout);
    entry->accessor = subject_of(memory, response->accessor);
    entry->client_id = subject_of(memory, response->client_id);
    return entry;
}

static void entry_free(struct entry *entry)
{
    gatehouse_answer_release(entry->answer);
    free(entry);
}

/* The tables; under the lock. */

static void join_client(struct memory *memory, struct entry *entry)
{
    const char *client_id = entry->answer->response->client_id;
    struct client *client;
    HASH_FIND_STR(memory->clients, client_id, client);
    if (client == NULL) {
        client = must(calloc(1, sizeof *client));
        client->client_id = must_copy(client_id);
        HASH_ADD_KEYPTR(hh, memory->clients, client->client_id, strlen(client->client_id), client);
    }
    entry->client = client;
    entry->previous = NULL;
    entry->next = client->first;
    if (client->first != NULL)
        client->first->previous = entry;
    client->first = entry;
}

static void leave_client(struct memory *memory, struct entry *entry)
{
    struct client *client = entry->client;
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        client->first = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    if (client->first != NULL)
        return;
    HASH_DEL(memory->clients, client);
    free((char *)(uintptr_t)client->client_id);
    free(client);
}

static struct entry *find(struct memory *memory, const struct memory_key *key)
{
    struct entry *entry;
    HASH_FIND(by_key, memory->by_key, key, sizeof *key, entry);
    return entry;
}

static void take_out(struct memory *memory, struct entry *entry)
{
    HASH_DELETE(by_key, memory->by_key, entry);
    HASH_DELETE(by_accessor, memory->by_accessor, entry);
    leave_client(memory, entry);
    memory->stats.entries--;
    entry_free(entry);
}

/* The oldest goes, unless it has been asked for since it was last in this place; then it is the youngest once more. */
static void make_room(struct memory *memory)
{
    for (int chances = CHANCES; memory->stats.entries >= memory->entries_max; chances--) {
        struct entry *oldest = memory->by_key;
        if (oldest->was_hit && chances > 0) {
            oldest->was_hit = false;
            HASH_DELETE(by_key, memory->by_key, oldest);
            HASH_ADD(by_key, memory->by_key, key, sizeof oldest->key, oldest);
            continue;
        }
        take_out(memory, oldest);
        memory->stats.evicted++;
    }
}

static void put_in(struct memory *memory, struct entry *entry)
{
    struct entry *before = find(memory, &entry->key);
    if (before != NULL && before->sent > entry->sent) { /* what was asked later is known already */
        entry_free(entry);
        return;
    }
    if (before != NULL)
        take_out(memory, before);
    make_room(memory);
    const char *accessor = entry->answer->response->accessor;
    HASH_ADD(by_key, memory->by_key, key, sizeof entry->key, entry);
    HASH_ADD_KEYPTR(by_accessor, memory->by_accessor, accessor, strlen(accessor), entry);
    join_client(memory, entry);
    memory->stats.entries++;
    memory->stats.kept++;
}

static void remove_accessor(struct memory *memory, const char *accessor)
{
    struct entry *entry;
    for (;;) {
        HASH_FIND(by_accessor, memory->by_accessor, accessor, strlen(accessor), entry);
        if (entry == NULL)
            return;
        take_out(memory, entry);
        memory->stats.removed++;
    }
}

static void remove_client(struct memory *memory, const char *client_id)
{
    struct client *client;
    HASH_FIND_STR(memory->clients, client_id, client);
    while (client != NULL) {
        bool is_last = client->first->next == NULL;
        take_out(memory, client->first);
        memory->stats.removed++;
        if (is_last) /* and the client with it */
            return;
    }
}

static void remove_all(struct memory *memory)
{
    while (memory->by_key != NULL) {
        take_out(memory, memory->by_key);
        memory->stats.removed++;
    }
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

static void window_add(struct memory *memory, const struct window_event *event)
{
    if (memory->window_count == MEMORY_WINDOW) { /* its old end is cut, and nothing else of it */
        memory->window_begin = (memory->window_begin + 1) % MEMORY_WINDOW;
        memory->window_count--;
    }
    memory->window[(memory->window_begin + memory->window_count++) % MEMORY_WINDOW] = *event;
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
        return event->subject == entry->client_id;
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
        entry_free(entry);
        return;
    }
    entry->next = memory->waiting;
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
        entry_free(entry);
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
        next = waiting->next;
        if (is_over(memory, waiting, arg))
            entry_free(waiting);
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
    pthread_mutex_destroy(&memory->lock);
    free(memory->window);
    explicit_bzero(&memory->secret, sizeof memory->secret);
    free(memory);
}

/* What this connection has changed is not known here yet. Another history may never get there: by the end of
 * REQUIRED_MOST every cache obeys the change, whatever it knows of it. */
static bool is_behind(const struct memory *memory, int64_t now)
{
    const struct window_event *last = window_last(memory);
    return now < memory->required_until && (last == NULL || last->position.revision < memory->required);
}

void gatehouse_memory_require(struct memory *memory, const struct position *position)
{
    pthread_mutex_lock(&memory->lock);
    int64_t now = memory->clock();
    if (position->revision > memory->required || now >= memory->required_until) {
        memory->required = position->revision;
        memory->required_until = now + REQUIRED_MOST;
    }
    pthread_mutex_unlock(&memory->lock);
}

bool gatehouse_memory_find(struct memory *memory, const struct memory_key *key,
                           const Gatehouse__V1__Position *min_position, struct hit *ret_hit)
{
    size_t index;
    pthread_mutex_lock(&memory->lock);
    struct entry *entry = find(memory, key);
    int64_t now = memory->clock(); /* C3: the entry is found, then the clock is read */
    bool is_hit = entry != NULL && now < memory->trusted_until && !is_behind(memory, now); /* C2: strictly */
    if (is_hit) {
        int64_t margin =
            gatehouse_memory_interval(entry->idle_timeout) + gatehouse_memory_report_time(entry->idle_timeout); /* C9 */
        is_hit = now < entry->until - margin;
    }
    if (is_hit && min_position != NULL) /* C10 */
        is_hit = window_find(memory, min_position->revision, min_position->change_id, &index) == PLACE_KNOWN;
    if (is_hit) {
        entry->was_hit = true;
        __atomic_add_fetch(&entry->answer->references, 1, __ATOMIC_RELAXED);
        *ret_hit = (struct hit){entry->answer, now, entry->until - now, entry->idle_timeout};
    }
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
    struct entry *entry = find(memory, key);
    if (entry != NULL) {
        take_out(memory, entry);
        memory->stats.removed++;
    }
    judge_waiting(memory, is_key, key);
    pthread_mutex_unlock(&memory->lock);
}

/* Under the lock. */
static void forget(struct memory *memory)
{
    remove_all(memory);
    judge_waiting(memory, any, NULL);
    memory->window_begin = memory->window_count = 0;
}

static void remove_named(struct memory *memory, const Gatehouse__V1__WatchEvent *event)
{
    if (event->kind == GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_TOKEN)
        remove_accessor(memory, event->accessor);
    else if (event->kind == GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_CREDENTIAL)
        remove_client(memory, event->client_id);
    else
        remove_all(memory);
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
    if (!memory->has_pong || until > memory->trusted_until)
        memory->trusted_until = until; /* C2: only a pong moves it, and it only grows */
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
    pthread_mutex_unlock(&memory->lock);
}

void gatehouse_memory_stats(struct memory *memory, struct gatehouse_cache_stats *ret_stats)
{
    pthread_mutex_lock(&memory->lock);
    *ret_stats = memory->stats;
    int64_t now = memory->clock();
    ret_stats->is_trusted = memory->has_pong && memory->window_count > 0 && now < memory->trusted_until;
    ret_stats->pong_age_ms = memory->has_pong ? (now - memory->pong_sent) / 1000 : -1;
    pthread_mutex_unlock(&memory->lock);
}
