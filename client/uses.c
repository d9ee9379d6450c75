/* SPDX-License-Identifier: Apache-2.0 */
#include "uses.h"

#include "base/must.h"
#include "question.h"
#include "tally.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AGE_MOST (3600 * USES_SECOND)
#define IDLE_MOST (10 * USES_SECOND)
#define REPORT_MOST (2 * USES_SECOND)

enum { UNDER_WAY_MOST = 64 * USES_REPORT_MAX };

/* Since they were last reported somebody has counted; the first of them first. */
struct queue {
    struct use_count *first, *last;
    size_t count;
};

/* A count is gathered, then it is in a wave of reports, and what it counted is under way until the server knows it. */
struct uses {
    size_t max;
    struct tally noted;
    _Atomic size_t
        waiting;          /* use_counts and uses that are to be reported, or are in a report; changes under the lock */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct question *questions;
    struct queue gathered, wave;
    struct use *ready, *returned; /* under way: to be taken now; to be taken again later */
    int64_t due, retry;           /* of the first that is gathered, or returned; INT64_MAX: there is none */
    int64_t planned;              /* the thread that reports wakes then */
    size_t more;                  /* use_counts beside each token's first */
    uint64_t settled, lost;
};

int64_t gatehouse_uses_interval(int64_t idle_timeout)
{
    return idle_timeout / 10 < IDLE_MOST ? idle_timeout / 10 : IDLE_MOST;
}

int64_t gatehouse_uses_report_time(int64_t idle_timeout)
{
    int64_t interval = gatehouse_uses_interval(idle_timeout);
    return interval < REPORT_MOST ? interval : REPORT_MOST;
}

struct uses *gatehouse_uses_new(size_t max)
{
    struct uses *uses = must(aligned_alloc(_Alignof(struct uses), sizeof *uses));
    *uses = (struct uses){.max = max, .due = INT64_MAX, .retry = INT64_MAX};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&uses->lock, NULL);
    pthread_cond_init(&uses->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return uses;
}

/* From where */

enum { PEER_NONE, PEER_IS_WRITTEN, PEER_KNOWN }; /* peer_state */

static bool is_peer(const struct use_count *count, const uint64_t halves[static 2])
{
    return atomic_load_explicit(&count->peer_state, memory_order_acquire) == PEER_KNOWN &&
           atomic_load_explicit(&count->peer[0], memory_order_relaxed) == halves[0] &&
           atomic_load_explicit(&count->peer[1], memory_order_relaxed) == halves[1];
}

/* Nobody else writes or takes it until peer_unlock. false: somebody does already, or there is none. */
static bool peer_lock(struct use_count *count, bool may_be_none)
{
    uint8_t state = atomic_load_explicit(&count->peer_state, memory_order_relaxed);
    return (state == PEER_KNOWN || (state == PEER_NONE && may_be_none)) &&
           atomic_compare_exchange_strong_explicit(&count->peer_state, &state, PEER_IS_WRITTEN, memory_order_acquire,
                                                   memory_order_relaxed);
}

static void peer_unlock(struct use_count *count, uint8_t state)
{
    atomic_store_explicit(&count->peer_state, state, memory_order_release);
}

static void note_peer(struct use_count *count, const struct source *source)
{
    uint64_t halves[2];
    static_assert(sizeof halves == sizeof source->address, "an address has two halves");
    if (source->kind != SOURCE_ADDRESS)
        return;
    memcpy(halves, &source->address, sizeof halves);
    if (is_peer(count, halves) || !peer_lock(count, true))
        return;
    atomic_store_explicit(&count->peer[0], halves[0], memory_order_relaxed);
    atomic_store_explicit(&count->peer[1], halves[1], memory_order_relaxed);
    peer_unlock(count, PEER_KNOWN);
}

