/* SPDX-License-Identifier: Apache-2.0 */
/* Introspect, BatchIntrospect. */
#include "api/internal.h"
#include "base/must.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { REQUIRED_MAX = 32, BATCH_MAX = 100 }; /* as the contract says */
enum { NOT_THERE_RETRY_MS = 100 };

struct introspect_answer {
    Gatehouse__V1__IntrospectResponse message;
    Google__Protobuf__Timestamp issue_time;
    Google__Protobuf__Timestamp expire_time;
    Google__Protobuf__Duration idle_timeout;
    Google__Protobuf__Duration valid_for;
    Gatehouse__V1__Position position;
    char accessor[TOKEN_ACCESSOR_LEN + 1];
    Gatehouse__V1__EntryError error;
    char *missing[REQUIRED_MAX];
    char *roles[ROLES_MAX];
    char **networks; /* freed when it is sent */
};

/* What is asked of one token, alone or in a batch. */
struct asked {
    const char *token, *api;
    size_t required_count;
    char *const *required;
    bool is_use;
    int32_t use_count;
    const Google__Protobuf__Duration *used_ago;
    const Gatehouse__V1__Position *min_position;
    const char *peer;
};

/* The two messages have these fields by the same names. */
#define ASKED(request) \
    (struct asked) \
    { \
        (request)->token, (request)->api, (request)->n_required_roles, (request)->required_roles, \
            !(request)->no_touch, (request)->use_count == 0 ? 1 : (request)->use_count, (request)->used_ago, \
            (request)->min_position, (request)->peer \
    }

/* What depends on the settings of the moment, the contract cannot say. */
static bool is_too_long_ago(struct api *api, const struct asked *asked, struct introspection *question)
{
    if (asked->used_ago == NULL)
        return false;
    struct memory *memory = api->domain->memory;
    int64_t longest = directory_idle(memory->directory).most, idle = memory_settings(memory).idle_timeout;
    question->used_ago = read_duration(asked->used_ago, 0);
    return question->used_ago > (idle > longest ? idle : longest);
}

static bool read_peer(const char *peer, struct source *ret_source)
{
    ret_source->kind = peer[0] == '\0' ? SOURCE_NOT_TOLD : SOURCE_ADDRESS;
    return peer[0] == '\0' || address_parse_with_port(peer, strlen(peer), &ret_source->address);
}

/* false: *ret_violation says why not. */
static bool read_introspect(struct api *api, const struct asked *asked, struct introspection *question,
                            struct contract_violation *ret_violation)
{
    if (is_too_long_ago(api, asked, question)) {
        *ret_violation = (struct contract_violation){"used_ago", "used_ago is longer than any idle timeout"};
        return false;
    }
    if (!read_peer(asked->peer, &question->source)) {
        *ret_violation = (struct contract_violation){"peer", "peer is not an IP address, with or without a port"};
        return false;
    }
    for (size_t i = 0; i < asked->required_count; i++) {
        int role = directory_role_number(api->domain->memory->directory, asked->required[i]);
        if (role < 0)
            question->requires_unknown = true;
        else
            role_set_add(&question->required, role);
    }
    question->is_token = token_text_parse(asked->token, &question->key);
    question->api = asked->api;
    question->is_use = asked->is_use;
    question->use_count = asked->use_count;
    return true;
}

/* Of role_list_missing, within it. */
static int role_number(const void *directory, const char *id)
{
    return directory_role_number((struct directory *)(uintptr_t)directory, id);
}

static void list_missing(struct directory *directory, const struct introspection *introspection,
                         const struct asked *asked, struct introspect_answer *answer)
{
    answer->message.n_missing_roles = role_list_missing(&introspection->roles, asked->required, asked->required_count,
                                                        role_number, directory, answer->missing);
    answer->message.missing_roles = answer->missing;
}

/* In one piece of memory; NULL: there are none. */
static char **list_networks(const struct introspection *introspection)
{
    size_t count = (size_t)introspection->network_count;
    if (count == 0)
        return NULL;
    char **networks = must(malloc(count * (sizeof *networks + NETWORK_TEXT_MAX)));
    char *text = (char *)(networks + count);
    for (size_t i = 0; i < count; i++, text += NETWORK_TEXT_MAX) {
        network_format(&introspection->networks[i], text);
        networks[i] = text;
    }
    return networks;
}

