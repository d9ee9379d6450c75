/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/usage_counter.h"

#include "base/must.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    PARTS = 16,
    RECORDS_MAX = 16384,        /* (credential, API) pairs counted at a time, of one part */
    HELD_MAX = 16384,           /* rows that could not be stored, of one part; past it the oldest are lost */
    NAME_BITS = 19,             /* of an API's number: its place; the rest says for which name of that place */
    NAMES_MAX = 1 << NAME_BITS, /* no fewer than all records and all held rows may have */
};
_Static_assert(NAMES_MAX >= PARTS * (RECORDS_MAX + HELD_MAX), "names for all");

/* An API's name, kept while somebody has it. */
struct name {
    uint32_t number;
    uint32_t holders; /* records, held rows, and deltas that are being stored */
    UT_hash_handle hh;
    char text[];
};

struct place {
    struct name *name; /* NULL: free */
    uint32_t turn;     /* how many names were here */
};

/* One API of one credential. */
struct record {
    uint32_t api;
    bool is_as_asked; /* its text is what is asked about, too: usage_normalise leaves it as it is */
    int64_t hour;
    int64_t allowed, denied, observed, first_used, last_used, credential_used;
    UT_hash_handle hh; /* by the text */
};

struct credential_record {
    int64_t credential_id;
    struct record *apis;
    struct record *last; /* that was counted; NULL: none, or it has gone */
    UT_hash_handle hh;
};

/* A row that is not stored yet: its hour has gone by, or the store did not take it. */
struct held {
    struct held_key {
        int64_t credential_id, hour, api;
    } key;
    struct usage_delta delta;
    UT_hash_handle hh;
};

struct part {
    pthread_mutex_t lock;
    struct credential_record *credentials;
    size_t record_count;
    struct held *held; /* in the order in which they came */
};

struct usage {
    struct part parts[PARTS];
    pthread_mutex_t name_lock; /* the last to be taken */
    struct name *names;        /* by their text */
    struct place *places;
    uint32_t place_count;
    uint32_t *free_places;
    uint32_t free_count;
    _Atomic uint64_t beyond_credential, beyond_process, lost;
};

enum { API_NONE = 0, API_OTHER = 1 };

/* Names. All under their lock. */

static struct name *find_name(struct usage *usage, uint32_t number)
{
    uint32_t place = number & (NAMES_MAX - 1);
    struct name *name = place < usage->place_count ? usage->places[place].name : NULL;
    return name != NULL && name->number == number ? name : NULL;
}

static uint32_t take_place(struct usage *usage)
{
    if (usage->free_count > 0)
        return usage->free_places[--usage->free_count];
    uint32_t place = usage->place_count++;
    if ((place & (place - 1)) == 0) { /* it grows by doubling */
        size_t size = place == 0 ? 1 : 2 * (size_t)place;
        usage->places = must(realloc(usage->places, size * sizeof *usage->places));
        usage->free_places = must(realloc(usage->free_places, size * sizeof *usage->free_places));
    }
    usage->places[place] = (struct place){NULL, 0};
    return place;
}

/* The number of a text, held once more; of "other", if there are too many. */
static uint32_t hold_text(struct usage *usage, const char *text)
{
    struct name *name = NULL;
    size_t len = strlen(text);
    pthread_mutex_lock(&usage->name_lock);
    HASH_FIND(hh, usage->names, text, len, name);
    if (name == NULL && (usage->free_count > 0 || usage->place_count < NAMES_MAX)) {
        uint32_t place = take_place(usage);
        name = must(calloc(1, sizeof *name + len + 1));
        memcpy(name->text, text, len);
        name->number = place | usage->places[place].turn << NAME_BITS;
        usage->places[place].name = name;
        HASH_ADD_KEYPTR(hh, usage->names, name->text, len, name);
    }
    if (name == NULL)
        name = find_name(usage, API_OTHER);
    name->holders++;
    uint32_t number = name->number;
    pthread_mutex_unlock(&usage->name_lock);
    return number;
}