/* One that is being written is that of a use that is not counted yet: it is for the next report. */
static struct source take_peer(struct use_count *count)
{
    struct source source = {.kind = SOURCE_NOT_TOLD};
    if (!peer_lock(count, false))
        return source;
    const uint64_t halves[2] = {atomic_load_explicit(&count->peer[0], memory_order_relaxed),
                                atomic_load_explicit(&count->peer[1], memory_order_relaxed)};
    peer_unlock(count, PEER_NONE);
    source.kind = SOURCE_ADDRESS;
    memcpy(&source.address, halves, sizeof source.address);
    return source;
}

/* Counts */

struct use_count *gatehouse_uses_find(struct use_counts *counts, const Gatehouse__V1__IntrospectRequest *request)
{
    for (struct use_count *count = &counts->first; count != NULL;
         count = atomic_load_explicit(&count->next, memory_order_acquire)) {
        const struct question *question = atomic_load_explicit(&count->question, memory_order_acquire);
        if (question != NULL && gatehouse_question_is(question, request))
            return count;
    }
    return NULL;
}

static void ask_first(struct use_count *count, struct use_counts *counts, struct question *question, bool is_allowed)
{
    count->counts = counts;
    count->is_allowed = is_allowed;
    atomic_store_explicit(&count->question, question, memory_order_release);
}

/* Under the lock. */
static struct use_count *add(struct uses *uses, struct use_counts *counts,
                             const Gatehouse__V1__IntrospectRequest *request, bool is_allowed)
{
    struct use_count *first = &counts->first;
    if (first->question == NULL) {
        ask_first(first, counts, gatehouse_question_get(&uses->questions, request), is_allowed);
        return first;
    }
    if (uses->more >= uses->max || counts->more + 1 >= USES_OF_TOKEN_MAX)
        return NULL;
    struct use_count *count = must(calloc(1, sizeof *count));
    ask_first(count, counts, gatehouse_question_get(&uses->questions, request), is_allowed);
    count->next = first->next;
    atomic_store_explicit(&first->next, count, memory_order_release);
    counts->more++;
    uses->more++;
    return count;
}

struct use_count *gatehouse_uses_add(struct uses *uses, struct use_counts *counts,
                                     const Gatehouse__V1__IntrospectRequest *request, bool is_allowed)
{
    pthread_mutex_lock(&uses->lock);
    struct use_count *count = gatehouse_uses_find(counts, request); /* another thread's, meanwhile */
    if (count == NULL)
        count = add(uses, counts, request, is_allowed);
    pthread_mutex_unlock(&uses->lock);
    return count;
}

/* The queue; under the lock. */

static void push(struct queue *queue, struct use_count *count)
{
    count->next_due = NULL;
    *(queue->last != NULL ? &queue->last->next_due : &queue->first) = count;
    queue->last = count;
    queue->count++;
}

static struct use_count *pop(struct queue *queue)
{
    struct use_count *count = queue->first;
    queue->first = count->next_due;
    if (queue->first == NULL)
        queue->last = NULL;
    queue->count--;
    return count;
}

static void fall_due(int64_t *due, int64_t at)
{
    if (at < *due)
        *due = at;
}

/* The first to count since the last report. */
static bool enqueue(struct uses *uses, struct use_count *count, const char *token, int64_t now)
{
    pthread_mutex_lock(&uses->lock);
    count->token = must_copy(token);
    count->counts->due++;
    uses->waiting++;
    push(&uses->gathered, count);
    /* C9: at the latest an interval after the first of them. In a half full table there is no time to lose. */
    fall_due(&uses->due, now + gatehouse_uses_interval(count->counts->idle_timeout));
    if (uses->gathered.count * 2 > uses->max)
        fall_due(&uses->due, now);
    bool must_wake = uses->wave.first == NULL && uses->due < uses->planned;
    if (must_wake)
        uses->planned = uses->due; /* once is enough */
    pthread_mutex_unlock(&uses->lock);
    return must_wake;
}

