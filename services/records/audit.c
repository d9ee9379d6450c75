/* SPDX-License-Identifier: Apache-2.0 */
#include "records/audit.h"

#include "records/counter.h"
#include "records/instance.h"
#include "records/pattern.h"

#include <string.h>

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

static enum status read_hash(const struct store_row *row, void *arg)
{
    size_t len = 0;
    const void *hash = store_row_blob(row, 0, &len);
    if (len == SHA256_BYTES)
        memcpy(arg, hash, SHA256_BYTES);
    return STATUS_OK;
}

static enum status insert(struct store_tx *tx, const struct audit_event *event)
{
    return store_send(
        tx,
        "INSERT INTO audit (sequence, at, actor, action, subject, peer, request_id, outcome, detail, hash)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        store_int(event->sequence), store_int(event->at), store_text(text_of(event->actor)),
        store_text(text_of(event->action)), store_text(text_of(event->subject)), store_text(text_of(event->peer)),
        store_text(text_of(event->request_id)), store_text(text_of(event->outcome)), store_text(text_of(event->detail)),
        store_blob(event->hash, SHA256_BYTES));
}

enum status audit_row_append(struct store_tx *tx, struct audit_event *event)
{
    return audit_row_append_all(tx, event, 1);
}

enum status audit_row_append_all(struct store_tx *tx, struct audit_event *events, size_t count)
{
    uint8_t first[SHA256_BYTES] = {0};
    const uint8_t *before = first;
    int64_t last = 0;
    if (count == 0)
        return STATUS_OK;
    TRY(counter_take(tx, "audit", count, &last));
    int64_t sequence = last - (int64_t)count;
    TRY(store_run(tx, "SELECT hash FROM audit WHERE sequence = $1", read_hash, first, store_int(sequence)));
    for (size_t i = 0; i < count; i++) {
        events[i].sequence = ++sequence;
        audit_hash(&events[i], before, events[i].hash);
        before = events[i].hash;
        TRY(insert(tx, &events[i]));
    }
    return STATUS_OK;
}

struct listing {
    audit_each_fn *each;
    void *arg;
};

static struct audit_event event_of(const struct store_row *row)
{
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
    return event;
}

/* Called by store_run, for each row. */
static enum status read_event(const struct store_row *row, void *arg)
{
    struct listing *listing = arg;
    struct audit_event event = event_of(row);
    return listing->each(&event, listing->arg);
}

/* Called by store_run, for each row, behind which are the names. */
static enum status read_named(const struct store_row *row, void *arg)
{
    struct listing *listing = arg;
    struct audit_event event = event_of(row);
    event.actor_name = store_row_text(row, 10);
    event.subject_name = store_row_text(row, 11);
    return listing->each(&event, listing->arg);
}

#define AUDIT_COLUMNS "sequence, at, actor, action, subject, peer, request_id, outcome, detail, hash"

/* Its id, or the name that its credential has now. */
#define PART_OF(column, pattern) \
    " AND (" pattern " = '%%' OR lower(" column ") LIKE " pattern " ESCAPE '\\'" \
    " OR " column " IN (SELECT client_id FROM credential WHERE lower(name) LIKE " pattern " ESCAPE '\\'))"
#define NAME_OF(column) "(SELECT name FROM credential WHERE client_id = audit." column ")"
#define LIST \
    "SELECT " AUDIT_COLUMNS ", " NAME_OF("actor") ", " NAME_OF( \
        "subject") " FROM audit" \
                   " WHERE sequence < $1 AND at > $2 AND at < $3" \
                   " AND (actor = $4 OR $4 IS NULL) AND (action = $5 OR $5 IS NULL) AND (subject = $6 OR $6 IS NULL)" \
                   " AND (peer = $7 OR $7 IS NULL) AND (outcome = $8 OR $8 IS NULL) AND lower(detail) LIKE $9 ESCAPE " \
                   "'\\'" PART_OF("actor", "$10") PART_OF("subject", "$11") " ORDER BY sequence DESC LIMIT $12"

enum status audit_row_list(struct store_tx *tx, const struct audit_filter *filter, audit_each_fn *each, void *arg)
{
    struct listing listing = {each, arg};
    char detail[2 * PATTERN_TEXT_MAX + 3], actor[sizeof detail], subject[sizeof detail];
    pattern_make(filter->detail, detail);
    pattern_make(filter->actor_part, actor);
    pattern_make(filter->subject_part, subject);
    return store_run(tx, LIST, read_named, &listing, store_int(filter->below), store_int(filter->after),
                     store_int(filter->before), store_text(filter->actor), store_text(filter->action),
                     store_text(filter->subject), store_text(filter->peer), store_text(filter->outcome),
                     store_text(detail), store_text(actor), store_text(subject), store_int(filter->limit));
}

