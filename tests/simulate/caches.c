/* SPDX-License-Identifier: Apache-2.0 */
#include "caches.h"

#include "calls.h"
#include "frame.h"
#include "own.h"
#include "random.h"

#include "api/internal.h"
#include "api/watch.h"
#include "base/epoch.h"

/* The client library and the server have a struct of this name each, and they never meet in one program but here. */
#define position client_position
#include "entries.h"
#include "memory.h"
#include "uses.h"
#undef position

#include <stdlib.h>
#include <string.h>

enum { CACHES = 2, PINGS = 64, ROOM = 4 };

struct stream {
    struct call call; /* first: it is what the closure is given */
    struct process *process;
    struct cache *cache; /* NULL: it was cut, and the process may not know */
    struct frame *up, *down;
    bool has_begun, wants_next, is_over; /* over: the process has said its last */
    void (*on_ready)(struct call *call);
    struct stream *next;
};

struct cache {
    struct caches *caches;
    int index;
    int64_t asked; /* the lease */
    struct memory *memory;
    struct frame *answers; /* each with its struct asking */
    struct stream *stream; /* NULL: there is none */
    bool has_first;
    int64_t lease, number, answered;
    int64_t times[PINGS];
};

/* A question that is under way. */
struct asking {
    struct cache *cache;
    struct memory_key key;
    int64_t sent;
};

struct caches {
    struct world *world;
    struct cache each[CACHES];
    struct stream *streams;
    int64_t began;
    bool is_slow; /* their clock, by a hundredth */
    int cuts;     /* in a hundred steps: none where a fault needs a stream that lasts */
};

static struct caches *current; /* memory's clock has no argument */

/* Clocks of two machines run differently (W9). */
static int64_t read_clock(void)
{
    int64_t passed = current->world->time - current->began;
    return current->is_slow ? passed - passed / 100 : passed;
}

struct caches *caches_new(struct world *world)
{
    struct caches *caches = calloc(1, sizeof *caches);
    if (caches == NULL)
        abort();
    caches->world = world;
    caches->began = world->time;
    caches->is_slow = random_chance(world->is_wide ? 50 : 30);
    caches->cuts = world->is_wide && random_chance(50) ? 0 : 5;
    for (int i = 0; i < CACHES; i++) {
        const struct siphash_key secret = {random_next(), random_next()};
        struct cache *cache = &caches->each[i];
        cache->caches = caches;
        cache->index = i;
        cache->asked = random_chance(30) ? CLOCK_SECOND : world->cache_lease;
        cache->memory = gatehouse_memory_new(random_chance(30) ? 2 : 100, cache->asked, &secret, read_clock,
                                             gatehouse_uses_new(100));
    }
    current = caches;
    return caches;
}

/* The process's end of a stream: what a transport does */

static struct stream *stream_of(const struct call *call)
{
    return (struct stream *)(uintptr_t)call;
}

static void converse(struct call *call, void (*on_half_closed)(struct call *call))
{
    (void)call, (void)on_half_closed;
}

static void read_next(struct call *call)
{
    stream_of(call)->wants_next = true;
}

static bool has_room(const struct call *call)
{
    int count = 0;
    for (const struct frame *frame = stream_of(call)->down; frame != NULL; frame = frame->next)
        count++;
    return count < ROOM;
}

static void set_on_ready(struct call *call, void (*on_ready)(struct call *call))
{
    stream_of(call)->on_ready = on_ready;
}

static void set_on_finish(struct call *call, void (*on_finish)(struct call *call))
{
    (void)call, (void)on_finish;
}

/* Also under the watcher's lock: nothing is called from here. */
static void told(const ProtobufCMessage *message, void *closure_data)
{
    struct stream *stream = closure_data;
    if (message == NULL)
        stream->is_over = true;
    else if (stream->cache != NULL)
        frame_add(&stream->down, message);
}

static void send_down(struct call *call, struct call_packed *packed)
{
    Gatehouse__V1__WatchResponse *message = gatehouse__v1__watch_response__unpack(NULL, packed->len, packed->bytes);
    told(&message->base, stream_of(call));
    gatehouse__v1__watch_response__free_unpacked(message, NULL);
}

