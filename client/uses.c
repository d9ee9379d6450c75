/* SPDX-License-Identifier: Apache-2.0 */
#include "uses.h"

#include "base/must.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define uthash_fatal(message) abort()
#include <uthash.h>

#define AGE_MOST (3600 * MEMORY_SECOND)

struct record {
    struct siphash key;
    struct use use;
    UT_hash_handle hh;
};

struct uses {
    size_t max;
    struct siphash_key secret;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct record *records;
    int64_t due;     /* of the first that is; INT64_MAX: there is none */
    int64_t planned; /* the thread that reports wakes then */
    uint64_t unreported, lost;
};

struct uses *gatehouse_uses_new(size_t max, const struct siphash_key *secret)
{
    struct uses *uses = must(calloc(1, sizeof *uses));
    uses->max = max < USES_MAX ? max : USES_MAX;
    uses->secret = *secret;
    uses->due = INT64_MAX;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&uses->lock, NULL);
    pthread_cond_init(&uses->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return uses;
}

static void record_free(struct record *record)
{
    explicit_bzero(record->use.token, strlen(record->use.token));
    free(record->use.token);
    free(record->use.api);
    for (size_t i = 0; i < record->use.required_count; i++)
        free(record->use.required[i]);
    free(record->use.required);
    free(record);
}

/* A use in a report is the one in its record. */
static struct record *record_of(struct use *use)
{
    return (struct record *)((char *)use - offsetof(struct record, use));
}

static struct record *record_new(const struct siphash *key, const Gatehouse__V1__IntrospectRequest *request)
{
    struct record *record = must(calloc(1, sizeof *record));
    record->key = *key;
    record->use.token = must_copy(request->token);
    record->use.api = must_copy(request->api);
    record->use.required_count = request->n_required_roles;
    record->use.required = must(calloc(request->n_required_roles + 1, sizeof *record->use.required));
    for (size_t i = 0; i < request->n_required_roles; i++)
        record->use.required[i] = must_copy(request->required_roles[i]);
    return record;
}

/* Of each text its own hash, so that no two lists of texts run into each other. */
static struct siphash key_of(const struct uses *uses, const Gatehouse__V1__IntrospectRequest *request)
{
    struct siphash parts[34]; /* token, api, and as many roles as the contract allows */
    size_t count = 0;
    parts[count++] = gatehouse_siphash(&uses->secret, request->token, strlen(request->token));
    parts[count++] = gatehouse_siphash(&uses->secret, request->api, strlen(request->api));
    for (size_t i = 0; i < request->n_required_roles && count < sizeof parts / sizeof *parts; i++)
        parts[count++] =
            gatehouse_siphash(&uses->secret, request->required_roles[i], strlen(request->required_roles[i]));
    return gatehouse_siphash(&uses->secret, parts, count * sizeof *parts);
}

/* Under the lock. */
static void fall_due(struct uses *uses, int64_t due)
{
    if (due < uses->due)
        uses->due = due;
}

bool gatehouse_uses_note(struct uses *uses, const Gatehouse__V1__IntrospectRequest *request, const struct hit *hit,
                         bool *ret_must_wake)
{
    struct siphash key = key_of(uses, request);
    struct record *record;
    pthread_mutex_lock(&uses->lock);
    HASH_FIND(hh, uses->records, &key, sizeof key, record);
    bool has_room = record != NULL || HASH_COUNT(uses->records) < uses->max;
    if (has_room && record == NULL) {
        record = record_new(&key, request);
        HASH_ADD(hh, uses->records, key, sizeof record->key, record);
        /* C9: at the latest an interval after the first of them. In a half full table there is no time to lose. */
        fall_due(uses, hit->now + gatehouse_memory_interval(hit->idle_timeout));
        if (HASH_COUNT(uses->records) * 2 > uses->max)
            fall_due(uses, hit->now);
    }
    if (has_room) {
        record->use.count++;
        record->use.last = hit->now > record->use.last ? hit->now : record->use.last;
        record->use.idle_timeout = hit->idle_timeout;
        uses->unreported++;
    }
    *ret_must_wake = uses->due < uses->planned;
    if (*ret_must_wake)
        uses->planned = uses->due; /* once is enough */
    pthread_mutex_unlock(&uses->lock);
    return has_room;
}

