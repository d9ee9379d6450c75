/* SPDX-License-Identifier: Apache-2.0 */
/* What streams of Watch share of the ring. */
#include "api/watch_batch.h"
#include "fixture.h"

#include <gatehouse/v1/auth.pb-c.h>

struct scene {
    struct ring *ring;
    struct watch_batches batches;
};

/* A reader of the ring, and what it was told last. */
struct reader {
    struct ring_cursor cursor;
    struct position position;
    struct watch_batch *batch;
    enum ring_cause cause;
};

static void open_scene(struct scene *scene)
{
    scene->ring = ring_new();
    watch_batches_init(&scene->batches);
}

static void close_scene(struct scene *scene)
{
    watch_batches_done(&scene->batches);
    ring_free(scene->ring);
}

static void add(struct scene *scene, int64_t from, int64_t to)
{
    for (int64_t revision = from; revision <= to; revision++) {
        struct ring_event event = {.position = {revision, 10 * revision}, .kind = RING_TOKEN};
        memset(&event.token, (int)revision, sizeof event.token);
        if (revision % 3 == 0) {
            event.kind = RING_CREDENTIAL;
            memset(event.client_id, 'c', CLIENT_ID_LEN);
            event.client_id[CLIENT_ID_LEN] = '\0';
        }
        ring_add(scene->ring, &event);
    }
}

static struct reader begin(struct scene *scene)
{
    struct reader reader = {.position = {0, 0}};
    assert_true(ring_begin(scene->ring, &reader.position, &reader.cursor));
    return reader;
}

static enum ring_reading read_on(struct scene *scene, struct reader *reader)
{
    enum ring_reading reading = watch_batch_read(&scene->batches, scene->ring, &reader->cursor, &reader->position,
                                                 &reader->batch, &reader->cause);
    if (reading == RING_EVENTS_READ)
        watch_batch_release(&scene->batches, reader->batch); /* the batches have it still */
    return reading;
}

static void who_stands_at_one_place_is_told_one_message(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene);
    add(&scene, 1, 300);
    struct reader first = begin(&scene), second = begin(&scene);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_on(&scene, &first), RING_EVENTS_READ);
        assert_int_equal(first.batch->count, i < 2 ? WATCH_BATCH_EVENTS : 300 - 2 * WATCH_BATCH_EVENTS);
        assert_int_equal(first.position.revision, first.batch->events[first.batch->count - 1].position.revision);
    }
    struct watch_batch *last = first.batch;
    assert_int_equal(read_on(&scene, &first), RING_NOTHING_NEW);
    add(&scene, 301, 301);
    for (int i = 0; i < 3; i++)
        assert_int_equal(read_on(&scene, &second), RING_EVENTS_READ);
    assert_ptr_equal(second.batch, last);
    assert_int_equal(second.position.revision, 300);
    assert_int_equal(second.position.change_id, 3000);
    assert_int_equal(read_on(&scene, &second), RING_EVENTS_READ); /* what came later, for both */
    assert_int_equal(read_on(&scene, &first), RING_EVENTS_READ);
    assert_ptr_equal(first.batch, second.batch);
    assert_int_equal(first.batch->count, 1);
    close_scene(&scene);
}

static void a_message_says_what_the_ring_has(void **state)
{
    (void)state;
    struct scene scene;
    char accessor[TOKEN_ACCESSOR_LEN + 1];
    open_scene(&scene);
    add(&scene, 1, WATCH_BATCH_EVENTS);
    struct reader reader = begin(&scene);
    assert_int_equal(read_on(&scene, &reader), RING_EVENTS_READ);
    const struct call_packed *packed = reader.batch->told;
    assert_true(packed->len <= 16384);
    Gatehouse__V1__WatchResponse *told = gatehouse__v1__watch_response__unpack(NULL, packed->len, packed->bytes);
    assert_non_null(told);
    assert_int_equal(told->kind_case, GATEHOUSE__V1__WATCH_RESPONSE__KIND_EVENTS);
    assert_int_equal(told->position->revision, WATCH_BATCH_EVENTS);
    assert_int_equal(told->position->change_id, 10 * WATCH_BATCH_EVENTS);
    assert_int_equal(told->events->n_events, WATCH_BATCH_EVENTS);
    for (size_t i = 0; i < WATCH_BATCH_EVENTS; i++) {
        const Gatehouse__V1__WatchEvent *event = told->events->events[i];
        const struct ring_event *of = &reader.batch->events[i];
        assert_int_equal(event->position->revision, i + 1);
        assert_int_equal(event->position->change_id, 10 * (i + 1));
        token_key_format(&of->token, accessor);
        assert_string_equal(event->accessor, of->kind == RING_TOKEN ? accessor : "");
        assert_string_equal(event->client_id, of->kind == RING_CREDENTIAL ? of->client_id : "");
    }
    gatehouse__v1__watch_response__free_unpacked(told, NULL);
    close_scene(&scene);
}

/* W6 */
static void of_a_ring_that_was_restarted_nothing_more_is_told(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene);
    add(&scene, 1, 5);
    struct reader first = begin(&scene), second = begin(&scene);
    assert_int_equal(read_on(&scene, &first), RING_EVENTS_READ);
    ring_restart(scene.ring, (struct position){3, 33}, RING_IS_OF_ANOTHER_HISTORY);
    assert_int_equal(read_on(&scene, &second), RING_WAS_RESTARTED);
    assert_int_equal(second.cause, RING_IS_OF_ANOTHER_HISTORY);
    assert_int_equal(second.position.revision, 3);
    assert_int_equal(second.position.change_id, 33);
    assert_int_equal(read_on(&scene, &first), RING_WAS_RESTARTED);
    close_scene(&scene);
}

/* The oldest message gives way to the newest, and who has one may read it to its end. */
static void a_message_lasts_as_long_as_somebody_has_it(void **state)
{
    (void)state;
    struct scene scene;
    struct watch_batch *held;
    enum ring_cause cause;
    open_scene(&scene);
    add(&scene, 1, 1);
    struct reader early = begin(&scene), late = begin(&scene);
    assert_int_equal(watch_batch_read(&scene.batches, scene.ring, &early.cursor, &early.position, &held, &cause),
                     RING_EVENTS_READ);
    for (int64_t revision = 2; revision < 2 + WATCH_BATCHES_RECENT; revision++) {
        add(&scene, revision, revision);
        assert_int_equal(read_on(&scene, &early), RING_EVENTS_READ);
    }
    assert_int_equal(held->events[0].position.revision, 1);
    assert_int_equal(read_on(&scene, &late), RING_EVENTS_READ); /* of all that came since: made anew */
    assert_int_equal(late.batch->count, 1 + WATCH_BATCHES_RECENT);
    watch_batch_release(&scene.batches, held);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_stands_at_one_place_is_told_one_message),
        cmocka_unit_test(a_message_says_what_the_ring_has),
        cmocka_unit_test(of_a_ring_that_was_restarted_nothing_more_is_told),
        cmocka_unit_test(a_message_lasts_as_long_as_somebody_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
