/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/usage.h"

#include "utf8.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

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

static void *checked(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

/* The number of a text; API_OTHER when there are too many. */
static uint32_t intern(struct usage *usage, const char *text)
{
    struct api_text *api = NULL;
    pthread_mutex_lock(&usage->api_lock);
    HASH_FIND_STR(usage->apis, text, api);
    if (api == NULL && usage->api_count < APIS_MAX) {
        api = checked(calloc(1, sizeof *api));
        api->text = checked(strdup(text));
        api->number = usage->api_count++;
        HASH_ADD_KEYPTR(hh, usage->apis, api->text, strlen(api->text), api);
        atomic_store(&usage->api_texts[api->number], api->text);
    }
    pthread_mutex_unlock(&usage->api_lock);
    return api == NULL ? API_OTHER : api->number;
}

struct usage *usage_new(void)
{
    struct usage *usage = checked(calloc(1, sizeof *usage));
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

/* Is a path segment the name of one thing among many: a number, a UUID, or eight or more hexadecimal digits with a
 * digit among them? */
static bool is_identifier(const char *segment, size_t len)
{
    size_t digits = 0, dashes = 0;
    for (size_t i = 0; i < len; i++) {
        if (segment[i] == '-')
            dashes++;
        else if (isdigit((unsigned char)segment[i]))
            digits++;
        else if (!isxdigit((unsigned char)segment[i]))
            return false; /* most words end here, after a letter or two */
    }
    return digits > 0 && (digits == len || len - dashes >= 8);
}

static void append(char normal[static API_MAX + 1], size_t *len, const char *text, size_t text_len)
{
    if (text_len > API_MAX - *len)
        text_len = API_MAX - *len;
    memcpy(normal + *len, text, text_len);
    *len += text_len;
}

/* How many bytes of a token or secret key of ours begin at `text`, whole or cut off; 0: none does. Its checksum is not
 * asked for: with a letter lost it is as much of a secret. */
static size_t secret_len(const char *text, size_t len)
{
    enum { PREFIX = 8, ENOUGH = 16 };
    if (len < PREFIX + ENOUGH || (strncmp(text, "gate_at_", PREFIX) != 0 && strncmp(text, "gate_sk_", PREFIX) != 0))
        return 0;
    size_t end = PREFIX;
    while (end < len && isalnum((unsigned char)text[end]))
        end++;
    return end >= PREFIX + ENOUGH ? end : 0;
}

/* A segment that is no identifier, without secrets: somebody puts a token into a path now and then. */
static void append_text(char normal[static API_MAX + 1], size_t *len, const char *text, size_t text_len)
{
    const char *found;
    while ((found = memmem(text, text_len, "gate_", 5)) != NULL) {
        size_t before = (size_t)(found - text), secret = secret_len(found, text_len - before);
        append(normal, len, text, secret == 0 ? before + 1 : before);
        if (secret > 0)
            append(normal, len, "{token}", 7);
        text += before + (secret == 0 ? 1 : secret);
        text_len -= before + (secret == 0 ? 1 : secret);
    }
    append(normal, len, text, text_len);
}

/* Without the part of a character that the last bytes may be: {id} is longer than what it stands for. */
static size_t whole_characters(const char *text, size_t len)
{
    size_t last = len;
    while (last > 0 && ((unsigned char)text[last - 1] & 0xc0) == 0x80)
        last--;
    return last > 0 && utf8_character(text + last - 1, len - last + 1) == len - last + 1 ? len : last - (last > 0);
}

void usage_normalise(const char *api, char normal[static API_MAX + 1])
{
    size_t out = 0;
    for (;;) {
        size_t segment = strcspn(api, "/?#");
        if (out > 0 && normal[out - 1] == '/' && is_identifier(api, segment))
            append(normal, &out, "{id}", 4);
        else
            append_text(normal, &out, api, segment);
        api += segment;
        if (*api != '/')
            break;
        append(normal, &out, api++, 1);
    }
    if (out == API_MAX)
        out = whole_characters(normal, out);
    while (out > 0 && normal[out - 1] == ' ')
        out--;
    normal[out] = '\0';
    if (out == 0)
        memcpy(normal, "unnamed", sizeof "unnamed");
}

static struct record *find_record(struct usage *usage, struct part *part, int64_t credential_id, const char *api)
{
    struct credential_record *credential = NULL;
    HASH_FIND(hh, part->credentials, &credential_id, sizeof credential_id, credential);
    if (credential == NULL) {
        credential = checked(calloc(1, sizeof *credential));
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
        record = checked(calloc(1, sizeof *record));
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
    part->finished = checked(realloc(part->finished, (part->finished_count + 1) * sizeof *part->finished));
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
    *deltas = checked(realloc(*deltas, (*count + part->finished_count + part->record_count + 1) * sizeof **deltas));
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

enum status usage_store(struct store_tx *tx, const struct usage_delta *delta, const char *api)
{
    return store_send(tx,
                      "INSERT INTO usage (credential, api, hour, allowed, denied, first_used, last_used)"
                      " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (credential, api, hour) DO UPDATE SET"
                      " allowed = usage.allowed + excluded.allowed, denied = usage.denied + excluded.denied,"
                      " first_used = CASE WHEN excluded.first_used < usage.first_used THEN excluded.first_used"
                      " ELSE usage.first_used END,"
                      " last_used = CASE WHEN excluded.last_used > usage.last_used THEN excluded.last_used"
                      " ELSE usage.last_used END",
                      store_int(delta->credential_id), store_text(api), store_int(delta->hour),
                      store_int(delta->allowed), store_int(delta->denied), store_int(delta->first_used),
                      store_int(delta->last_used));
}

static enum status read_hour(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

enum status usage_expire(struct store_tx *tx, int64_t before, int limit)
{
    /* Whole hours up to that of the limit-th oldest row: a few more than limit where that hour has more. */
    int64_t hour = INT64_MIN;
    TRY(store_run(tx, "SELECT max(hour) FROM (SELECT hour FROM usage WHERE hour < $1 ORDER BY hour LIMIT $2) AS oldest",
                  read_hour, &hour, store_int(before), store_int(limit)));
    return store_run(tx, "DELETE FROM usage WHERE hour <= $1 AND hour < $2", NULL, NULL, store_int(hour),
                     store_int(before));
}

struct querying {
    usage_each_fn *each;
    void *arg;
};

static enum status read_total(const struct store_row *row, void *arg)
{
    struct querying *querying = arg;
    struct usage_total total = {
        .credential_id = store_row_int(row, 0),
        .api = store_row_text(row, 1),
        .start = store_row_int(row, 2),
        .allowed = store_row_int(row, 3),
        .denied = store_row_int(row, 4),
        .first_used = store_row_int(row, 5),
        .last_used = store_row_int(row, 6),
    };
    return querying->each(&total, querying->arg);
}

enum status usage_query(struct store_tx *tx, const struct usage_query *query, usage_each_fn *each, void *arg)
{
    struct querying querying = {each, arg};
    int64_t period = query->period == 0 ? INT64_MAX : query->period;
    return store_run(
        tx,
        "SELECT g_credential, g_api, g_start, CAST(sum(allowed) AS BIGINT), CAST(sum(denied) AS BIGINT),"
        " min(first_used), max(last_used) FROM (SELECT"
        " CASE WHEN $1 = 1 THEN credential ELSE 0 END AS g_credential,"
        " CASE WHEN $2 = 1 THEN api ELSE '' END AS g_api,"
        " hour - hour % $3 AS g_start, allowed, denied, first_used, last_used FROM usage"
        " WHERE ($4 = 0 OR credential = $4) AND ($5 = '' OR api = $5) AND hour >= $6 AND hour < $7) AS rows"
        " GROUP BY g_credential, g_api, g_start"
        " ORDER BY CASE WHEN $8 = 1 THEN -sum(allowed + denied) ELSE 0 END, g_start, g_credential, g_api"
        " LIMIT $9 OFFSET $10",
        read_total, &querying, store_int(query->by_credential), store_int(query->by_api), store_int(period),
        store_int(query->credential_id), store_text(query->api), store_int(query->start), store_int(query->end),
        store_int(query->by_uses), store_int(query->limit), store_int(query->offset));
}