static void hold_name(struct usage *usage, uint32_t number)
{
    pthread_mutex_lock(&usage->name_lock);
    find_name(usage, number)->holders++;
    pthread_mutex_unlock(&usage->name_lock);
}

/* The last one frees it, and its place is another's from then on. */
static void release_name(struct usage *usage, uint32_t number)
{
    pthread_mutex_lock(&usage->name_lock);
    struct name *name = find_name(usage, number);
    if (--name->holders == 0) {
        uint32_t place = number & (NAMES_MAX - 1);
        usage->places[place].name = NULL;
        usage->places[place].turn++;
        usage->free_places[usage->free_count++] = place;
        HASH_DEL(usage->names, name);
        free(name);
    }
    pthread_mutex_unlock(&usage->name_lock);
}

bool usage_api(struct usage *usage, uint32_t number, char text[static API_MAX + 1])
{
    pthread_mutex_lock(&usage->name_lock);
    const struct name *name = find_name(usage, number);
    if (name != NULL)
        memcpy(text, name->text, strlen(name->text) + 1);
    pthread_mutex_unlock(&usage->name_lock);
    return name != NULL;
}

/* Counting */

struct usage *usage_new(void)
{
    struct usage *usage = must(calloc(1, sizeof *usage));
    for (int i = 0; i < PARTS; i++)
        pthread_mutex_init(&usage->parts[i].lock, NULL);
    pthread_mutex_init(&usage->name_lock, NULL);
    (void)hold_text(usage, ""); /* API_NONE and API_OTHER, which stay */
    (void)hold_text(usage, "other");
    return usage;
}

static void free_record(struct usage *usage, struct part *part, struct credential_record *credential,
                        struct record *record)
{
    if (credential->last == record)
        credential->last = NULL;
    HASH_DEL(credential->apis, record);
    release_name(usage, record->api); /* after it: its text is the record's key */
    free(record);
    part->record_count--;
}

static void free_credential(struct usage *usage, struct part *part, struct credential_record *credential)
{
    struct record *record, *next;
    HASH_ITER(hh, credential->apis, record, next)
    free_record(usage, part, credential, record);
    HASH_DEL(part->credentials, credential);
    free(credential);
}

void usage_free(struct usage *usage)
{
    if (usage == NULL)
        return;
    for (int i = 0; i < PARTS; i++) {
        struct credential_record *credential, *next_credential;
        struct held *held, *next_held;
        HASH_ITER(hh, usage->parts[i].credentials, credential, next_credential)
        free_credential(usage, &usage->parts[i], credential);
        HASH_ITER(hh, usage->parts[i].held, held, next_held)
        {
            HASH_DEL(usage->parts[i].held, held);
            free(held);
        }
        pthread_mutex_destroy(&usage->parts[i].lock);
    }
    struct name *name, *next;
    HASH_ITER(hh, usage->names, name, next)
    {
        HASH_DEL(usage->names, name);
        free(name);
    }
    free(usage->places);
    free(usage->free_places);
    pthread_mutex_destroy(&usage->name_lock);
    free(usage);
}

static struct credential_record *find_credential(struct part *part, int64_t credential_id)
{
    struct credential_record *credential = NULL;
    HASH_FIND(hh, part->credentials, &credential_id, sizeof credential_id, credential);
    if (credential == NULL) {
        credential = must(calloc(1, sizeof *credential));
        credential->credential_id = credential_id;
        HASH_ADD(hh, part->credentials, credential_id, sizeof credential_id, credential);
    }
    return credential;
}

static struct record *add_record(struct usage *usage, struct part *part, struct credential_record *credential,
                                 const char *api)
{
    char normal[API_MAX + 1];
    struct record *record = must(calloc(1, sizeof *record));
    record->api = hold_text(usage, api);
    pthread_mutex_lock(&usage->name_lock);
    const char *text = find_name(usage, record->api)->text; /* lives as long as the record */
    pthread_mutex_unlock(&usage->name_lock);
    HASH_ADD_KEYPTR(hh, credential->apis, text, strlen(text), record);
    part->record_count++;
    usage_normalise(text, normal);
    record->is_as_asked = strcmp(text, normal) == 0;
    return record;
}

