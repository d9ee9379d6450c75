/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: the audit log. */
#include "api/admin.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Where the caller sees a part of it: so many are looked at in one statement, and for one page, which may be short. */
enum { LOOK_ROWS = 1000, LOOK_MAX = 10000 };

struct audit_listing {
    struct admin_call *admin;
    int size;
    bool has_more;
    int64_t looked, last; /* how many, and at which last, shown or not */
    Gatehouse__V1__ListAuditEventsResponse *response;
};

/* What was done to a credential that the caller may change, and what it did itself. */
static bool is_visible(const struct admin_call *admin, const struct audit_event *event)
{
    const struct caller *caller = &admin->calling.caller;
    struct directory *directory = admin->calling.api->domain->memory->directory;
    struct credential_facts facts;
    bool may_touch = false;
    uint64_t turn;
    if (caller->reads_audit || strcmp(event->actor, caller->name) == 0)
        return true;
    do {
        turn = directory_begin(directory);
        const struct credential_entry *entry = directory_find(directory, event->subject);
        may_touch = entry != NULL && directory_grade(directory, &directory_facts(entry, &facts)->granted) == GRADE_NONE;
    } while (!directory_end(directory, turn));
    return may_touch;
}

/* An audit_each_fn, of look: within its statement. */
static enum status add_event(const struct audit_event *event, void *arg)
{
    struct audit_listing *listing = arg;
    struct arena *arena = &listing->admin->arena;
    listing->looked++;
    if (listing->has_more)
        return STATUS_OK;
    if (!is_visible(listing->admin, event)) {
        listing->last = event->sequence;
        return STATUS_OK;
    }
    if (listing->response->n_events == (size_t)listing->size) {
        listing->has_more = true;
        return STATUS_OK;
    }
    listing->last = event->sequence;
    Gatehouse__V1__AuditEvent *message = arena_new(arena, Gatehouse__V1__AuditEvent);
    gatehouse__v1__audit_event__init(message);
    message->sequence = event->sequence;
    message->event_time = admin_time(listing->admin, event->at);
    message->actor = arena_text(arena, event->actor);
    message->action = arena_text(arena, event->action);
    message->subject = arena_text(arena, event->subject);
    message->peer = arena_text(arena, event->peer);
    message->request_id = arena_text(arena, event->request_id);
    message->outcome = arena_text(arena, event->outcome);
    message->detail = arena_text(arena, event->detail);
    message->actor_name = arena_text(arena, event->actor_name);
    message->subject_name = arena_text(arena, event->subject_name);
    struct token_key hash;
    static_assert(sizeof hash.bytes == SHA256_BYTES);
    memcpy(hash.bytes, event->hash, SHA256_BYTES);
    message->hash = arena_alloc(arena, TOKEN_ACCESSOR_LEN + 1);
    token_key_format(&hash, message->hash);
    listing->response->events[listing->response->n_events++] = message;
    return STATUS_OK;
}

static const char *spell(struct arena *arena, const char *name)
{
    if (strlen(name) > CLIENT_ID_TEXT_MAX)
        return name;
    char *spelled = arena_alloc(arena, CLIENT_ID_TEXT_MAX + 1);
    client_id_spell(name, spelled);
    return spelled;
}

static enum status read_audit_filter(struct admin_call *admin, const char *text, struct audit_filter *ret_filter)
{
    static const char *const allowed[] = {"actor=", "action=", "subject=", "peer=",    "outcome=", "time<",
                                          "time>",  "detail:", "actor:",   "subject:", NULL};
    enum { NAMES = 2 }; /* of those below, which may be client IDs */
    struct filter filter;
    struct call *call = admin_fails(admin);
    TRY(filter_parse(call, &admin->arena, text, allowed, &filter));
    const struct {
        const char *field;
        const char **value;
    } texts[] = {
        {"actor", &ret_filter->actor}, {"subject", &ret_filter->subject}, {"action", &ret_filter->action},
        {"peer", &ret_filter->peer},   {"outcome", &ret_filter->outcome}, {"detail", &ret_filter->detail},
    };
    for (size_t i = 0; i < filter.count; i++) {
        const struct filter_term *term = &filter.terms[i];
        bool is_part = term->op == ':' && strcmp(term->field, "detail") != 0;
        if (is_part)
            *(term->field[0] == 'a' ? &ret_filter->actor_part : &ret_filter->subject_part) = term->value;
        for (size_t j = 0; !is_part && j < sizeof texts / sizeof texts[0]; j++)
            if (strcmp(term->field, texts[j].field) == 0)
                *texts[j].value = j < NAMES ? spell(&admin->arena, term->value) : term->value;
        int64_t *time = term->op == '<' ? &ret_filter->before : &ret_filter->after;
        if (strcmp(term->field, "time") == 0 && !filter_time(term->value, time))
            return call_fail_field(call, "filter", "INVALID_FIELD", "filter: time wants a time of RFC 3339");
    }
    return STATUS_OK;
}