static void serve_up(struct stream *stream)
{
    ProtobufCService *service = api_auth_service(stream->process->api);
    unsigned method = 0;
    while (strcmp(service->descriptor->methods[method].name, "Watch") != 0)
        method++;
    ProtobufCMessage *message = frame_read(stream->up, &gatehouse__v1__watch_request__descriptor);
    frame_drop(&stream->up);
    stream->has_begun = true;
    stream->wants_next = false;
    service->invoke(service, method, message, told, stream);
    protobuf_c_message_free_unpacked(message, NULL);
}

/* What is left of it goes when neither end knows it. True: it has gone. */
static bool stream_end(struct caches *caches, struct stream *stream)
{
    if (stream->cache != NULL || (stream->has_begun && !stream->is_over))
        return false;
    struct stream **link = &caches->streams;
    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
    frame_drop_all(&stream->up);
    frame_drop_all(&stream->down);
    free(stream);
    return true;
}

/* The process hears that its client has gone. */
static void tell_cut(struct stream *stream)
{
    if (stream->has_begun && !stream->is_over && stream->call.on_cancel != NULL)
        stream->call.on_cancel(&stream->call);
}

/* The cache's end */

static void cut(struct cache *cache)
{
    struct stream *stream = cache->stream;
    if (stream == NULL)
        return;
    world_say(cache->caches->world, "cache %d is cut off", cache->index);
    cache->stream = NULL;
    stream->cache = NULL;
    frame_drop_all(&stream->up);
    frame_drop_all(&stream->down);
    (void)stream_end(cache->caches, stream);
}

static Gatehouse__V1__Position *position_of(struct cache *cache, Gatehouse__V1__Position *ret_position)
{
    struct client_position position;
    gatehouse__v1__position__init(ret_position);
    if (!gatehouse_memory_position(cache->memory, &position))
        return NULL;
    ret_position->revision = position.revision;
    ret_position->change_id = position.change_id;
    return ret_position;
}

static void ping(struct cache *cache)
{
    Gatehouse__V1__WatchRequest request = GATEHOUSE__V1__WATCH_REQUEST__INIT;
    Gatehouse__V1__WatchPing message = GATEHOUSE__V1__WATCH_PING__INIT;
    Gatehouse__V1__Position reached;
    message.reached = cache->has_first ? position_of(cache, &reached) : NULL; /* C7: what has been applied */
    message.number = ++cache->number;
    request.kind_case = GATEHOUSE__V1__WATCH_REQUEST__KIND_PING;
    request.ping = &message;
    cache->times[cache->number % PINGS] = read_clock(); /* C2 */
    frame_add(&cache->stream->up, &request.base);
}

static void begin(struct cache *cache)
{
    Gatehouse__V1__WatchRequest request = GATEHOUSE__V1__WATCH_REQUEST__INIT;
    Gatehouse__V1__WatchBegin message = GATEHOUSE__V1__WATCH_BEGIN__INIT;
    Gatehouse__V1__Position since;
    Google__Protobuf__Duration lease = GOOGLE__PROTOBUF__DURATION__INIT;
    lease.seconds = cache->asked / CLOCK_SECOND;
    message.since = position_of(cache, &since); /* C7 */
    message.lease = &lease;
    request.kind_case = GATEHOUSE__V1__WATCH_REQUEST__KIND_BEGIN;
    request.begin = &message;
    frame_add(&cache->stream->up, &request.base);
}

static void connect_to(struct cache *cache, struct process *process)
{
    static const char *const identities[] = {"simulator", NULL};
    static const struct call_stream transport = {.converse = converse,
                                                 .read_next = read_next,
                                                 .send = send_down,
                                                 .has_room = has_room,
                                                 .on_ready = set_on_ready,
                                                 .on_finish = set_on_finish};
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        abort();
    world_say(cache->caches->world, "cache %d connects to %d", cache->index, process->index);
    stream->call = (struct call){
        .method = "Watch", .peer = "", .identities = identities, .deadline = INT64_MAX, .stream = &transport};
    stream->process = process;
    stream->cache = cache;
    stream->next = cache->caches->streams;
    cache->caches->streams = stream;
    cache->stream = stream;
    cache->has_first = false;
    cache->answered = cache->number;
    begin(cache);
    ping(cache);
}

