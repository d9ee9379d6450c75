/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/audit_queue.h"

#include "base/address.h"
#include "base/clock.h"
#include "base/must.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    ACTS_MAX = 100000, /* while a store is away; then they are counted like refusals */
    BACKLOG = 1000,    /* with so many acts not stored, refusals are still counted */
    LOOK_BACK = 16,    /* equal acts come in a row */
    TALLIES_MAX = 1000,
    KINDS_MAX = 6, /* that a tally tells apart */
    SUBJECTS_MAX = 4,
    KEY_MAX = 512,
    TEXT_MAX = 256,
    TOLD_MAX = 4096,
};

static const int64_t minute = 60 * CLOCK_SECOND;
static const char others[] = "others";

struct act {
    struct audit_event event; /* its strings are in `text` */
    int64_t count;
    bool is_told; /* given back: it says already how many it was */
    char text[];
};

struct kind {
    char text[96];
    int64_t count;
};

/* Refusals that are one event a minute. */
struct tally {
    UT_hash_handle hh;
    char key[KEY_MAX];
    struct act *first; /* of those that are not told; NULL: there are none */
    char subjects[SUBJECTS_MAX][72];
    int subject_count;
    bool has_more_subjects, has_peers, has_actors; /* several */
    struct kind kinds[KINDS_MAX + 1];              /* the last: any other */
    int kind_count;
    bool was_told;
    int64_t told;
};

struct audit_queue {
    pthread_mutex_t lock;
    struct act **acts; /* from `begin` on, `count` of them; there is room for `size` */
    size_t begin, count, size;
    struct tally *tallies;
};

struct audit_queue *audit_queue_new(void)
{
    struct audit_queue *queue = must(calloc(1, sizeof *queue));
    pthread_mutex_init(&queue->lock, NULL);
    return queue;
}

static void tally_free(struct audit_queue *queue, struct tally *tally)
{
    HASH_DEL(queue->tallies, tally);
    free(tally->first);
    free(tally);
}

