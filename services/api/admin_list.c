/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListCredentials. The store has an index for each order, along which the list is walked; what is known of each one in
 * memory says whether it is wanted. A page costs what it walks over, not what there is.
 */
#include "api/admin.h"
#include "base/utf8.h"
#include "records/credential_place.h"
#include "rules/label.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CHUNK = 1000 }; /* places of one statement */

struct place {
    char *name;
    int64_t value;
    int64_t id;
};

struct listing {
    struct admin_call *admin;
    struct filter filter;
    enum credential_order order;
    bool is_descending;
    int64_t from,
        to; /* in the order of expiry: what comes later than `from`, and, with has_to, before `to` is wanted */
    bool has_to;
    bool is_past; /* nothing that is wanted comes any more */
    bool counts;  /* all that there are: on the first page */
    size_t size;
    int64_t *ids; /* of the page */
    size_t count;
    struct place last; /* of the page */
    bool has_more;
    int64_t total;
};

/* Places, in an arena of their own. */
struct chunk {
    struct arena arena;
    struct place *places;
    size_t count, size;
};

static const struct {
    const char *name;
    enum credential_state state;
} states[] = {{"active", CREDENTIAL_LIVE},
              {"expired", CREDENTIAL_EXPIRED},
              {"suspended", CREDENTIAL_SUSPENDED},
              {"deleted", CREDENTIAL_DELETED}};

static bool is_status(const char *text)
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(text, states[i].name) == 0)
            return true;
    return strcmp(text, "any") == 0;
}

static bool has_status(const struct credential_facts *facts, const char *status, int64_t now)
{
    enum credential_state state = credential_state(facts->deleted, facts->suspended, facts->expires, now);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(status, states[i].name) == 0)
            return state == states[i].state;
    return true; /* any */
}

/* "labels.team" = or : "payments". */
static bool has_label(const char *labels, const struct filter_term *term)
{
    const char *key = term->field + strlen("labels.");
    struct label label;
    if (!label_find(labels, key, strlen(key), &label))
        return false;
    if (term->op == '=')
        return label.value_len == strlen(term->value) && strncmp(label.value, term->value, label.value_len) == 0;
    char value[LABEL_VALUE_MAX + 1];
    snprintf(value, sizeof value, "%.*s", (int)label.value_len, label.value);
    return utf8_contains(value, term->value);
}

static bool matches(const struct listing *listing, const struct credential_facts *facts, const struct filter_term *term)
{
    int64_t time = 0, now = listing->admin->work.now;
    if (strcmp(term->field, "name") == 0)
        return utf8_contains(facts->name, term->value);
    if (strcmp(term->field, "contact") == 0)
        return utf8_contains(facts->contact, term->value);
    if (strncmp(term->field, "labels.", strlen("labels.")) == 0)
        return has_label(facts->labels, term);
    if (strcmp(term->field, "owner") == 0)
        return strcmp(facts->owner, term->value) == 0;
    if (strcmp(term->field, "client_id") == 0)
        return strcasecmp(facts->client_id, term->value) == 0;
    if (strcmp(term->field, "status") == 0)
        return has_status(facts, term->value, now);
    if (strcmp(term->field, "expires") == 0)
        return filter_time(term->value, &time) && facts->expires != 0 && facts->expires < time;
    int role = directory_role_number(listing->admin->calling.api->domain->memory->directory, term->value);
    const struct role_set *roles = strcmp(term->field, "role") == 0 ? &facts->effective : &facts->granted;
    return role >= 0 && role_set_has(roles, role);
}

static const char *value_of(const struct filter *filter, const char *field)
{
    for (size_t i = 0; i < filter->count; i++)
        if (strcmp(filter->terms[i].field, field) == 0)
            return filter->terms[i].value;
    return NULL;
}

static bool matches_all(const struct listing *listing, const struct credential_facts *facts)
{
    for (size_t i = 0; i < listing->filter.count; i++)
        if (!matches(listing, facts, &listing->filter.terms[i]))
            return false;
    return facts->deleted == 0 || value_of(&listing->filter, "status") != NULL;
}

static bool is_wanted(const struct listing *listing, int64_t id)
{
    struct directory *directory = listing->admin->calling.api->domain->memory->directory;
    struct credential_facts facts;
    bool is_one = false;
    uint64_t turn;
    do {
        turn = directory_begin(directory);
        const struct credential_entry *entry = directory_find_id(directory, id);
        is_one = entry != NULL && matches_all(listing, directory_facts(entry, &facts));
    } while (!directory_end(directory, turn));
    return is_one;
}