/* The record that counts for (credential, API); *ret_beyond: because a bound was met, that of "other". */
static struct record *find_record(struct usage *usage, struct part *part, struct credential_record *credential,
                                  const char *api, _Atomic uint64_t **ret_beyond)
{
    static const char other[] = "other";
    struct record *record = NULL;
    HASH_FIND_STR(credential->apis, api, record);
    if (record != NULL)
        return record;
    if (HASH_COUNT(credential->apis) >= USAGE_APIS_PER_CREDENTIAL)
        *ret_beyond = &usage->beyond_credential;
    else if (part->record_count >= RECORDS_MAX)
        *ret_beyond = &usage->beyond_process;
    if (*ret_beyond != NULL)
        HASH_FIND_STR(credential->apis, other, record);
    return record != NULL ? record : add_record(usage, part, credential, *ret_beyond == NULL ? api : other);
}

/* The same for an API as it was asked about. Mostly that is the one of the last time. */
static struct record *record_of(struct usage *usage, struct part *part, struct credential_record *credential,
                                const char *api, int64_t count)
{
    struct record *last = credential->last;
    if (last != NULL && last->is_as_asked && strcmp(last->hh.key, api) == 0)
        return last;
    char normal[API_MAX + 1];
    _Atomic uint64_t *beyond = NULL;
    usage_normalise(api, normal);
    credential->last = find_record(usage, part, credential, normal, &beyond);
    if (beyond != NULL)
        *beyond += (uint64_t)count;
    return credential->last;
}

/* It holds the name, too. */
static struct usage_delta take_delta(struct usage *usage, int64_t credential_id, struct record *record)
{
    hold_name(usage, record->api);
    struct usage_delta delta = {
        .credential_id = credential_id,
        .api = record->api,
        .hour = record->hour,
        .allowed = record->allowed,
        .denied = record->denied,
        .observed = record->observed,
        .first_used = record->first_used,
        .last_used = record->last_used,
        .credential_used = record->credential_used,
    };
    record->allowed = record->denied = record->observed = 0;
    record->first_used = record->last_used = record->credential_used = 0;
    return delta;
}

static void lose(struct usage *usage, struct part *part, struct held *held)
{
    usage->lost += (uint64_t)(held->delta.allowed + held->delta.denied);
    release_name(usage, held->delta.api);
    HASH_DEL(part->held, held);
    free(held);
}

/* The delta's hold of its name is the row's from then on. */
static void hold_row(struct usage *usage, struct part *part, const struct usage_delta *delta)
{
    struct held_key key = {.credential_id = delta->credential_id, .hour = delta->hour, .api = delta->api};
    struct held *held = NULL;
    HASH_FIND(hh, part->held, &key, sizeof key, held);
    if (held == NULL) {
        if (HASH_COUNT(part->held) >= HELD_MAX)
            lose(usage, part, part->held);
        held = must(calloc(1, sizeof *held));
        held->key = key;
        held->delta = *delta;
        HASH_ADD(hh, part->held, key, sizeof key, held);
        return;
    }
    held->delta.allowed += delta->allowed;
    held->delta.denied += delta->denied;
    held->delta.observed += delta->observed;
    if (delta->first_used < held->delta.first_used)
        held->delta.first_used = delta->first_used;
    if (delta->last_used > held->delta.last_used)
        held->delta.last_used = delta->last_used;
    if (delta->credential_used > held->delta.credential_used)
        held->delta.credential_used = delta->credential_used;
    release_name(usage, delta->api);
}

static struct part *lock_part(struct usage *usage, int64_t credential_id)
{
    struct part *part = &usage->parts[(uint64_t)credential_id % PARTS];
    pthread_mutex_lock(&part->lock);
    return part;
}

enum outcome { ALLOWED, DENIED, REFUSED, OBSERVED };

static int64_t *counter_of(struct record *record, enum outcome outcome)
{
    switch (outcome) {
    case ALLOWED:
        return &record->allowed;
    case OBSERVED:
        return &record->observed;
    case DENIED:
    case REFUSED:
        break;
    }
    return &record->denied;
}