void audit_queue_free(struct audit_queue *queue)
{
    if (queue == NULL)
        return;
    for (size_t i = 0; i < queue->count; i++)
        free(queue->acts[queue->begin + i]);
    free(queue->acts);
    while (queue->tallies != NULL)
        tally_free(queue, queue->tallies);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

/* `max`: of each text. */
static struct act *act_new(const struct audit_event *event, size_t max)
{
    const char *const texts[] = {event->actor,      event->action,  event->subject, event->peer,
                                 event->request_id, event->outcome, event->detail};
    enum { TEXTS = sizeof texts / sizeof texts[0] };
    size_t size = 0, lengths[TEXTS];
    for (size_t i = 0; i < TEXTS; i++) {
        lengths[i] = strlen(text_of(texts[i]));
        lengths[i] = lengths[i] < max ? lengths[i] : max;
        size += lengths[i] + 1;
    }
    struct act *act = must(calloc(1, sizeof *act + size));
    const char **to[TEXTS] = {&act->event.actor,      &act->event.action,  &act->event.subject, &act->event.peer,
                              &act->event.request_id, &act->event.outcome, &act->event.detail};
    char *at = act->text;
    for (size_t i = 0; i < TEXTS; i++) {
        *to[i] = at;
        utf8_copy(at, lengths[i] + 1, text_of(texts[i]));
        at += lengths[i] + 1;
    }
    act->event.at = event->at;
    act->count = 1;
    return act;
}

static bool is_same(const struct audit_event *a, const struct audit_event *b)
{
    return strcmp(text_of(a->action), text_of(b->action)) == 0 &&
           strcmp(text_of(a->subject), text_of(b->subject)) == 0 && strcmp(text_of(a->peer), text_of(b->peer)) == 0 &&
           strcmp(text_of(a->actor), text_of(b->actor)) == 0 && strcmp(text_of(a->outcome), text_of(b->outcome)) == 0 &&
           strcmp(text_of(a->detail), text_of(b->detail)) == 0;
}

/* Behind the others. */
static void put(struct audit_queue *queue, struct act *act)
{
    if (queue->begin + queue->count == queue->size) {
        struct act **acts = must(calloc(2 * queue->count + BACKLOG, sizeof *acts));
        if (queue->count > 0)
            memcpy(acts, queue->acts + queue->begin, queue->count * sizeof *acts);
        free(queue->acts);
        queue->acts = acts;
        queue->begin = 0;
        queue->size = 2 * queue->count + BACKLOG;
    }
    queue->acts[queue->begin + queue->count++] = act;
}

static void note_kind(struct tally *tally, const char *text, int64_t count)
{
    int i = 0;
    char kind[sizeof tally->kinds[0].text];
    utf8_copy(kind, sizeof kind, text);
    while (i < tally->kind_count && strcmp(tally->kinds[i].text, kind) != 0)
        i++;
    if (i == tally->kind_count && i < KINDS_MAX) {
        memcpy(tally->kinds[i].text, kind, sizeof kind);
        tally->kind_count++;
    } else if (i == tally->kind_count) {
        i = KINDS_MAX;
    }
    tally->kinds[i].count += count;
}

static struct tally *find_tally(struct audit_queue *queue, const char *group, const struct audit_event *event,
                                const char *actor, bool is_bounded)
{
    char key[KEY_MAX];
    struct tally *tally = NULL;
    snprintf(key, sizeof key, "%s\n%s\n%s\n%s", group, text_of(event->action), text_of(event->outcome), actor);
    HASH_FIND_STR(queue->tallies, key, tally);
    if (tally != NULL || (is_bounded && HASH_COUNT(queue->tallies) >= TALLIES_MAX))
        return tally;
    tally = must(calloc(1, sizeof *tally));
    memcpy(tally->key, key, sizeof key);
    HASH_ADD_STR(queue->tallies, key, tally);
    return tally;
}

static void note_subject(struct tally *tally, const char *text)
{
    char subject[sizeof tally->subjects[0]];
    utf8_copy(subject, sizeof subject, text);
    for (int i = 0; i < tally->subject_count; i++)
        if (strcmp(tally->subjects[i], subject) == 0)
            return;
    if (tally->subject_count < SUBJECTS_MAX)
        memcpy(tally->subjects[tally->subject_count++], subject, sizeof subject);
    else
        tally->has_more_subjects = true;
}

/* A stranger has any number of addresses: where there are too many, those of all that are new are one. */
static void count_event(struct audit_queue *queue, const struct audit_event *event, int64_t count)
{
    char group[ADDRESS_TEXT_MAX];
    address_group(text_of(event->peer), group);
    struct tally *tally = find_tally(queue, group, event, text_of(event->actor), true);
    if (tally == NULL)
        tally = find_tally(queue, others, event, "", false);
    if (tally->first == NULL) {
        tally->first = act_new(event, TEXT_MAX);
        tally->first->count = 0;
    }
    const struct audit_event *first = &tally->first->event;
    tally->first->count += count;
    note_subject(tally, text_of(event->subject));
    tally->has_peers |= strcmp(first->peer, text_of(event->peer)) != 0;
    tally->has_actors |= strcmp(first->actor, text_of(event->actor)) != 0;
    note_kind(tally, text_of(event->detail), count);
}

static void add(struct audit_queue *queue, const struct audit_event *event)
{
    for (size_t i = 0; i < queue->count && i < LOOK_BACK; i++) {
        struct act *act = queue->acts[queue->begin + queue->count - 1 - i];
        if (!act->is_told && is_same(&act->event, event)) {
            act->count++;
            return;
        }
    }
    if (queue->count < ACTS_MAX)
        put(queue, act_new(event, TEXT_MAX));
    else
        count_event(queue, event, 1);
}

void audit_queue_add(struct audit_queue *queue, const struct audit_event *event)
{
    pthread_mutex_lock(&queue->lock);
    add(queue, event);
    pthread_mutex_unlock(&queue->lock);
}

void audit_queue_count(struct audit_queue *queue, const struct audit_event *event, int64_t count)
{
    pthread_mutex_lock(&queue->lock);
    count_event(queue, event, count);
    pthread_mutex_unlock(&queue->lock);
}

void audit_queue_give_back(struct audit_queue *queue, const struct audit_event *events, size_t count)
{
    pthread_mutex_lock(&queue->lock);
    struct act **later = queue->acts;
    size_t begin = queue->begin, later_count = queue->count;
    queue->acts = NULL;
    queue->begin = queue->count = queue->size = 0;
    for (size_t i = 0; i < count; i++) {
        struct act *act = act_new(&events[i], TOLD_MAX);
        act->is_told = true;
        put(queue, act);
    }
    for (size_t i = 0; i < later_count; i++)
        put(queue, later[begin + i]);
    free(later);
    pthread_mutex_unlock(&queue->lock);
}

static char *add_kind(struct arena *arena, const char *before, const struct kind *kind)
{
    const char *between = before[0] == '\0' || kind->text[0] == '\0' ? "" : "; ";
    if (kind->count == 1)
        return arena_format(arena, "%s%s%s", before, between, kind->text);
    return arena_format(arena, "%s%s%s; %" PRId64 " times", before, between, kind->text, kind->count);
}

static void take_event(struct arena *arena, const struct act *act, struct audit_event *ret_event)
{
    const struct audit_event *event = &act->event;
    *ret_event = (struct audit_event){
        .at = event->at,
        .actor = arena_text(arena, event->actor),
        .action = arena_text(arena, event->action),
        .subject = arena_text(arena, event->subject),
        .peer = arena_text(arena, event->peer),
        .request_id = arena_text(arena, event->request_id),
        .outcome = arena_text(arena, event->outcome),
        .detail = arena_text(arena, event->detail),
    };
    if (!act->is_told && act->count > 1)
        ret_event->detail = arena_format(arena, "%s; %" PRId64 " times", event->detail, act->count);
}

static char *add_subjects(struct arena *arena, char *detail, const struct tally *tally)
{
    for (int i = 0; i < tally->subject_count; i++)
        detail = arena_format(arena, "%s%s%s", detail, i == 0 ? "; subjects: " : ", ", tally->subjects[i]);
    return tally->has_more_subjects ? arena_format(arena, "%s and others", detail) : detail;
}

static size_t take_acts(struct audit_queue *queue, struct arena *arena, bool is_last, struct audit_event *events)
{
    size_t count = is_last || queue->count < AUDIT_GATHER_MAX ? queue->count : AUDIT_GATHER_MAX;
    for (size_t i = 0; i < count; i++) {
        struct act *act = queue->acts[queue->begin++];
        take_event(arena, act, &events[i]);
        free(act);
    }
    queue->count -= count;
    return count;
}

static void take_tally(struct tally *tally, struct arena *arena, struct audit_event *ret_event)
{
    char group[ADDRESS_TEXT_MAX];
    char *detail = arena_text(arena, "");
    take_event(arena, tally->first, ret_event);
    for (int i = 0; i < tally->kind_count; i++)
        detail = add_kind(arena, detail, &tally->kinds[i]);
    struct kind rest = {.text = "others", .count = tally->kinds[KINDS_MAX].count};
    if (rest.count > 0)
        detail = add_kind(arena, detail, &rest);
    ret_event->detail = detail;
    if (tally->subject_count > 1) {
        ret_event->subject = "several";
        ret_event->detail = add_subjects(arena, detail, tally);
    }
    if (tally->has_actors)
        ret_event->actor = "several";
    address_group(tally->first->event.peer, group);
    if (tally->has_peers && strncmp(tally->key, others, sizeof others - 1) == 0)
        ret_event->peer = others;
    else if (tally->has_peers)
        ret_event->peer = arena_format(arena, "%s/64", group);
    if (tally->first->count > 1)
        ret_event->request_id = "";
    free(tally->first);
    tally->first = NULL;
    tally->subject_count = 0;
    tally->has_more_subjects = tally->has_peers = tally->has_actors = false;
    memset(tally->kinds, 0, sizeof tally->kinds);
    tally->kind_count = 0;
}

static size_t take_tallies(struct audit_queue *queue, struct arena *arena, int64_t now, bool is_last,
                           struct audit_event *events)
{
    size_t count = 0;
    for (struct tally *tally = queue->tallies, *next; tally != NULL; tally = next) {
        next = tally->hh.next;
        if (tally->was_told && now - tally->told < minute && !is_last)
            continue;
        if (tally->first == NULL) {
            tally_free(queue, tally);
            continue;
        }
        take_tally(tally, arena, &events[count++]);
        tally->was_told = true;
        tally->told = now;
    }
    return count;
}

static int compare(const void *a, const void *b)
{
    int64_t at_a = ((const struct audit_event *)a)->at, at_b = ((const struct audit_event *)b)->at;
    return (at_a > at_b) - (at_a < at_b);
}

size_t audit_queue_gather(struct audit_queue *queue, struct arena *arena, int64_t now, bool is_last,
                          struct audit_event **ret_events)
{
    pthread_mutex_lock(&queue->lock);
    bool has_backlog = queue->count > BACKLOG && !is_last;
    size_t most = queue->count + HASH_COUNT(queue->tallies);
    struct audit_event *events = arena_array(arena, struct audit_event, most + 1);
    size_t count = take_acts(queue, arena, is_last, events);
    if (!has_backlog)
        count += take_tallies(queue, arena, now, is_last, events + count);
    pthread_mutex_unlock(&queue->lock);
    if (count > 0)
        qsort(events, count, sizeof *events, compare);
    *ret_events = events;
    return count;
}