static bool is_reached(struct cache *cache, const Gatehouse__V1__Position *position)
{
    struct client_position reached;
    return gatehouse_memory_position(cache->memory, &reached) && reached.revision == position->revision &&
           reached.change_id == position->change_id;
}

static bool obey_pong(struct cache *cache, int64_t number, const Gatehouse__V1__Position *position)
{
    bool is_ours = number > cache->answered && number <= cache->number && number > cache->number - PINGS;
    if (!is_ours || !is_reached(cache, position))
        return false;
    cache->answered = number;
    gatehouse_memory_pong(cache->memory, cache->times[number % PINGS], cache->lease);
    return true;
}

static bool obey_events(struct cache *cache, const Gatehouse__V1__WatchEvents *events,
                        const Gatehouse__V1__Position *position)
{
    for (size_t i = 0; i < events->n_events; i++)
        if (!gatehouse_memory_event(cache->memory, events->events[i]))
            return false;
    return is_reached(cache, position);
}

static bool obey(struct cache *cache, const Gatehouse__V1__WatchResponse *response)
{
    bool is_first = !cache->has_first;
    const struct client_position position = {response->position->revision, response->position->change_id};
    if (is_first)
        cache->lease = response->lease->seconds * CLOCK_SECOND + response->lease->nanos / 1000;
    cache->has_first = true;
    switch (response->kind_case) {
    case GATEHOUSE__V1__WATCH_RESPONSE__KIND_RESUMED:
        return is_first && gatehouse_memory_resumed(cache->memory, &position);
    case GATEHOUSE__V1__WATCH_RESPONSE__KIND_RESET:
        gatehouse_memory_reset(cache->memory, &position);
        return true;
    case GATEHOUSE__V1__WATCH_RESPONSE__KIND_EVENTS:
        return !is_first && obey_events(cache, response->events, response->position);
    case GATEHOUSE__V1__WATCH_RESPONSE__KIND_PONG:
        return !is_first && obey_pong(cache, response->pong->number, response->position);
    case GATEHOUSE__V1__WATCH_RESPONSE__KIND__NOT_SET:
    case _GATEHOUSE__V1__WATCH_RESPONSE__KIND__CASE_IS_INT_SIZE:
        break;
    }
    return false;
}

static void hear(struct cache *cache)
{
    struct stream *stream = cache->stream;
    ProtobufCMessage *message = frame_read(stream->down, &gatehouse__v1__watch_response__descriptor);
    const Gatehouse__V1__WatchResponse *response = (const Gatehouse__V1__WatchResponse *)message;
    frame_drop(&stream->down);
    bool is_right = obey(cache, response);
    world_say(cache->caches->world, "cache %d hears %d at %lld", cache->index, (int)response->kind_case,
              (long long)response->position->revision);
    protobuf_c_message_free_unpacked(message, NULL);
    if (!is_right) { /* what the real server never says */
        world_fail(cache->caches->world, "cache %d is told what cannot be", cache->index);
        gatehouse_memory_forget(cache->memory);
        cut(cache);
    } else if (!stream->is_over && stream->on_ready != NULL) {
        stream->on_ready(&stream->call);
    }
}

/* One of the answers that are on their way comes, or is lost. */
static void take_answer(struct cache *cache)
{
    struct frame **link = &cache->answers;
    int count = 0;
    for (const struct frame *frame = cache->answers; frame != NULL; frame = frame->next)
        count++;
    for (int skip = random_below(count); skip > 0; skip--)
        link = &(*link)->next;
    ProtobufCMessage *message = frame_read(*link, &gatehouse__v1__introspect_response__descriptor);
    const struct asking *asking = (*link)->data;
    if (!random_chance(5))
        gatehouse_memory_keep(cache->memory, &asking->key, (const Gatehouse__V1__IntrospectResponse *)message,
                              asking->sent);
    protobuf_c_message_free_unpacked(message, NULL);
    frame_drop(link);
}