static bool is_counted(const struct record *record)
{
    return record->allowed + record->denied + record->observed > 0;
}

static uint32_t count_uses(struct usage *usage, int64_t credential_id, const char *api, int64_t now,
                           enum outcome outcome, int64_t count)
{
    struct part *part = lock_part(usage, credential_id);
    int64_t uses = outcome == OBSERVED ? 0 : count; /* which are counted by themselves */
    struct record *record = record_of(usage, part, find_credential(part, credential_id), api, uses);
    int64_t hour = now - now % USAGE_HOUR;
    if (record->hour != hour && is_counted(record)) {
        struct usage_delta delta = take_delta(usage, credential_id, record);
        hold_row(usage, part, &delta);
    }
    record->hour = hour;
    *counter_of(record, outcome) += count;
    if (record->first_used == 0 || now < record->first_used) /* a use that is reported later may be earlier */
        record->first_used = now;
    if (now > record->last_used)
        record->last_used = now;
    if ((outcome == ALLOWED || outcome == DENIED) && now > record->credential_used)
        record->credential_used = now;
    uint32_t number = record->api;
    pthread_mutex_unlock(&part->lock);
    return number;
}

uint32_t usage_count(struct usage *usage, int64_t credential_id, const char *api, int64_t now, bool is_allowed,
                     int64_t count)
{
    return count_uses(usage, credential_id, api, now, is_allowed ? ALLOWED : DENIED, count);
}

void usage_count_refused(struct usage *usage, int64_t credential_id, const char *api, int64_t now, int64_t count)
{
    (void)count_uses(usage, credential_id, api, now, REFUSED, count);
}

void usage_count_observed(struct usage *usage, int64_t credential_id, const char *api, int64_t now, int64_t count)
{
    (void)count_uses(usage, credential_id, api, now, OBSERVED, count);
}

static void gather_part(struct usage *usage, struct part *part, int64_t now, struct usage_delta **deltas, size_t *count)
{
    struct credential_record *credential, *next_credential;
    struct record *record, *next;
    struct held *held, *next_held;
    size_t most = *count + HASH_COUNT(part->held) + part->record_count;
    *deltas = must(realloc(*deltas, (most + 1) * sizeof **deltas));
    HASH_ITER(hh, part->held, held, next_held)
    {
        (*deltas)[(*count)++] = held->delta;
        HASH_DEL(part->held, held);
        free(held);
    }
    HASH_ITER(hh, part->credentials, credential, next_credential)
    {
        HASH_ITER(hh, credential->apis, record, next)
        {
            if (is_counted(record)) {
                (*deltas)[(*count)++] = take_delta(usage, credential->credential_id, record);
            } else if (llabs(now - record->hour) > 2 * USAGE_HOUR) {
                free_record(usage, part, credential, record);
            }
        }
        if (credential->apis == NULL)
            free_credential(usage, part, credential);
    }
}

size_t usage_gather(struct usage *usage, int64_t now, struct usage_delta **ret_deltas)
{
    size_t count = 0;
    *ret_deltas = NULL;
    for (int i = 0; i < PARTS; i++) {
        pthread_mutex_lock(&usage->parts[i].lock);
        gather_part(usage, &usage->parts[i], now, ret_deltas, &count);
        pthread_mutex_unlock(&usage->parts[i].lock);
    }
    return count;
}

void usage_give_back(struct usage *usage, const struct usage_delta *deltas, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct part *part = lock_part(usage, deltas[i].credential_id);
        hold_row(usage, part, &deltas[i]);
        pthread_mutex_unlock(&part->lock);
    }
}

void usage_stored(struct usage *usage, const struct usage_delta *deltas, size_t count)
{
    for (size_t i = 0; i < count; i++)
        release_name(usage, deltas[i].api);
}

struct usage_beyond usage_beyond(struct usage *usage)
{
    return (struct usage_beyond){.credential = atomic_load(&usage->beyond_credential),
                                 .process = atomic_load(&usage->beyond_process),
                                 .lost = atomic_load(&usage->lost)};
}
