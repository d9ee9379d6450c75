/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/audit.h"

#include "domain/pattern.h"
#include "domain/work.h"
#include "utf8.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 1000 };

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

/* Each field with its length before it, so that no two events have the same bytes. */
static void compute_hash(const struct audit_event *event, const uint8_t before[static SHA256_BYTES],
                         uint8_t hash[static SHA256_BYTES])
{
    struct arena arena = {0};
    const char *fields[] = {event->actor,      event->action,  event->subject, event->peer,
                            event->request_id, event->outcome, event->detail};
    char *text = arena_format(&arena, "%" PRId64 ":%" PRId64, event->sequence, event->at);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        text = arena_format(&arena, "%s:%zu:%s", text, strlen(text_of(fields[i])), text_of(fields[i]));
    size_t len = strlen(text);
    uint8_t *input = arena_alloc(&arena, SHA256_BYTES + len);
    memcpy(input, before, SHA256_BYTES);
    memcpy(input + SHA256_BYTES, text, len);
    crypto_sha256(input, SHA256_BYTES + len, hash);
    arena_done(&arena);
}

static enum status read_hash(const struct store_row *row, void *arg)
{
    size_t len = 0;
    const void *hash = store_row_blob(row, 0, &len);
    if (len == SHA256_BYTES)
        memcpy(arg, hash, SHA256_BYTES);
    return STATUS_OK;
}

enum status audit_append(struct store_tx *tx, struct audit_event *event)
{
    uint8_t before[SHA256_BYTES] = {0};
    TRY(work_next(tx, "audit", &event->sequence));
    TRY(store_run(tx, "SELECT hash FROM audit WHERE sequence = $1", read_hash, before, store_int(event->sequence - 1)));
    compute_hash(event, before, event->hash);
    return store_send(
        tx,
        "INSERT INTO audit (sequence, at, actor, action, subject, peer, request_id, outcome, detail, hash)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        store_int(event->sequence), store_int(event->at), store_text(text_of(event->actor)),
        store_text(text_of(event->action)), store_text(text_of(event->subject)), store_text(text_of(event->peer)),
        store_text(text_of(event->request_id)), store_text(text_of(event->outcome)), store_text(text_of(event->detail)),
        store_blob(event->hash, SHA256_BYTES));
}

struct listing {
    audit_each_fn *each;
    void *arg;
};

static enum status read_event(const struct store_row *row, void *arg)
{
    struct listing *listing = arg;
    struct audit_event event = {
        .sequence = store_row_int(row, 0),
        .at = store_row_int(row, 1),
        .actor = store_row_text(row, 2),
        .action = store_row_text(row, 3),
        .subject = store_row_text(row, 4),
        .peer = store_row_text(row, 5),
        .request_id = store_row_text(row, 6),
        .outcome = store_row_text(row, 7),
        .detail = store_row_text(row, 8),
    };
    size_t len = 0;
    const void *hash = store_row_blob(row, 9, &len);
    if (len == SHA256_BYTES)
        memcpy(event.hash, hash, SHA256_BYTES);
    return listing->each(&event, listing->arg);
}

#define AUDIT_COLUMNS "sequence, at, actor, action, subject, peer, request_id, outcome, detail, hash"

enum status audit_list(struct store_tx *tx, const struct audit_filter *filter, audit_each_fn *each, void *arg)
{
    struct listing listing = {each, arg};
    char pattern[2 * PATTERN_TEXT_MAX + 3];
    pattern_make(filter->detail, pattern);
    return store_run(
        tx,
        "SELECT " AUDIT_COLUMNS " FROM audit WHERE sequence < $1 AND at > $2 AND at < $3"
        " AND (actor = $4 OR $4 IS NULL) AND (action = $5 OR $5 IS NULL) AND (subject = $6 OR $6 IS NULL)"
        " AND (peer = $7 OR $7 IS NULL) AND (outcome = $8 OR $8 IS NULL) AND lower(detail) LIKE $9 ESCAPE '\\'"
        " ORDER BY sequence DESC LIMIT $10",
        read_event, &listing, store_int(filter->below), store_int(filter->after), store_int(filter->before),
        store_text(filter->actor), store_text(filter->action), store_text(filter->subject), store_text(filter->peer),
        store_text(filter->outcome), store_text(pattern), store_int(filter->limit));
}

struct verifying {
    uint8_t before[SHA256_BYTES];
    int64_t checked;
    int64_t broken;
};

static enum status verify_event(const struct audit_event *event, void *arg)
{
    struct verifying *verifying = arg;
    uint8_t hash[SHA256_BYTES];
    if (verifying->broken != 0)
        return STATUS_OK;
    compute_hash(event, verifying->before, hash);
    verifying->checked++;
    if (event->sequence != verifying->checked || !crypto_equal(hash, event->hash, SHA256_BYTES))
        verifying->broken = verifying->checked;
    memcpy(verifying->before, event->hash, SHA256_BYTES);
    return STATUS_OK;
}