static void cache_step(struct cache *cache)
{
    struct world *world = cache->caches->world;
    struct stream *stream = cache->stream;
    if (cache->answers != NULL && random_chance(40)) {
        take_answer(cache);
    } else if (stream == NULL) {
        struct process *process = &world->processes[random_below(world->process_count)];
        if (process->is_up)
            connect_to(cache, process);
    } else if (stream->down != NULL && random_chance(60)) {
        hear(cache);
    } else if (stream->up != NULL && (stream->wants_next || !stream->has_begun) && random_chance(70)) {
        serve_up(stream);
    } else if (stream->is_over && stream->down == NULL) {
        cut(cache);
    } else if (random_chance(cache->caches->cuts)) {
        cut(cache);
    } else if (stream->up == NULL) {
        ping(cache);
    } else {
        gatehouse_memory_tidy(cache->memory);
    }
}

void caches_step(struct caches *caches)
{
    for (struct stream *stream = caches->streams, *next; stream != NULL; stream = next) {
        next = stream->next;
        if (stream->cache == NULL && random_chance(20))
            tell_cut(stream);
        (void)stream_end(caches, stream);
    }
    cache_step(&caches->each[random_below(CACHES)]);
}

void caches_cut(struct caches *caches)
{
    struct cache *cache = &caches->each[random_below(CACHES)];
    if (cache->stream != NULL)
        tell_cut(cache->stream);
    cut(cache);
}

/* Questions */

static void answered(struct sim_call *call, const ProtobufCMessage *message)
{
    const struct asking *asking = call->data;
    struct asking *copy = malloc(sizeof *copy);
    if (copy == NULL)
        abort();
    *copy = *asking;
    frame_add(&asking->cache->answers, message)->data = copy;
}

static void ended(struct sim_call *call)
{
    free(call->data);
}

/* As cache.c does it. */
static bool is_within(const struct entry *entry, const char *peer)
{
    struct source source = source_of(peer == NULL ? "" : peer);
    return peer == NULL || source_judge(&entry->sources, &source) == SOURCE_WITHIN;
}

void caches_ask(struct caches *caches, int token, int process)
{
    const char *peer = own_peer(caches->world);
    struct cache *cache = &caches->each[random_below(CACHES)];
    const char *text = caches->world->model.tokens[token].text;
    struct memory_key key = gatehouse_memory_key(cache->memory, text);
    struct hit hit;
    epoch_enter();
    bool is_hit = gatehouse_memory_find(cache->memory, &key, NULL, &hit) && is_within(hit.entry, peer);
    epoch_leave();
    if (is_hit) {
        world_say(caches->world, "cache %d says that token %d is active", cache->index, token);
        world_note(caches->world, (uint64_t)token);
        int64_t most = caches->world->cache_lease;
        model_hit(caches->world, cache->index, cache->asked < most ? cache->asked : most, token, peer);
        return;
    }
    struct sim_call *call = call_make(caches->world, process, CALL_LOOK, token, -1);
    if (call == NULL)
        return;
    struct asking *asking = malloc(sizeof *asking);
    if (asking == NULL)
        abort();
    *asking = (struct asking){cache, key, read_clock()}; /* C1: before it is sent */
    call->peer = peer;
    call->data = asking;
    call->with = answered;
    call->then = ended;
    call_begin(call);
}

/* Processes */

void caches_serve(struct process *process)
{
    if (process->is_up)
        watch_round(process->api->watch);
}

/* Who waits for everywhere is told when that has passed, whoever hears it; then the watch may go. */
void caches_lose(struct world *world, struct process *process, int64_t passes)
{
    struct caches *caches = world->caches;
    for (struct stream *stream = caches == NULL ? NULL : caches->streams, *next; stream != NULL; stream = next) {
        next = stream->next;
        if (stream->process != process)
            continue;
        tell_cut(stream);
        stream->is_over = true;
        if (stream->cache != NULL)
            cut(stream->cache);
        else
            (void)stream_end(caches, stream);
    }
    clock_advance(process->clock, passes);
    watch_round(process->api->watch);
}

void caches_free(struct caches *caches)
{
    if (caches == NULL)
        return;
    for (int i = 0; i < CACHES; i++) {
        cut(&caches->each[i]);
        frame_drop_all(&caches->each[i].answers);
        gatehouse_memory_free(caches->each[i].memory);
    }
    current = NULL;
    free(caches);
}