/* A page of what the caller sees; has_more: there may be more behind listing->last. */
static enum status look(struct audit_listing *listing, struct audit_filter *filter)
{
    bool sees_all = listing->admin->calling.caller.reads_audit, is_end = false;
    filter->limit = sees_all ? listing->size + 1 : LOOK_ROWS;
    while (!is_end && !listing->has_more) {
        int64_t before = listing->looked;
        TRY(audit_row_list(listing->admin->work.tx, filter, add_event, listing));
        is_end = sees_all || listing->looked - before < LOOK_ROWS;
        listing->has_more |= !is_end && listing->looked >= LOOK_MAX;
        filter->below = listing->last;
    }
    return STATUS_OK;
}

enum status list_audit_events(struct admin_call *admin)
{
    const Gatehouse__V1__ListAuditEventsRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__ListAuditEventsResponse, gatehouse__v1__list_audit_events_response__init);
    struct audit_listing listing = {.admin = admin, .response = response};
    struct audit_filter filter = {.after = INT64_MIN, .before = INT64_MAX, .below = INT64_MAX};
    const char *cursor = NULL;
    listing.size = page_size(request->page_size);
    TRY(read_audit_filter(admin, request->filter, &filter));
    TRY(page_read(admin, request->page_token, request->filter, &cursor));
    if (cursor[0] != '\0')
        filter.below = strtoll(cursor, NULL, 10);
    response->events = arena_array(&admin->arena, Gatehouse__V1__AuditEvent *, (size_t)listing.size);
    TRY(look(&listing, &filter));
    if (listing.has_more)
        response->next_page_token =
            page_make(admin, request->filter, arena_format(&admin->arena, "%" PRId64, listing.last));
    return STATUS_OK;
}

/* "sequence:hash", of the last event that fitted. */
static char *write_place(struct admin_call *admin, const struct audit_place *place)
{
    struct token_key hash;
    char text[TOKEN_ACCESSOR_LEN + 1];
    memcpy(hash.bytes, place->hash, SHA256_BYTES);
    token_key_format(&hash, text);
    return arena_format(&admin->arena, "%" PRId64 ":%s", place->sequence, text);
}

static bool read_place(const char *cursor, struct audit_place *ret_place)
{
    struct token_key hash;
    char *end = NULL;
    *ret_place = (struct audit_place){.sequence = 0};
    if (cursor[0] == '\0')
        return true;
    ret_place->sequence = strtoll(cursor, &end, 10);
    if (*end != ':' || !token_key_parse(end + 1, &hash))
        return false;
    memcpy(ret_place->hash, hash.bytes, SHA256_BYTES);
    return true;
}

enum status verify_audit_log(struct admin_call *admin)
{
    const Gatehouse__V1__VerifyAuditLogRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__VerifyAuditLogResponse, gatehouse__v1__verify_audit_log_response__init);
    struct audit_place place;
    struct audit_verdict verdict;
    const char *cursor = NULL;
    TRY(page_read(admin, request->page_token, "", &cursor));
    if (!read_place(cursor, &place))
        return STATUS_INTERNAL;
    TRY(audit_row_verify(admin->work.tx, request->page_size, &place, &verdict));
    response->events_checked = verdict.checked;
    response->first_broken_sequence = verdict.broken;
    response->intact = verdict.broken == 0;
    response->total_size = verdict.last - verdict.first + 1;
    response->first_sequence = verdict.first;
    if (!verdict.is_end && response->intact)
        response->next_page_token = page_make(admin, "", write_place(admin, &place));
    return STATUS_OK;
}
