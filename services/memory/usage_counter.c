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
    APIS_MAX = 65536,    /* texts kept, of all credentials together; they are never freed */
    RECORDS_MAX = 16384, /* (credential, API) pairs counted at a time, of one part */
};

/* One API of one credential. */
struct record {
    uint32_t api;
    int64_t hour;
    int64_t allowed, denied, first_used, last_used;
    UT_hash_handle hh; /* by the text */
};

struct credential_record {
    int64_t credential_id;
    struct record *apis;
    UT_hash_handle hh;
};

struct part {
    pthread_mutex_t lock;
    struct credential_record *credentials;
    size_t record_count;
    struct usage_delta *finished; /* of hours that have gone by */
    size_t finished_count;
};

struct api_text {
    uint32_t number;
    char *text;
    UT_hash_handle hh;
};

struct usage {
    struct part parts[PARTS];
    pthread_mutex_t api_lock;
    struct api_text *apis;
    uint32_t api_count;
    char *_Atomic api_texts[APIS_MAX]; /* by number */
};

enum { API_NONE = 0, API_OTHER = 1 };

/* The number of a text; API_OTHER when there are too many. */
static uint32_t intern(struct usage *usage, const char *text)
{
    struct api_text *api = NULL;
    pthread_mutex_lock(&usage->api_lock);
    HASH_FIND_STR(usage->apis, text, api);
    if (api == NULL && usage->api_count < APIS_MAX) {
        api = must(calloc(1, sizeof *api));
        api->text = must_copy(text);
        api->number = usage->api_count++;
        HASH_ADD_KEYPTR(hh, usage->apis, api->text, strlen(api->text), api);
        atomic_store(&usage->api_texts[api->number], api->text);
    }
    pthread_mutex_unlock(&usage->api_lock);
    return api == NULL ? API_OTHER : api->number;
}

struct usage *usage_new(void)
{
    struct usage *usage = must(calloc(1, sizeof *usage));
    for (int i = 0; i < PARTS; i++)
        pthread_mutex_init(&usage->parts[i].lock, NULL);
    pthread_mutex_init(&usage->api_lock, NULL);
    intern(usage, "");
    intern(usage, "other");
    return usage;
}

static void free_credential(struct part *part, struct credential_record *credential)
{
    struct record *record, *next;
    HASH_ITER(hh, credential->apis, record, next)
    {
        HASH_DEL(credential->apis, record);
        free(record);
        part->record_count--;
    }
    HASH_DEL(part->credentials, credential);
    free(credential);
}

void usage_free(struct usage *usage)
{
    if (usage == NULL)
        return;
    for (int i = 0; i < PARTS; i++) {
        struct credential_record *credential, *next_credential;
        HASH_ITER(hh, usage->parts[i].credentials, credential, next_credential)
        free_credential(&usage->parts[i], credential);
        free(usage->parts[i].finished);
        pthread_mutex_destroy(&usage->parts[i].lock);
    }
    struct api_text *api, *next;
    HASH_ITER(hh, usage->apis, api, next)
    {
        HASH_DEL(usage->apis, api);
        free(api->text);
        free(api);
    }
    pthread_mutex_destroy(&usage->api_lock);
    free(usage);
}

const char *usage_api(struct usage *usage, uint32_t number)
{
    return atomic_load(&usage->api_texts[number]);
}

static struct record *find_record(struct usage *usage, struct part *part, int64_t credential_id, const char *api)
{
    struct credential_record *credential = NULL;
    HASH_FIND(hh, part->credentials, &credential_id, sizeof credential_id, credential);
    if (credential == NULL) {
        credential = must(calloc(1, sizeof *credential));
        credential->credential_id = credential_id;
        HASH_ADD(hh, part->credentials, credential_id, sizeof credential_id, credential);
    }
    struct record *record = NULL;
    HASH_FIND_STR(credential->apis, api, record);
    if (record != NULL)
        return record;
    uint32_t number = API_OTHER;
    if (HASH_COUNT(credential->apis) < USAGE_APIS_PER_CREDENTIAL && part->record_count < RECORDS_MAX)
        number = intern(usage, api);
    const char *text = usage_api(usage, number);
    HASH_FIND_STR(credential->apis, text, record);
    if (record == NULL) {
        record = must(calloc(1, sizeof *record));
        record->api = number;
        HASH_ADD_KEYPTR(hh, credential->apis, text, strlen(text), record);
        part->record_count++;
    }
    return record;
}