static void make_answer(struct directory *directory, const struct introspection *introspection,
                        const struct asked *asked, struct introspect_answer *answer)
{
    Gatehouse__V1__IntrospectResponse *message = &answer->message;
    gatehouse__v1__introspect_response__init(message);
    answer->networks = NULL;
    message->active = introspection->is_active;
    if (introspection->verdict == SOURCE_REFUSED)
        message->refusal = GATEHOUSE__V1__USE_REFUSAL__USE_REFUSAL_SOURCE_ADDRESS;
    if (!introspection->is_active)
        return;
    message->allowed = introspection->is_allowed;
    message->client_id = (char *)(uintptr_t)introspection->client_id;
    message->credential_name = (char *)(uintptr_t)introspection->name;
    message->owner = (char *)(uintptr_t)introspection->owner;
    message->n_roles = answer_roles(directory, &introspection->roles, answer->roles);
    message->roles = answer->roles;
    list_missing(directory, introspection, asked, answer);
    message->issue_time = answer_time(&answer->issue_time, introspection->issued);
    message->expire_time = answer_time(&answer->expire_time, introspection->expires);
    message->idle_timeout = answer_duration(&answer->idle_timeout, introspection->idle_timeout);
    message->position = answer_position(&answer->position, introspection->position);
    message->valid_for = answer_duration(&answer->valid_for, introspection->valid_for);
    token_key_format(&introspection->key, answer->accessor);
    message->accessor = answer->accessor;
    message->networks = answer->networks = list_networks(introspection);
    message->n_networks = answer->networks == NULL ? 0 : (size_t)introspection->network_count;
}

/* One Introspect, or a batch, on its way. */
struct introspecting {
    struct calling calling; /* first: it is what caller_resolve gives back */
    ProtobufCClosure closure;
    const ProtobufCMessage *request;
    bool is_batch;
    size_t count;
    _Atomic size_t waiting;
    _Atomic int failure;
    struct introspection *questions;
    struct contract_violation *violations; /* of a batch: what is wrong with an entry; "": nothing */
    struct introspection single;
};

static struct introspecting *introspecting_new(struct api *api)
{
    struct introspecting *introspecting = atomic_exchange(&api->spare, NULL);
    if (introspecting == NULL)
        introspecting = must(malloc(sizeof *introspecting));
    introspecting->calling.is_look = introspecting->calling.is_read = false;
    introspecting->failure = STATUS_OK;
    introspecting->violations = NULL;
    return introspecting; /* the rest is set in auth_introspect, or before it is read */
}

static void introspecting_free(struct introspecting *introspecting)
{
    for (size_t i = 0; i < introspecting->count; i++)
        introspection_done(&introspecting->questions[i]);
    if (introspecting->questions != &introspecting->single)
        free(introspecting->questions);
    free(introspecting->violations);
    free(atomic_exchange(&introspecting->calling.api->spare, introspecting));
}

static struct asked asked_at(const struct introspecting *introspecting, size_t i)
{
    if (introspecting->is_batch)
        return ASKED(((const Gatehouse__V1__BatchIntrospectRequest *)introspecting->request)->requests[i]);
    return ASKED((const Gatehouse__V1__IntrospectRequest *)introspecting->request);
}

static bool is_wrong(const struct introspecting *introspecting, size_t i)
{
    return introspecting->violations != NULL && introspecting->violations[i].field[0] != '\0';
}

static void make_wrong(struct contract_violation *violation, struct introspect_answer *answer)
{
    static char reason[] = "INVALID_FIELD";
    gatehouse__v1__introspect_response__init(&answer->message);
    gatehouse__v1__entry_error__init(&answer->error);
    answer->error.reason = reason;
    answer->error.field = violation->field;
    answer->error.message = violation->why;
    answer->message.error = &answer->error;
}

static void answer_batch(struct introspecting *introspecting)
{
    Gatehouse__V1__BatchIntrospectResponse response = GATEHOUSE__V1__BATCH_INTROSPECT_RESPONSE__INIT;
    struct directory *directory = introspecting->calling.api->domain->memory->directory;
    size_t count = introspecting->count;
    struct introspect_answer *answers = must(calloc(count + 1, sizeof *answers));
    Gatehouse__V1__IntrospectResponse *messages[BATCH_MAX];
    for (size_t i = 0; i < count; i++) {
        struct asked asked = asked_at(introspecting, i);
        if (is_wrong(introspecting, i))
            make_wrong(&introspecting->violations[i], &answers[i]);
        else
            make_answer(directory, &introspecting->questions[i], &asked, &answers[i]);
        messages[i] = &answers[i].message;
    }
    response.n_responses = count;
    response.responses = messages;
    introspecting->closure(&response.base, introspecting->calling.call);
    for (size_t i = 0; i < count; i++)
        free(answers[i].networks);
    free(answers);
}

