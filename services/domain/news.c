/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/news.h"

#include "domain/domain.h"

#include <stdlib.h>
#include <string.h>

/* Room for one more in an array of the arena. */
#define GROW(news, array, count, size)                                                 \
    do {                                                                               \
        if ((news)->count == (news)->size) {                                           \
            size_t grown = (news)->size == 0 ? 64 : (news)->size * 2;                  \
            void *larger = arena_alloc(&(news)->arena, grown * sizeof *(news)->array); \
            if ((news)->count > 0)                                                     \
                memcpy(larger, (news)->array, (news)->count * sizeof *(news)->array);  \
            (news)->array = larger;                                                    \
            (news)->size = grown;                                                      \
        }                                                                              \
    } while (0)

static void reset(struct news *news)
{
    for (size_t i = 0; i < news->facts_count; i++)
        credential_facts_free(news->facts[i]);
    free(news->facts);
    arena_done(&news->arena);
    *news = (struct news){.domain = news->domain, .since = news->since, .now = news->now};
}

void news_done(struct news *news)
{
    reset(news);
}

/* Reading */

static enum status read_number(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

struct log_reading {
    struct news *news;
    int64_t next; /* the revision that must come: a gap means that the log was cut */
    bool has_gap;
    char (*client_ids)[CLIENT_ID_LEN + 1];
    size_t client_count, client_size;
    struct arena arena;
};

static void add_client(struct log_reading *reading, const void *subject, size_t len)
{
    GROW(reading, client_ids, client_count, client_size);
    char *client_id = reading->client_ids[reading->client_count++];
    memcpy(client_id, subject, len);
    client_id[len] = '\0';
}

static void add_change(struct log_reading *reading, enum change_kind kind, const void *subject, size_t len)
{
    struct news *news = reading->news;
    switch (kind) {
    case CHANGE_TOKEN:
        if (len != TOKEN_KEY_BYTES)
            break;
        GROW(news, ended, ended_count, ended_size);
        memcpy(news->ended[news->ended_count++].bytes, subject, TOKEN_KEY_BYTES);
        break;
    case CHANGE_CREDENTIAL:
        if (len == CLIENT_ID_LEN)
            add_client(reading, subject, len);
        break;
    case CHANGE_PURGE:
        if (len != sizeof *news->purged)
            break;
        GROW(news, purged, purged_count, purged_size);
        memcpy(&news->purged[news->purged_count++], subject, len);
        break;
    case CHANGE_SETTINGS:
        news->has_settings = true;
        break;
    case CHANGE_ROLE:
        news->has_roles = true;
        break;
    }
}

static enum status read_change(const struct store_row *row, void *arg)
{
    struct log_reading *reading = arg;
    size_t len = 0;
    const void *subject = store_row_blob(row, 2, &len);
    reading->has_gap = reading->has_gap || store_row_int(row, 0) != reading->next;
    reading->next++;
    add_change(reading, (enum change_kind)store_row_int(row, 1), subject, len);
    return STATUS_OK;
}

static enum status read_role(const struct role *role, void *arg)
{
    struct news *news = arg;
    GROW(news, roles, role_count, role_size);
    news->roles[news->role_count++] = *role;
    return STATUS_OK;
}

static void add_facts(struct news *news, const struct credential *credential)
{
    if (news->facts_count == news->facts_size) {
        news->facts_size = news->facts_size == 0 ? 16 : news->facts_size * 2;
        news->facts = realloc(news->facts, news->facts_size * sizeof *news->facts);
        if (news->facts == NULL)
            abort();
    }
    news->facts[news->facts_count++] = credential_facts_new(credential);
}

/* One that is not there any more was purged, which the log says itself. */
static enum status load_credential(struct store_tx *tx, struct news *news, const char *client_id)
{
    struct arena arena = {0};
    struct credential *credential = NULL;
    enum status status = credential_load(tx, &arena, client_id, news->now, &credential);
    if (status == STATUS_OK)
        add_facts(news, credential);
    arena_done(&arena);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status read_all(struct store_tx *tx, struct news *news)
{
    news->is_all = news->has_settings = news->has_roles = true;
    return credential_facts_load_all(tx, news->now, &news->facts, &news->facts_count);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Each once, however often it was changed. */
static enum status load_clients(struct store_tx *tx, struct log_reading *reading)
{
    if (reading->client_count > 0)
        qsort(reading->client_ids, reading->client_count, sizeof *reading->client_ids, compare_texts);
    for (size_t i = 0; i < reading->client_count; i++)
        if (i == 0 || strcmp(reading->client_ids[i - 1], reading->client_ids[i]) != 0)
            TRY(load_credential(tx, reading->news, reading->client_ids[i]));
    return STATUS_OK;
}

static enum status read_log(struct store_tx *tx, struct news *news)
{
    struct log_reading reading = {.news = news, .next = news->since + 1};
    enum status status =
        store_run(tx, "SELECT revision, kind, subject FROM change_log WHERE revision > $1 ORDER BY revision",
                  read_change, &reading, store_int(news->since));
    if (status == STATUS_OK && (reading.has_gap || reading.next != news->revision + 1))
        status = read_all(tx, news);
    else if (status == STATUS_OK)
        status = load_clients(tx, &reading);
    arena_done(&reading.arena);
    return status;
}

enum status news_read(struct store_tx *tx, struct news *news)
{
    reset(news);
    TRY(store_run(tx, "SELECT value FROM counter WHERE name = 'revision'", read_number, &news->revision));
    if (news->since < 0)
        TRY(read_all(tx, news));
    else if (news->revision != news->since)
        TRY(read_log(tx, news));
    if (news->has_settings)
        TRY(settings_load(tx, &news->settings));
    return news->has_roles ? role_list(tx, read_role, news) : STATUS_OK;
}

/* Applying */

static int compare_ids(const void *id, const void *facts)
{
    int64_t left = *(const int64_t *)id, right = (*(struct credential_facts *const *)facts)->id;
    return (left > right) - (left < right);
}

static void find_absent(const struct credential_facts *facts, void *arg)
{
    struct news *news = arg;
    if (news->facts_count > 0 &&
        bsearch(&facts->id, news->facts, news->facts_count, sizeof *news->facts, compare_ids) != NULL)
        return;
    GROW(news, purged, purged_count, purged_size);
    news->purged[news->purged_count++] = facts->id;
}

/* Nothing that was known before is trusted. */
static void forget_absent(struct news *news)
{
    struct directory *directory = news->domain->directory;
    directory_lock(directory);
    directory_each(directory, find_absent, news);
    directory_unlock(directory);
    token_table_clear(news->domain->tokens);
}

void news_apply(struct news *news)
{
    struct directory *directory = news->domain->directory;
    bool is_old = news->revision < directory_revision(directory);
    if (news->is_all && !is_old)
        forget_absent(news);
    for (size_t i = 0; i < news->role_count; i++)
        directory_put_role(directory, &news->roles[i]);
    if (news->has_settings)
        directory_put_settings(directory, &news->settings);
    for (size_t i = 0; i < news->facts_count; i++)
        directory_put_credential(directory, news->facts[i]);
    news->facts_count = 0; /* the directory has them now */
    for (size_t i = 0; i < news->purged_count; i++)
        directory_purge(directory, news->purged[i]);
    for (size_t i = 0; i < news->ended_count; i++)
        token_table_remove(news->domain->tokens, &news->ended[i]);
    directory_set_revision(directory, news->revision);
}