static struct usage_delta take_delta(int64_t credential_id, struct record *record)
{
    struct usage_delta delta = {
        .credential_id = credential_id,
        .api = record->api,
        .hour = record->hour,
        .allowed = record->allowed,
        .denied = record->denied,
        .first_used = record->first_used,
        .last_used = record->last_used,
    };
    record->allowed = record->denied = record->first_used = record->last_used = 0;
    return delta;
}

static void add_finished(struct part *part, const struct usage_delta *delta)
{
    part->finished = must(realloc(part->finished, (part->finished_count + 1) * sizeof *part->finished));
    part->finished[part->finished_count++] = *delta;
}

static struct part *lock_part(struct usage *usage, int64_t credential_id)
{
    struct part *part = &usage->parts[(uint64_t)credential_id % PARTS];
    pthread_mutex_lock(&part->lock);
    return part;
}

uint32_t usage_count(struct usage *usage, int64_t credential_id, const char *api, int64_t now, bool is_allowed,
                     int64_t count)
{
    char normal[API_MAX + 1];
    usage_normalise(api, normal);
    struct part *part = lock_part(usage, credential_id);
    struct record *record = find_record(usage, part, credential_id, normal);
    int64_t hour = now - now % USAGE_HOUR;
    if (record->hour != hour && record->allowed + record->denied > 0) {
        struct usage_delta delta = take_delta(credential_id, record);
        add_finished(part, &delta);
    }
    record->hour = hour;
    *(is_allowed ? &record->allowed : &record->denied) += count;
    if (record->first_used == 0 || now < record->first_used) /* a use that is reported later may be earlier */
        record->first_used = now;
    if (now > record->last_used)
        record->last_used = now;
    uint32_t number = record->api;
    pthread_mutex_unlock(&part->lock);
    return number;
}

static void gather_part(struct part *part, int64_t now, struct usage_delta **deltas, size_t *count)
{
    struct credential_record *credential, *next_credential;
    struct record *record, *next;
    *deltas = must(realloc(*deltas, (*count + part->finished_count + part->record_count + 1) * sizeof **deltas));
    for (size_t i = 0; i < part->finished_count; i++)
        (*deltas)[(*count)++] = part->finished[i];
    part->finished_count = 0;
    HASH_ITER(hh, part->credentials, credential, next_credential)
    {
        HASH_ITER(hh, credential->apis, record, next)
        {
            if (record->allowed + record->denied > 0) {
                (*deltas)[(*count)++] = take_delta(credential->credential_id, record);
            } else if (llabs(now - record->hour) > 2 * USAGE_HOUR) {
                HASH_DEL(credential->apis, record);
                free(record);
                part->record_count--;
            }
        }
        if (credential->apis == NULL)
            free_credential(part, credential);
    }
}

size_t usage_gather(struct usage *usage, int64_t now, struct usage_delta **ret_deltas)
{
    size_t count = 0;
    *ret_deltas = NULL;
    for (int i = 0; i < PARTS; i++) {
        pthread_mutex_lock(&usage->parts[i].lock);
        gather_part(&usage->parts[i], now, ret_deltas, &count);
        pthread_mutex_unlock(&usage->parts[i].lock);
    }
    return count;
}

void usage_give_back(struct usage *usage, const struct usage_delta *deltas, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct part *part = lock_part(usage, deltas[i].credential_id);
        add_finished(part, &deltas[i]);
        pthread_mutex_unlock(&part->lock);
    }
}