static void answer_introspecting(struct introspecting *introspecting)
{
    struct call *call = introspecting->calling.call;
    for (size_t i = 0; i < introspecting->count && introspecting->failure == STATUS_OK; i++)
        source_note_introspection(introspecting->calling.api, call, &introspecting->questions[i]);
    if (introspecting->failure != STATUS_OK) {
        answer_failure(call, (enum status)introspecting->failure);
        introspecting->closure(NULL, call);
    } else if (introspecting->is_batch) {
        answer_batch(introspecting);
    } else {
        struct introspect_answer answer;
        struct asked asked = asked_at(introspecting, 0);
        answer.message.n_missing_roles = 0;
        make_answer(introspecting->calling.api->domain->memory->directory, &introspecting->single, &asked, &answer);
        introspecting->closure(&answer.message.base, call);
        free(answer.networks);
    }
    introspecting_free(introspecting);
}

/* An introspect_done_fn, of each question that memory could not answer: on threads of the store's, several at a time.
 * The last one answers, and frees them all. */
static void one_loaded(enum status status, struct introspection *question)
{
    struct introspecting *introspecting = question->arg;
    if (status != STATUS_OK)
        introspecting->failure = (int)status;
    if (--introspecting->waiting == 0)
        answer_introspecting(introspecting);
}

static enum status read_single(struct introspecting *introspecting)
{
    struct calling *calling = &introspecting->calling;
    struct contract_violation violation;
    struct asked asked = asked_at(introspecting, 0);
    if (read_introspect(calling->api, &asked, &introspecting->single, &violation))
        return STATUS_OK;
    return call_fail_field(calling->call, violation.field, "INVALID_FIELD", "%s", violation.why);
}

/* An entry that is wrong is answered for itself; the others are as good as alone. */
static void read_batch(struct introspecting *introspecting, const struct contract_message *contract)
{
    const Gatehouse__V1__BatchIntrospectRequest *request =
        (const Gatehouse__V1__BatchIntrospectRequest *)introspecting->request;
    const struct contract_message *entry = contract->fields[0].message;
    introspecting->violations = must(calloc(introspecting->count, sizeof *introspecting->violations));
    for (size_t i = 0; i < introspecting->count; i++) {
        struct asked asked = asked_at(introspecting, i);
        if (contract_check(entry, &request->requests[i]->base, &introspecting->violations[i]))
            (void)read_introspect(introspecting->calling.api, &asked, &introspecting->questions[i],
                                  &introspecting->violations[i]);
    }
}

static enum status check_introspecting(struct introspecting *introspecting)
{
    struct calling *calling = &introspecting->calling;
    unsigned method = introspecting->is_batch ? METHOD_BATCH_INTROSPECT : METHOD_INTROSPECT;
    const struct contract_message *contract = auth_contract(calling->api, method);
    TRY(caller_check(calling->api, calling->call, &calling->caller,
                     calling->api->auth_contract->methods[method].requires));
    if (introspecting->is_batch) {
        read_batch(introspecting, contract);
        return STATUS_OK;
    }
    TRY(check_request(calling->call, contract, introspecting->request));
    return read_single(introspecting);
}

static void ask_questions(struct introspecting *introspecting)
{
    struct domain *domain = introspecting->calling.api->domain;
    struct introspection *missing[BATCH_MAX];
    size_t missing_count = 0;
    for (size_t i = 0; i < introspecting->count; i++)
        if (!is_wrong(introspecting, i) &&
            !introspect_in_memory(&domain->introspect, &introspecting->questions[i], introspecting->calling.now))
            missing[missing_count++] = &introspecting->questions[i];
    introspecting->waiting = missing_count;
    if (missing_count == 0) {
        answer_introspecting(introspecting);
        return;
    }
    for (size_t i = 0; i < missing_count; i++) {
        missing[i]->waits = call_waits;
        missing[i]->waiter = introspecting->calling.call;
        missing[i]->arg = introspecting;
    }
    introspect_all_in_store(&domain->introspect, missing, missing_count, one_loaded);
}