bool gatehouse_uses_note(struct uses *uses, struct use_count *count, const struct use_now *use, bool *ret_must_wake)
{
    int64_t now = use->now;
    *ret_must_wake = false;
    uint32_t counted = atomic_load_explicit(&count->count, memory_order_relaxed);
    if (counted >= USES_UNREPORTED_MAX ||
        (counted == 0 && atomic_load_explicit(&uses->waiting, memory_order_relaxed) >= uses->max))
        return false;
    int64_t last = atomic_load_explicit(&count->last, memory_order_relaxed);
    while (last < now &&
           !atomic_compare_exchange_weak_explicit(&count->last, &last, now, memory_order_relaxed, memory_order_relaxed))
        ;
    note_peer(count, use->peer);
    tally_add(&uses->noted, 1);
    /* Whoever takes the count has the last use with it. A thread that finds none need not wait: it was taken. */
    if (atomic_fetch_add_explicit(&count->count, 1, memory_order_acq_rel) == 0)
        *ret_must_wake = enqueue(uses, count, use->token, now);
    return true;
}

/* Under the lock; they are the caller's no more. */
static void give_back(struct uses *uses, struct use_counts *counts)
{
    gatehouse_question_release(&uses->questions, counts->first.question);
    for (struct use_count *count = counts->first.next, *next; count != NULL; count = next) {
        next = count->next;
        gatehouse_question_release(&uses->questions, count->question);
        free(count);
    }
    uses->more -= counts->more;
    counts->give_back(counts);
}

void gatehouse_uses_leave(struct uses *uses, struct use_counts *counts)
{
    pthread_mutex_lock(&uses->lock);
    counts->is_left = true;
    if (counts->due == 0)
        give_back(uses, counts);
    pthread_mutex_unlock(&uses->lock);
}

/* Reports */

static void use_free(struct use *use)
{
    explicit_bzero(use->token, strlen(use->token));
    free(use->token);
    free(use->api);
    for (size_t i = 0; i < use->required_count; i++)
        free(use->required[i]);
    free(use->required);
    free(use);
}

static struct use *use_new(const struct use_count *count, const struct source *peer, uint64_t uses)
{
    const struct question *question = count->question;
    struct use *use = must(calloc(1, sizeof *use));
    use->token = must_copy(count->token);
    use->api = must_copy(question->form);
    use->required = must(calloc(question->required_count + 1, sizeof *use->required));
    for (; use->required_count < question->required_count; use->required_count++)
        use->required[use->required_count] = must_copy(question->required[use->required_count]);
    use->last = count->last;
    use->idle_timeout = count->counts->idle_timeout;
    use->count = uses;
    use->peer = *peer;
    return use;
}

static void put(struct use **list, struct use *use)
{
    use->next = *list;
    *list = use;
}

/* From here on it counts from 0, and the next to count puts it among those that are due again. */
static void drain(struct uses *uses, struct use_count *count)
{
    uint64_t left = atomic_exchange_explicit(&count->count, 0, memory_order_acq_rel);
    const struct source peer = take_peer(count);
    for (uses->waiting--; left > 0; uses->waiting++) { /* more than a report may say are several */
        uint64_t part = left < USES_COUNT_MAX ? left : USES_COUNT_MAX;
        put(&uses->ready, use_new(count, &peer, part));
        left -= part;
    }
    explicit_bzero(count->token, strlen(count->token));
    free(count->token);
    count->token = NULL;
    if (--count->counts->due == 0 && count->counts->is_left)
        give_back(uses, count->counts);
}

/* Once one is due, all that there are. What is counted while they are reported is for the next wave: else a busy cache
 * would report its tokens again and again, the faster the longer the server takes. */
static void begin_wave(struct uses *uses, int64_t now)
{
    if (uses->wave.first != NULL || now < uses->due)
        return;
    uses->wave = uses->gathered;
    uses->gathered = (struct queue){.count = 0};
    uses->due = INT64_MAX;
}

static void begin_retry(struct uses *uses, int64_t now)
{
    if (uses->ready != NULL || now < uses->retry)
        return;
    uses->ready = uses->returned;
    uses->returned = NULL;
    uses->retry = INT64_MAX;
}

