/* SPDX-License-Identifier: Apache-2.0 */
/* In which order a stream of Watch is told what it is told, whenever its peer makes room. */
#include "api/watcher.h"
#include "fixture.h"

#include <string.h>

enum { TOLD_MAX = 8 };

static struct {
    Gatehouse__V1__WatchResponse__KindCase told[TOLD_MAX];
    int count;
    int full_for; /* as often as that it is asked for room in vain */
} peer;

static bool has_room(const struct call *call)
{
    (void)call;
    return peer.full_for == 0 || peer.full_for-- == 0;
}

static void read_next(struct call *call)
{
    (void)call;
}

static void closure(const ProtobufCMessage *message, void *data)
{
    const Gatehouse__V1__WatchResponse *response = (const Gatehouse__V1__WatchResponse *)message;
    (void)data;
    assert_in_range(peer.count, 0, TOLD_MAX - 1);
    peer.told[peer.count++] = response->kind_case;
}

static const struct call_stream stream = {.read_next = read_next, .has_room = has_room};

/* W6, W7: a server whose history has become another one, with a smaller number; then a ping comes, behind what its
 * cache has obeyed by number. Its pong must not come before the reset, though room was made between two looks. */
static void a_pong_never_overtakes_a_reset(void **state)
{
    (void)state;
    for (int full_for = 0; full_for < 3; full_for++) {
        struct call call = {.stream = &stream};
        struct watch watch = {.ring = ring_new()};
        struct watcher watcher = {.watch = &watch, .call = &call, .closure = closure, .has_begun = true};
        struct ring_event event = {.position = {1000, 7}, .kind = RING_TOKEN};
        watch_batches_init(&watch.batches);
        pthread_mutex_init(&watch.lock, NULL);
        pthread_mutex_init(&watcher.lock, NULL);
        ring_add(watch.ring, &event);
        watcher.position = event.position;
        assert_true(ring_begin(watch.ring, &watcher.position, &watcher.cursor));
        ring_restart(watch.ring, (struct position){990, 8}, RING_IS_OF_ANOTHER_HISTORY);
        watcher.has_ping = true;
        watcher.ping_target = 990;
        memset(&peer, 0, sizeof peer);
        peer.full_for = full_for;
        for (int i = 0; i < 4; i++)
            watcher_serve(&watcher);
        assert_int_equal(peer.count, 2);
        assert_int_equal(peer.told[0], GATEHOUSE__V1__WATCH_RESPONSE__KIND_RESET);
        assert_int_equal(peer.told[1], GATEHOUSE__V1__WATCH_RESPONSE__KIND_PONG);
        pthread_mutex_destroy(&watcher.lock);
        pthread_mutex_destroy(&watch.lock);
        watch_batches_done(&watch.batches);
        ring_free(watch.ring);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_pong_never_overtakes_a_reset)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