static enum status read_counter(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

enum status audit_verify(struct store_tx *tx, int64_t *ret_checked, int64_t *ret_broken)
{
    struct verifying verifying = {.broken = 0};
    struct listing listing = {verify_event, &verifying};
    int64_t last = 0;
    TRY(store_run(tx, "SELECT " AUDIT_COLUMNS " FROM audit ORDER BY sequence", read_event, &listing));
    TRY(store_run(tx, "SELECT value FROM counter WHERE name = 'audit'", read_counter, &last));
    if (verifying.broken == 0 && verifying.checked != last) /* the newest ones were removed */
        verifying.broken = verifying.checked + 1;
    *ret_checked = verifying.checked;
    *ret_broken = verifying.broken;
    return STATUS_OK;
}

/* The queue of security events */

struct queued {
    struct audit_event event; /* its strings follow, in `text` */
    int64_t count;
    char text[1024];
};

struct audit_queue {
    pthread_mutex_t lock;
    struct queued *events[QUEUE_MAX];
    size_t count;
    int64_t lost;
};

struct audit_queue *audit_queue_new(void)
{
    struct audit_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        abort();
    pthread_mutex_init(&queue->lock, NULL);
    return queue;
}

void audit_queue_free(struct audit_queue *queue)
{
    if (queue == NULL)
        return;
    for (size_t i = 0; i < queue->count; i++)
        free(queue->events[i]);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

static const char *keep(struct queued *queued, size_t *used, const char *text)
{
    char *to = queued->text + *used;
    size_t room = sizeof queued->text - *used;
    if (room < 2)
        return "";
    *used += utf8_copy(to, room < 257 ? room : 257, text_of(text)) + 1;
    return to;
}

static bool is_same(const struct audit_event *a, const struct audit_event *b)
{
    return strcmp(text_of(a->action), text_of(b->action)) == 0 &&
           strcmp(text_of(a->subject), text_of(b->subject)) == 0 && strcmp(text_of(a->peer), text_of(b->peer)) == 0 &&
           strcmp(text_of(a->actor), text_of(b->actor)) == 0 && strcmp(text_of(a->outcome), text_of(b->outcome)) == 0;
}

static void enqueue(struct audit_queue *queue, const struct audit_event *event)
{
    /* Equal events come in a row: looking at the last few is enough. */
    for (size_t i = queue->count; i-- > 0 && queue->count - i <= 16;)
        if (is_same(&queue->events[i]->event, event)) {
            queue->events[i]->count++;
            return;
        }
    struct queued *queued = queue->count < QUEUE_MAX ? calloc(1, sizeof *queued) : NULL;
    if (queued == NULL) {
        queue->lost++;
        return;
    }
    size_t used = 0;
    queued->count = 1;
    queued->event.at = event->at;
    queued->event.actor = keep(queued, &used, event->actor);
    queued->event.action = keep(queued, &used, event->action);
    queued->event.subject = keep(queued, &used, event->subject);
    queued->event.peer = keep(queued, &used, event->peer);
    queued->event.request_id = keep(queued, &used, event->request_id);
    queued->event.outcome = keep(queued, &used, event->outcome);
    queued->event.detail = keep(queued, &used, event->detail);
    queue->events[queue->count++] = queued;
}

void audit_queue_add(struct audit_queue *queue, const struct audit_event *event)
{
    pthread_mutex_lock(&queue->lock);
    enqueue(queue, event);
    pthread_mutex_unlock(&queue->lock);
}

static char *describe(struct arena *arena, const struct queued *queued, int64_t lost)
{
    char *detail = arena_text(arena, queued->event.detail);
    if (queued->count > 1)
        detail = arena_format(arena, "%s; %" PRId64 " times", detail, queued->count);
    if (lost > 0)
        detail = arena_format(arena, "%s; %" PRId64 " events before this one were not kept", detail, lost);
    return detail;
}

size_t audit_queue_gather(struct audit_queue *queue, struct arena *arena, struct audit_event **ret_events)
{
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->count;
    struct audit_event *events = arena_array(arena, struct audit_event, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct queued *queued = queue->events[i];
        events[i] = (struct audit_event){
            .at = queued->event.at,
            .actor = arena_text(arena, queued->event.actor),
            .action = arena_text(arena, queued->event.action),
            .subject = arena_text(arena, queued->event.subject),
            .peer = arena_text(arena, queued->event.peer),
            .request_id = arena_text(arena, queued->event.request_id),
            .outcome = arena_text(arena, queued->event.outcome),
            .detail = describe(arena, queued, i + 1 == count ? queue->lost : 0),
        };
        free(queued);
    }
    if (count > 0)
        queue->lost = 0;
    queue->count = 0;
    pthread_mutex_unlock(&queue->lock);
    *ret_events = events;
    return count;
}