/* Half of the table is for what is counted meanwhile, however slow the server is, and it is not asked for more at once
 * than it answers in time. */
static bool has_room(const struct uses *uses)
{
    size_t under_way = uses->waiting - uses->gathered.count - uses->wave.count;
    return under_way < UNDER_WAY_MOST && under_way * 2 < uses->max;
}

struct use *gatehouse_uses_take(struct uses *uses, int64_t now)
{
    struct use *taken = NULL;
    pthread_mutex_lock(&uses->lock);
    begin_retry(uses, now);
    begin_wave(uses, now);
    bool may_drain = has_room(uses);
    for (int count = 0; count < USES_REPORT_MAX; count++) {
        if (uses->ready == NULL && uses->wave.first != NULL && may_drain)
            drain(uses, pop(&uses->wave));
        struct use *use = uses->ready;
        if (use == NULL)
            break;
        uses->ready = use->next;
        put(&taken, use);
    }
    pthread_mutex_unlock(&uses->lock);
    return taken;
}

/* Under the lock. */
static void settle(struct uses *uses, struct use *use)
{
    uses->settled += use->count;
    uses->waiting--;
    use_free(use);
}

void gatehouse_uses_return(struct uses *uses, struct use *taken, int64_t now, int64_t due)
{
    pthread_mutex_lock(&uses->lock);
    for (struct use *next; taken != NULL; taken = next) {
        next = taken->next;
        if (now - taken->last <= AGE_MOST) {
            put(&uses->returned, taken);
            fall_due(&uses->retry, due);
        } else {
            uses->lost += taken->count;
            settle(uses, taken);
        }
    }
    pthread_cond_broadcast(&uses->changed);
    pthread_mutex_unlock(&uses->lock);
}

void gatehouse_uses_done(struct uses *uses, struct use *taken, uint64_t lost)
{
    pthread_mutex_lock(&uses->lock);
    uses->lost += lost;
    for (struct use *next; taken != NULL; taken = next) {
        next = taken->next;
        settle(uses, taken);
    }
    pthread_cond_broadcast(&uses->changed);
    pthread_mutex_unlock(&uses->lock);
}

void gatehouse_uses_flush(struct uses *uses)
{
    pthread_mutex_lock(&uses->lock);
    if (uses->waiting > 0)
        uses->due = uses->retry = INT64_MIN;
    pthread_mutex_unlock(&uses->lock);
}

void gatehouse_uses_await(struct uses *uses, int64_t microseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += microseconds / USES_SECOND;
    until.tv_nsec += microseconds % USES_SECOND * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&uses->lock);
    while (uses->waiting > 0 && pthread_cond_timedwait(&uses->changed, &uses->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&uses->lock);
}

int64_t gatehouse_uses_plan(struct uses *uses, int64_t wake)
{
    pthread_mutex_lock(&uses->lock);
    uses->planned = wake;
    fall_due(&uses->planned, uses->retry);
    if (uses->wave.first == NULL) /* else the end of a report makes room for more of it, and wakes the thread */
        fall_due(&uses->planned, uses->due);
    wake = uses->planned;
    pthread_mutex_unlock(&uses->lock);
    return wake;
}

void gatehouse_uses_stats(struct uses *uses, struct gatehouse_cache_stats *stats)
{
    pthread_mutex_lock(&uses->lock);
    stats->hits = tally_sum(&uses->noted);
    stats->uses_unreported = stats->hits - uses->settled;
    stats->uses_lost = uses->lost;
    pthread_mutex_unlock(&uses->lock);
}

void gatehouse_uses_free(struct uses *uses)
{
    if (uses == NULL)
        return;
    struct use *taken;
    gatehouse_uses_flush(uses);
    while ((taken = gatehouse_uses_take(uses, INT64_MAX)) != NULL)
        gatehouse_uses_done(uses, taken, 0);
    pthread_mutex_destroy(&uses->lock);
    pthread_cond_destroy(&uses->changed);
    free(uses);
}