/* A credential_place_fn. */
static enum status keep(const struct credential_place *place, void *arg)
{
    struct chunk *chunk = arg;
    if (chunk->count == chunk->size) {
        chunk->size = chunk->size == 0 ? 64 : 2 * chunk->size;
        struct place *places = arena_array(&chunk->arena, struct place, chunk->size);
        if (chunk->count > 0)
            memcpy(places, chunk->places, chunk->count * sizeof *places);
        chunk->places = places;
    }
    chunk->places[chunk->count++] = (struct place){arena_text(&chunk->arena, place->name), place->value, place->id};
    return STATUS_OK;
}

static void take(struct listing *listing, const struct place *place)
{
    if (listing->order == CREDENTIAL_BY_EXPIRY)
        listing->is_past |=
            listing->is_descending ? place->value <= listing->from : listing->has_to && place->value >= listing->to;
    if (listing->is_past)
        return;
    if (!is_wanted(listing, place->id))
        return;
    listing->total++;
    if (listing->count == listing->size) {
        listing->has_more = true;
        return;
    }
    listing->ids[listing->count++] = place->id;
    listing->last = *place;
    listing->last.name = arena_text(&listing->admin->arena, place->name);
}

/* Along the order, from a place on, until the page is full, or, where all are counted, to the end. */
static enum status walk(struct listing *listing, const struct place *after)
{
    struct chunk chunks[2] = {0}; /* this one, and the one before it, in which the place is after which it begins */
    int limit = listing->filter.count == 0 ? (int)listing->size + 1 : CHUNK;
    enum status status = STATUS_OK;
    bool is_end = false;
    for (int i = 0; status == STATUS_OK && !is_end; i = !i) {
        struct chunk *chunk = &chunks[i];
        struct credential_place from = {0};
        if (after != NULL)
            from = (struct credential_place){after->name, after->value, after->id};
        arena_done(&chunk->arena);
        *chunk = (struct chunk){0};
        status = credential_place_walk(listing->admin->work.tx, listing->order, listing->is_descending,
                                       after == NULL ? NULL : &from, limit, keep, chunk);
        for (size_t j = 0; j < chunk->count; j++)
            take(listing, &chunk->places[j]);
        is_end = chunk->count < (size_t)limit || listing->is_past || (listing->has_more && !listing->counts);
        if (chunk->count > 0)
            after = &chunk->places[chunk->count - 1];
        limit = CHUNK;
    }
    arena_done(&chunks[0].arena);
    arena_done(&chunks[1].arena);
    return status;
}

static int compare(const void *a, const void *b, void *arg)
{
    const struct listing *listing = arg;
    const struct place *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    if (order == 0)
        order = (left->value > right->value) - (left->value < right->value);
    if (order == 0)
        order = (left->id > right->id) - (left->id < right->id);
    return listing->is_descending ? -order : order;
}

/* Of one client ID, or of one owner: these, sorted. */
static enum status pick(struct listing *listing, const char *client_id, const char *owner, const struct place *after)
{
    struct chunk chunk = {0};
    char spelled[CLIENT_ID_TEXT_MAX + 1] = "";
    if (client_id != NULL && strlen(client_id) <= CLIENT_ID_TEXT_MAX)
        client_id_spell(client_id, spelled);
    enum status status = client_id != NULL
                             ? credential_place_of(listing->admin->work.tx, listing->order, spelled, keep, &chunk)
                             : credential_place_of_owner(listing->admin->work.tx, listing->order, owner, keep, &chunk);
    if (chunk.count > 0)
        qsort_r(chunk.places, chunk.count, sizeof *chunk.places, compare, listing);
    for (size_t i = 0; i < chunk.count; i++)
        if (after == NULL || compare(&chunk.places[i], after, listing) > 0)
            take(listing, &chunk.places[i]);
    arena_done(&chunk.arena);
    return status;
}

static enum status read_order(struct call *call, const char *text, struct listing *listing)
{
    static const char *const names[] = {"name", "create_time", "expire_time", "last_use_time"};
    if (text[0] == '\0')
        return STATUS_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t len = strlen(names[i]);
        if (strncmp(text, names[i], len) != 0)
            continue;
        listing->order = (enum credential_order)i;
        listing->is_descending = strcmp(text + len, " desc") == 0;
        if (text[len] == '\0' || listing->is_descending)
            return STATUS_OK;
    }
    return call_fail_field(call, "order_by", "INVALID_FIELD",
                           "order_by is name, create_time, expire_time or last_use_time, and ' desc' if wanted");
}