enum status audit_row_page(struct store_tx *tx, int64_t after, int limit, audit_each_fn *each, void *arg)
{
    struct listing listing = {each, arg};
    return store_run(tx, "SELECT " AUDIT_COLUMNS " FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2",
                     read_event, &listing, store_int(after), store_int(limit));
}

enum status audit_row_trim(struct store_tx *tx, struct audit_anchor *anchor, int64_t now, const char *where)
{
    char detail[AUDIT_TRIM_DETAIL_MAX];
    audit_trim_detail(&anchor->place, detail);
    struct audit_event event = {.at = now,
                                .actor = "gatehoused",
                                .action = AUDIT_TRIM_ACTION,
                                .subject = where,
                                .outcome = "OK",
                                .detail = detail};
    TRY(audit_row_append(tx, &event));
    anchor->event = event.sequence;
    TRY(store_run(tx, "DELETE FROM audit WHERE sequence <= $1", NULL, NULL, store_int(anchor->place.sequence)));
    return instance_save_anchor(tx, anchor);
}

enum { VERIFY_ROWS = 10000 }; /* of one statement */

struct verifying {
    struct audit_place *place;
    struct audit_verdict *verdict;
    int64_t seen; /* of this statement */
};

/* An audit_each_fn. */
static enum status verify_event(const struct audit_event *event, void *arg)
{
    struct verifying *verifying = arg;
    struct audit_place *place = verifying->place;
    struct audit_verdict *verdict = verifying->verdict;
    uint8_t hash[SHA256_BYTES];
    verifying->seen++;
    if (verdict->broken != 0)
        return STATUS_OK;
    audit_hash(event, place->hash, hash);
    verdict->checked++;
    place->sequence++;
    if (event->sequence != place->sequence || !crypto_equal(hash, event->hash, SHA256_BYTES))
        verdict->broken = place->sequence;
    memcpy(place->hash, event->hash, SHA256_BYTES);
    return STATUS_OK;
}

/* An audit_each_fn, of the event that the anchor names: where it says what the anchor says, the anchor's event becomes
 * 0. */
static enum status check_signature(const struct audit_event *event, void *arg)
{
    struct audit_anchor *anchor = arg;
    char detail[AUDIT_TRIM_DETAIL_MAX];
    audit_trim_detail(&anchor->place, detail);
    if (event->sequence == anchor->event && strcmp(event->action, AUDIT_TRIM_ACTION) == 0 &&
        strcmp(event->detail, detail) == 0)
        anchor->event = 0;
    return STATUS_OK;
}

/* Where the chain begins. What was removed is only believed to have gone in its time if the chain itself, further on,
 * has the event that says so. */
static enum status begin(struct store_tx *tx, struct audit_place *place, struct audit_verdict *verdict)
{
    struct audit_anchor anchor;
    TRY(instance_load_anchor(tx, &anchor));
    verdict->first = anchor.place.sequence + 1;
    if (anchor.place.sequence == 0)
        return STATUS_OK;
    TRY(audit_row_page(tx, anchor.event - 1, 1, check_signature, &anchor));
    if (anchor.event != 0)
        verdict->broken = verdict->first;
    if (place->sequence < anchor.place.sequence)
        *place = anchor.place;
    return STATUS_OK;
}

enum status audit_row_verify(struct store_tx *tx, int64_t most, struct audit_place *place,
                             struct audit_verdict *ret_verdict)
{
    struct verifying verifying = {place, ret_verdict, 0};
    *ret_verdict = (struct audit_verdict){.broken = 0};
    TRY(counter_last(tx, "audit", &ret_verdict->last));
    TRY(begin(tx, place, ret_verdict));
    while (!ret_verdict->is_end && ret_verdict->broken == 0 && (most == 0 || ret_verdict->checked < most)) {
        int64_t left = most == 0 ? VERIFY_ROWS : most - ret_verdict->checked;
        int64_t rows = left < VERIFY_ROWS ? left : VERIFY_ROWS;
        verifying.seen = 0;
        TRY(audit_row_page(tx, place->sequence, (int)rows, verify_event, &verifying));
        ret_verdict->is_end = verifying.seen < rows || place->sequence == ret_verdict->last;
    }
    if (ret_verdict->is_end && ret_verdict->broken == 0 && place->sequence != ret_verdict->last)
        ret_verdict->broken = place->sequence + 1; /* the newest ones were removed */
    return STATUS_OK;
}
