/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/news.h"

#include "base/must.h"
#include "memory/change.h"
#include "records/change_log.h"
#include "records/credential_facts.h"
#include "records/setting.h"

#include <stdlib.h>
#include <string.h>

/* Room for one more in an array of the arena. */
#define GROW(news, array, count, size) \
    do { \
        if ((news)->count == (news)->size) { \
            size_t grown = (news)->size == 0 ? 64 : (news)->size * 2; \
            void *larger = arena_alloc(&(news)->arena, grown * sizeof *(news)->array); \
            if ((news)->count > 0) \
                memcpy(larger, (news)->array, (news)->count * sizeof *(news)->array); \
            (news)->array = larger; \
            (news)->size = grown; \
        } \
    } while (0)

static void reset(struct news *news)
{
    for (size_t i = 0; i < news->facts_count; i++)
        credential_facts_free(news->facts[i]);
    free(news->facts);
    arena_done(&news->arena);
    *news = (struct news){.is_start = news->is_start,
                          .since = news->since,
                          .own = news->own,
                          .own_count = news->own_count,
                          .now = news->now};
}

void news_done(struct news *news)
{
    reset(news);
    free(news->own);
    news->own = NULL;
    news->own_count = 0;
}

/* Reading */

struct log_reading {
    struct news *news;
    int64_t next;    /* the revision that must come: a gap means that the log was cut */
    bool is_unknown; /* a change that this program does not know: it may have changed anything */
    bool is_damaged; /* a row that cannot be read, or that an older program wrote */
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

/* W8: what is not known to concern one alone is told to concern all. */
static void add_event(struct news *news, const struct change_row *row)
{
    struct ring_event event = {.position = row->position, .kind = RING_ALL};
    if (row->kind == CHANGE_TOKEN && row->subject_len == TOKEN_KEY_BYTES) {
        event.kind = RING_TOKEN;
        memcpy(event.token.bytes, row->subject, TOKEN_KEY_BYTES);
    } else if (row->kind == CHANGE_CREDENTIAL && row->subject_len == CLIENT_ID_LEN) {
        event.kind = RING_CREDENTIAL;
        memcpy(event.client_id, row->subject, CLIENT_ID_LEN);
    } else if (row->kind == CHANGE_PURGE && row->subject_len == sizeof event.credential_id) {
        event.kind = RING_PURGE;
        memcpy(&event.credential_id, row->subject, sizeof event.credential_id);
    }
    GROW(news, events, event_count, event_size);
    news->events[news->event_count++] = event;
}

static void add_change(struct log_reading *reading, int64_t kind, const void *subject, size_t len)
{
    struct news *news = reading->news;
    switch (kind) {
    case CHANGE_TOKEN:
        reading->is_damaged |= len != TOKEN_KEY_BYTES;
        if (len != TOKEN_KEY_BYTES)
            break;
        GROW(news, ended, ended_count, ended_size);
        memcpy(news->ended[news->ended_count++].bytes, subject, TOKEN_KEY_BYTES);
        break;
    case CHANGE_CREDENTIAL:
        reading->is_damaged |= len != CLIENT_ID_LEN;
        if (len == CLIENT_ID_LEN)
            add_client(reading, subject, len);
        break;
    case CHANGE_PURGE:
        reading->is_damaged |= len != sizeof *news->purged;
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
    default: /* CHANGE_ALL, and what a newer program may write */
        reading->is_unknown = true;
    }
}

/* A change_each_fn. */
static enum status read_change(const struct change_row *row, void *arg)
{
    struct log_reading *reading = arg;
    struct news *news = reading->news;
    struct position position = row->position;
    GROW(news, log, log_count, log_size);
    news->log[news->log_count++] = news->position = position;
    if (position.revision <= news->since.revision)
        return STATUS_OK;
    reading->has_gap |= position.revision != reading->next++;
    reading->is_damaged |= position.change_id == 0;
    add_change(reading, row->kind, row->subject, row->subject_len);
    add_event(news, row);
    return STATUS_OK;
}

/* A change_each_fn: what had been done before the start is for whoever watched before it, and goes on. */
static enum status read_past(const struct change_row *row, void *arg)
{
    struct news *news = arg;
    bool is_next = row->position.revision == news->position.revision + 1 && row->position.change_id != 0;
    news->position = row->position;
    if (is_next) {
        add_event(news, row);
    } else {
        news->base = row->position;
        news->event_count = 0;
    }
    return STATUS_OK;
}

static int compare_revisions(const void *revision, const void *position)
{
    int64_t left = *(const int64_t *)revision, right = ((const struct position *)position)->revision;
    return (left > right) - (left < right);
}

struct position news_find(const struct news *news, int64_t revision)
{
    const struct position *found = NULL;
    if (news->log_count > 0)
        found = bsearch(&revision, news->log, news->log_count, sizeof *news->log, compare_revisions);
    return found == NULL ? (struct position){revision, 0} : *found;
}

/* Does the log say of this position what is known of it? */
static bool continues(const struct news *news, struct position known)
{
    if (known.revision == 0)
        return true;
    struct position found = news_find(news, known.revision);
    return found.change_id != 0 && position_equal(found, known);
}

static enum news_kind judge(const struct log_reading *reading)
{
    const struct news *news = reading->news;
    bool is_continued = continues(news, news->since);
    for (size_t i = 0; i < news->own_count; i++)
        is_continued = is_continued && continues(news, news->own[i]);
    /* Old changes are removed from the log: who slept for an hour finds it cut. */
    bool is_cut = news->log_count > 0 && news->log[0].revision > news->since.revision + (news->since.revision == 0);
    if (is_cut)
        return NEWS_CUT;
    if (!is_continued || reading->is_damaged || reading->has_gap)
        return NEWS_HISTORY;
    return reading->is_unknown ? NEWS_CUT : NEWS_SINCE;
}

/* A role_each_fn. */
static enum status read_role(const struct role *role, void *arg)
{
    struct news *news = arg;
    GROW(news, roles, role_count, role_size);
    news->roles[news->role_count++] = *role;
    return STATUS_OK;
}

/* A credential_each_fn. */
static enum status add_facts(struct credential *credential, void *arg)
{
    struct news *news = arg;
    if (news->facts_count == news->facts_size) {
        news->facts_size = news->facts_size == 0 ? 16 : news->facts_size * 2;
        news->facts = must(realloc(news->facts, news->facts_size * sizeof *news->facts));
    }
    news->facts[news->facts_count++] = credential_facts_new(credential);
    return STATUS_OK;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Each once, however often it was changed. One that is not there any more was purged, which the log says itself. */
static enum status load_clients(struct store_tx *tx, struct log_reading *reading)
{
    const char **client_ids = arena_array(&reading->arena, const char *, reading->client_count);
    size_t count = 0;
    if (reading->client_count > 0)
        qsort(reading->client_ids, reading->client_count, sizeof *reading->client_ids, compare_texts);
    for (size_t i = 0; i < reading->client_count; i++)
        if (i == 0 || strcmp(reading->client_ids[i - 1], reading->client_ids[i]) != 0)
            client_ids[count++] = reading->client_ids[i];
    return credential_row_each_named(tx, client_ids, count, reading->news->now, add_facts, reading->news);
}

/* From here on the log is looked at: what is known must be in it. */
static int64_t least_revision(const struct news *news)
{
    int64_t least = news->since.revision;
    for (size_t i = 0; i < news->own_count; i++)
        if (news->own[i].revision < least)
            least = news->own[i].revision;
    return least;
}

static enum status read_whole(struct store_tx *tx, struct news *news)
{
    news->has_settings = news->has_roles = true;
    TRY(change_log_last(tx, &news->position));
    return credential_facts_load_all(tx, news->now, &news->facts, &news->facts_count);
}

static enum status read_start(struct store_tx *tx, struct news *news)
{
    TRY(read_whole(tx, news));
    int64_t from = news->position.revision - RING_EVENTS;
    news->position = (struct position){0};
    return change_log_read(tx, from, read_past, news);
}

static enum status read_log(struct store_tx *tx, struct news *news)
{
    struct log_reading reading = {.news = news, .next = news->since.revision + 1};
    enum status status = change_log_read(tx, least_revision(news), read_change, &reading);
    news->kind = judge(&reading);
    if (status == STATUS_OK)
        status = news->kind == NEWS_SINCE ? load_clients(tx, &reading) : read_whole(tx, news);
    arena_done(&reading.arena);
    return status;
}

enum status news_read(struct store_tx *tx, struct news *news)
{
    reset(news);
    news->kind = NEWS_START;
    TRY(news->is_start ? read_start(tx, news) : read_log(tx, news));
    if (news->has_settings)
        TRY(setting_row_load(tx, &news->settings));
    if (news->has_roles)
        TRY(role_row_list(tx, read_role, news));
    /* There are always roles. Where there are none, the tables were put in place of others after this transaction's
     * state was fixed (a restore), and look empty to it. */
    return news->has_roles && news->role_count == 0 ? STATUS_UNAVAILABLE : STATUS_OK;
}

/* Applying */

/* As long as the purged ones are known by their client IDs. */
static void name_purged(struct memory *memory, struct news *news)
{
    for (size_t i = 0; i < news->event_count; i++) {
        struct ring_event *event = &news->events[i];
        const struct change purge = {.kind = CHANGE_PURGE, .credential_id = event->credential_id};
        if (event->kind == RING_PURGE)
            *event = change_event(memory, event->position, &purge);
    }
}

static void apply_since(struct memory *memory, struct news *news)
{
    for (size_t i = 0; i < news->role_count; i++)
        change_apply(memory, &(struct change){.kind = CHANGE_ROLE, .role = &news->roles[i]});
    if (news->has_settings)
        change_apply(memory, &(struct change){.kind = CHANGE_SETTINGS, .settings = &news->settings});
    for (size_t i = 0; i < news->facts_count; i++)
        change_apply(memory, &(struct change){.kind = CHANGE_CREDENTIAL, .facts = news->facts[i]});
    for (size_t i = 0; i < news->purged_count; i++)
        change_apply(memory, &(struct change){.kind = CHANGE_PURGE, .credential_id = news->purged[i]});
    for (size_t i = 0; i < news->ended_count; i++)
        change_apply(memory, &(struct change){.kind = CHANGE_TOKEN, .token = &news->ended[i]});
}

static void apply_all(struct memory *memory, struct news *news)
{
    const struct directory_content content = {
        .facts = news->facts,
        .facts_count = news->facts_count,
        .roles = news->roles,
        .role_count = news->role_count,
        .settings = &news->settings,
    };
    change_apply_all(memory, &content, news->is_start ? news->base : news->position,
                     news->kind == NEWS_HISTORY ? RING_IS_OF_ANOTHER_HISTORY : RING_IS_CUT);
}

void news_apply(struct memory *memory, struct news *news)
{
    name_purged(memory, news);
    if (news->kind == NEWS_SINCE)
        apply_since(memory, news);
    else
        apply_all(memory, news);
    news->facts_count = 0; /* the directory has them now */
    if (news->kind == NEWS_SINCE || news->is_start)
        change_pass(memory, news->events, news->event_count);
}