/* min_position */

static enum ring_place find_position(struct api *api, const Gatehouse__V1__Position *position)
{
    return ring_find(api->domain->memory->ring, (struct position){position->revision, position->change_id});
}

static enum status check_position(struct call *call, enum ring_place place)
{
    switch (place) {
    case RING_HAS_IT:
        break;
    case RING_IS_OTHER:
        return call_fail(call, STATUS_FAILED_PRECONDITION, "CHANGE_LOST",
                         "the database has another change in the place of min_position");
    case RING_IS_BEHIND:
        return call_fail(call, STATUS_FAILED_PRECONDITION, "POSITION_TOO_OLD",
                         "min_position is longer ago than this server remembers");
    case RING_IS_AHEAD:
        return call_fail_retry(call, STATUS_UNAVAILABLE, "NOT_THERE_YET", NOT_THERE_RETRY_MS,
                               "this server has not heard of min_position yet");
    }
    return STATUS_OK;
}

static void answer_or_ask(struct introspecting *introspecting, enum status status)
{
    if (status == STATUS_OK) {
        ask_questions(introspecting);
    } else {
        introspecting->failure = (int)status;
        answer_introspecting(introspecting);
    }
}

/* A store_done_fn, of current_wait: on a thread of the store's; or called at once. */
static void check_positions(enum status status, void *arg)
{
    struct introspecting *introspecting = arg;
    struct calling *calling = &introspecting->calling;
    for (size_t i = 0; i < introspecting->count && status == STATUS_OK; i++) {
        const Gatehouse__V1__Position *position = asked_at(introspecting, i).min_position;
        if (position != NULL)
            status = check_position(calling->call, find_position(calling->api, position));
    }
    answer_or_ask(introspecting, status);
}

/* Is there one that this server does not know, and others may have told the database? */
static bool must_look(const struct introspecting *introspecting)
{
    struct api *api = introspecting->calling.api;
    for (size_t i = 0; i < introspecting->count && api->domain->follow != NULL; i++) {
        const Gatehouse__V1__Position *position = asked_at(introspecting, i).min_position;
        if (position != NULL && find_position(api, position) != RING_HAS_IT)
            return true;
    }
    return false;
}

/* A caller_done_fn: on the call's thread, or one of the store's. */
static void introspect_caller_known(enum status status, struct calling *calling)
{
    struct introspecting *introspecting = (struct introspecting *)calling;
    if (status == STATUS_OK)
        status = check_introspecting(introspecting);
    if (status != STATUS_OK)
        answer_or_ask(introspecting, status);
    else if (!must_look(introspecting) || current_wait(calling->api, true, check_positions, introspecting))
        check_positions(STATUS_OK, introspecting);
}

static enum status authenticate_single(struct calling *calling, struct api *api, struct call *call,
                                       const Gatehouse__V1__IntrospectRequest *request)
{
    calling->api = api;
    calling->call = call;
    TRY(check_request(call, auth_contract(api, METHOD_INTROSPECT), &request->base));
    return caller_authenticate(calling, api, call, request->client_id, request->client_secret);
}

enum status auth_introspect(struct api *api, struct call *call, const ProtobufCMessage *request, bool is_batch,
                            ProtobufCClosure closure)
{
    size_t count = is_batch ? ((const Gatehouse__V1__BatchIntrospectRequest *)request)->n_requests : 1;
    struct introspecting *introspecting = introspecting_new(api);
    introspecting->closure = closure;
    introspecting->request = request;
    introspecting->is_batch = is_batch;
    introspecting->count = count;
    introspecting->questions =
        is_batch ? must(calloc(count, sizeof *introspecting->questions)) : &introspecting->single;
    for (size_t i = 0; i < count; i++)
        introspection_init(&introspecting->questions[i]);
    const Gatehouse__V1__IntrospectRequest *single = (const Gatehouse__V1__IntrospectRequest *)request;
    struct calling *calling = &introspecting->calling;
    if (!is_batch && (single->client_id[0] != '\0' || single->client_secret[0] != '\0'))
        introspect_caller_known(authenticate_single(calling, api, call, single), calling);
    else
        caller_resolve(calling, api, call, introspect_caller_known);
    return STATUS_OK;
}