static enum status check_filter_values(struct call *call, const struct filter *filter)
{
    int64_t time = 0;
    for (size_t i = 0; i < filter->count; i++) {
        const struct filter_term *term = &filter->terms[i];
        if (strcmp(term->field, "expires") == 0 && !filter_time(term->value, &time))
            return call_fail_field(call, "filter", "INVALID_FIELD", "filter: expires wants a time of RFC 3339");
        if (strcmp(term->field, "status") == 0 && !is_status(term->value))
            return call_fail_field(call, "filter", "INVALID_FIELD",
                                   "filter: a status is active, expired, suspended, deleted or any");
    }
    return STATUS_OK;
}

/* "value:id:name", of the last one before. */
static struct place read_cursor(char *cursor)
{
    char *end = NULL;
    struct place place = {.value = strtoll(cursor, &end, 10)};
    place.id = *end == ':' ? strtoll(end + 1, &end, 10) : 0;
    place.name = *end == ':' ? end + 1 : end;
    return place;
}

struct filling {
    struct admin_call *admin;
    Gatehouse__V1__ListCredentialsResponse *response;
};

/* A credential_each_fn. */
static enum status add_credential(struct credential *credential, void *arg)
{
    const struct filling *filling = arg;
    filling->response->credentials[filling->response->n_credentials++] = admin_credential(filling->admin, credential);
    return STATUS_OK;
}

static enum status fill(struct listing *listing, Gatehouse__V1__ListCredentialsResponse *response)
{
    struct admin_call *admin = listing->admin;
    struct filling filling = {admin, response};
    response->credentials = arena_array(&admin->arena, Gatehouse__V1__Credential *, listing->size);
    return credential_row_each(admin->work.tx, listing->ids, listing->count, admin->work.now, add_credential, &filling);
}

/* What is active has not expired; expires< says before when it does. True: the walk begins behind *ret_place. */
static bool find_bounds(struct listing *listing, struct place *ret_place)
{
    const char *status = value_of(&listing->filter, "status"), *before = value_of(&listing->filter, "expires");
    listing->from = INT64_MIN;
    if (listing->order != CREDENTIAL_BY_EXPIRY)
        return false;
    if (status != NULL && strcmp(status, "active") == 0)
        listing->from = listing->admin->work.now;
    listing->has_to = before != NULL && filter_time(before, &listing->to);
    *ret_place = listing->is_descending ? (struct place){NULL, listing->to, INT64_MIN}
                                        : (struct place){NULL, listing->from, INT64_MAX};
    return listing->is_descending ? listing->has_to : listing->from != INT64_MIN;
}

static enum status find(struct listing *listing, const char *cursor)
{
    struct place after = {0}, first = {0};
    bool is_bounded = find_bounds(listing, &first);
    const char *client_id = value_of(&listing->filter, "client_id"), *owner = value_of(&listing->filter, "owner");
    if (cursor[0] != '\0')
        after = read_cursor(arena_text(&listing->admin->arena, cursor));
    bool is_first = cursor[0] == '\0', is_narrow = client_id != NULL || (owner != NULL && owner[0] != '\0');
    listing->counts = is_first && listing->filter.count > 0;
    const struct place *from = is_first ? NULL : &after;
    TRY(is_narrow ? pick(listing, client_id, owner, from) : walk(listing, is_first && is_bounded ? &first : from));
    if (is_first && !listing->counts) /* without a walk over all of them */
        listing->total = directory_count(listing->admin->calling.api->domain->memory->directory);
    return STATUS_OK;
}

enum status list_credentials(struct admin_call *admin)
{
    static const char *const allowed[] = {"name:",    "role=",    "granted=", "owner=",   "client_id=", "status=",
                                          "expires<", "contact:", "labels.=", "labels.:", NULL};
    const Gatehouse__V1__ListCredentialsRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__ListCredentialsResponse, gatehouse__v1__list_credentials_response__init);
    struct call *call = admin_fails(admin);
    const char *cursor = NULL;
    struct listing listing = {.admin = admin, .size = (size_t)page_size(request->page_size)};
    TRY(filter_parse(call, &admin->arena, request->filter, allowed, &listing.filter));
    TRY(check_filter_values(call, &listing.filter));
    TRY(read_order(call, request->order_by, &listing));
    const char *query = arena_format(&admin->arena, "%s\n%s", request->filter, request->order_by);
    TRY(page_read(admin, request->page_token, query, &cursor));
    listing.ids = arena_array(&admin->arena, int64_t, listing.size);
    TRY(find(&listing, cursor));
    TRY(fill(&listing, response));
    if (cursor[0] == '\0')
        response->total_size = listing.total;
    if (listing.has_more)
        response->next_page_token = page_make(admin, query,
                                              arena_format(&admin->arena, "%" PRId64 ":%" PRId64 ":%s",
                                                           listing.last.value, listing.last.id, listing.last.name));
    return STATUS_OK;
}