/* More of one use than a report may say are several. Under the lock. */
static struct record *split(struct record *record)
{
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    request.token = record->use.token;
    request.api = record->use.api;
    request.n_required_roles = record->use.required_count;
    request.required_roles = record->use.required;
    struct record *part = record_new(&record->key, &request);
    part->use.last = record->use.last;
    part->use.idle_timeout = record->use.idle_timeout;
    part->use.count = USES_COUNT_MAX;
    record->use.count -= USES_COUNT_MAX;
    return part;
}

struct use *gatehouse_uses_take(struct uses *uses, int64_t now)
{
    struct use *taken = NULL;
    pthread_mutex_lock(&uses->lock);
    for (int count = 0; now >= uses->due && uses->records != NULL && count < USES_REPORT_MAX; count++) {
        struct record *record = uses->records;
        if (record->use.count > USES_COUNT_MAX)
            record = split(record);
        else
            HASH_DEL(uses->records, record);
        record->use.next = taken;
        taken = &record->use;
    }
    if (uses->records == NULL)
        uses->due = INT64_MAX;
    pthread_mutex_unlock(&uses->lock);
    return taken;
}

/* Under the lock. */
static void put_back(struct uses *uses, struct record *record)
{
    struct record *newer;
    HASH_FIND(hh, uses->records, &record->key, sizeof record->key, newer);
    if (newer == NULL) {
        HASH_ADD(hh, uses->records, key, sizeof record->key, record);
        return;
    }
    newer->use.count += record->use.count;
    newer->use.last = newer->use.last > record->use.last ? newer->use.last : record->use.last;
    record_free(record);
}

void gatehouse_uses_return(struct uses *uses, struct use *taken, int64_t now, int64_t due)
{
    pthread_mutex_lock(&uses->lock);
    for (struct use *next; taken != NULL; taken = next) {
        next = taken->next;
        if (now - taken->last <= AGE_MOST) {
            put_back(uses, record_of(taken));
            fall_due(uses, due);
        } else {
            uses->unreported -= taken->count;
            uses->lost += taken->count;
            record_free(record_of(taken));
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
        uses->unreported -= taken->count;
        record_free(record_of(taken));
    }
    pthread_cond_broadcast(&uses->changed);
    pthread_mutex_unlock(&uses->lock);
}

void gatehouse_uses_flush(struct uses *uses)
{
    pthread_mutex_lock(&uses->lock);
    if (uses->records != NULL)
        uses->due = INT64_MIN;
    pthread_mutex_unlock(&uses->lock);
}

void gatehouse_uses_await(struct uses *uses, int64_t microseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += microseconds / MEMORY_SECOND;
    until.tv_nsec += microseconds % MEMORY_SECOND * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&uses->lock);
    while (uses->unreported > 0 && pthread_cond_timedwait(&uses->changed, &uses->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&uses->lock);
}

int64_t gatehouse_uses_plan(struct uses *uses, int64_t wake)
{
    pthread_mutex_lock(&uses->lock);
    uses->planned = wake < uses->due ? wake : uses->due;
    wake = uses->planned;
    pthread_mutex_unlock(&uses->lock);
    return wake;
}

void gatehouse_uses_stats(struct uses *uses, struct gatehouse_cache_stats *stats)
{
    pthread_mutex_lock(&uses->lock);
    stats->uses_unreported = uses->unreported;
    stats->uses_lost = uses->lost;
    pthread_mutex_unlock(&uses->lock);
}

void gatehouse_uses_free(struct uses *uses)
{
    if (uses == NULL)
        return;
    for (struct record *record = uses->records, *next; record != NULL; record = next) {
        next = record->hh.next;
        HASH_DEL(uses->records, record);
        record_free(record);
    }
    pthread_mutex_destroy(&uses->lock);
    pthread_cond_destroy(&uses->changed);
    free(uses);
}
