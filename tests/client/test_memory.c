/* SPDX-License-Identifier: Apache-2.0 */
/* What the cache knows, by itself: each rule of client/README.md that memory.c keeps. */
#include "base/epoch.h"
#include "entries.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LEASE MEMORY_SECOND
#define TOKEN GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_TOKEN
#define CREDENTIAL GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_CREDENTIAL
#define ALL GATEHOUSE__V1__WATCH_EVENT_KIND__WATCH_EVENT_KIND_ALL

static const struct siphash_key secret = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
static int64_t now;

static int64_t read_clock(void)
{
    return now;
}

/* Trusted, at the position (10, 1000). */
static struct memory *start(size_t entries)
{
    now = 1000 * MEMORY_SECOND;
    struct memory *memory = gatehouse_memory_new(entries, LEASE, &secret, read_clock, gatehouse_uses_new(100));
    gatehouse_memory_reset(memory, &(struct position){10, 1000});
    gatehouse_memory_pong(memory, now, LEASE);
    return memory;
}

static void keep(struct memory *memory, const char *token, const char *client_id, int64_t revision, int64_t change_id)
{
    Gatehouse__V1__IntrospectResponse response = GATEHOUSE__V1__INTROSPECT_RESPONSE__INIT;
    Gatehouse__V1__Position position = GATEHOUSE__V1__POSITION__INIT;
    Google__Protobuf__Duration idle, valid;
    gatehouse_duration_init(&idle);
    gatehouse_duration_init(&valid);
    idle.seconds = valid.seconds = 100; /* uses are reported after 10 seconds, within 2 */
    position.revision = revision;
    position.change_id = change_id;
    response.active = 1;
    response.position = &position;
    response.idle_timeout = &idle;
    response.valid_for = &valid;
    response.client_id = (char *)(uintptr_t)client_id;
    response.accessor = (char *)(uintptr_t)token;
    struct memory_key key = gatehouse_memory_key(memory, token);
    gatehouse_memory_keep(memory, &key, &response, now);
}

static bool has_after(struct memory *memory, const char *token, const Gatehouse__V1__Position *min_position)
{
    struct memory_key key = gatehouse_memory_key(memory, token);
    struct hit hit;
    epoch_enter();
    bool is_hit = gatehouse_memory_find(memory, &key, min_position, &hit);
    epoch_leave();
    return is_hit;
}

static bool has(struct memory *memory, const char *token)
{
    return has_after(memory, token, NULL);
}

static bool hear(struct memory *memory, int64_t revision, Gatehouse__V1__WatchEventKind kind, const char *subject)
{
    Gatehouse__V1__WatchEvent event = GATEHOUSE__V1__WATCH_EVENT__INIT;
    Gatehouse__V1__Position position = GATEHOUSE__V1__POSITION__INIT;
    position.revision = revision;
    position.change_id = revision * 100;
    event.position = &position;
    event.kind = kind;
    event.accessor = (char *)(uintptr_t)(kind == TOKEN ? subject : "");
    event.client_id = (char *)(uintptr_t)(kind == CREDENTIAL ? subject : "");
    return gatehouse_memory_event(memory, &event);
}

static void trust(struct memory *memory)
{
    gatehouse_memory_pong(memory, now, LEASE);
}

static void the_hash_is_siphash_2_4_with_128_bits(void **state)
{
    (void)state;
    /* The reference's vectors for inputs 00 01 02 … of 0, 1, 2 and 15 bytes. */
    const uint8_t text[15] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    const uint8_t of_none[16] = {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
                                 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93};
    const uint8_t of_1[16] = {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44,
                              0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45};
    const uint8_t of_2[16] = {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7,
                              0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff, 0xe4};
    const uint8_t of_15[16] = {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11,
                               0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3, 0xd9};
    struct siphash none = siphash_of(&secret, text, 0), all = siphash_of(&secret, text, sizeof text);
    struct siphash one = siphash_of(&secret, text, 1), two = siphash_of(&secret, text, 2);
    assert_memory_equal(&none, of_none, sizeof of_none);
    assert_memory_equal(&one, of_1, sizeof of_1);
    assert_memory_equal(&two, of_2, sizeof of_2);
    assert_memory_equal(&all, of_15, sizeof of_15);
}

static void an_answer_is_a_hit_while_trust_lasts_and_not_at_its_end(void **state)
{
    (void)state;
    struct memory *memory = start(10);
    keep(memory, "a", "client", 10, 1000);
    assert_true(has(memory, "a"));
    assert_false(has(memory, "b"));
    now += LEASE / 64 * 63 - 1;
    assert_true(has(memory, "a"));
    now += 1; /* C2: strictly, and 63/64 of the lease */
    assert_false(has(memory, "a"));
    gatehouse_memory_pong(memory, now - LEASE, LEASE); /* an old one: trust only grows, and this is not later */
    assert_false(has(memory, "a"));
    trust(memory);
    assert_true(has(memory, "a"));
    gatehouse_memory_pong(memory, now - LEASE / 2, LEASE);
    now += LEASE / 64 * 63 - 1;
    assert_true(has(memory, "a"));
    gatehouse_memory_free(memory);
}

static void before_the_first_pong_nothing_is_a_hit(void **state)
{
    (void)state;
    now = 1000 * MEMORY_SECOND;
    struct memory *memory = gatehouse_memory_new(10, LEASE, &secret, read_clock, gatehouse_uses_new(100));
    keep(memory, "a", "client", 10, 1000);
    gatehouse_memory_reset(memory, &(struct position){10, 1000});
    keep(memory, "a", "client", 10, 1000);
    assert_false(has(memory, "a"));
    trust(memory);
    assert_true(has(memory, "a"));
    gatehouse_memory_free(memory);
}

static void no_answer_outlives_its_valid_for_less_the_margin(void **state)
{
    (void)state;
    struct memory *memory = start(10);
    keep(memory, "a", "client", 10, 1000);
    now += 88 * MEMORY_SECOND - 1; /* C9: 100 - 10 - 2 */
    trust(memory);
    assert_true(has(memory, "a"));
    now += 1;
    assert_false(has(memory, "a")); /* C3: hits have not moved it */
    keep(memory, "a", "client", 10, 1000);
    assert_true(has(memory, "a")); /* an answer has */
    gatehouse_memory_free(memory);
}

static void an_event_ends_what_it_names_and_nothing_else(void **state)
{
    (void)state;
    struct memory *memory = start(10);
    keep(memory, "a", "one", 10, 1000);
    keep(memory, "b", "one", 10, 1000);
    keep(memory, "c", "two", 10, 1000);
    keep(memory, "d", "two", 10, 1000);
    assert_true(hear(memory, 11, TOKEN, "a"));
    assert_false(has(memory, "a"));
    assert_true(has(memory, "b") && has(memory, "c") && has(memory, "d"));
    assert_true(hear(memory, 12, CREDENTIAL, "two"));
    assert_true(has(memory, "b"));
    assert_false(has(memory, "c") || has(memory, "d"));
    keep(memory, "c", "two", 12, 1200);
    assert_true(has(memory, "c"));
    assert_true(hear(memory, 13, ALL, ""));
    assert_false(has(memory, "b") || has(memory, "c"));
    keep(memory, "b", "one", 13, 1300);
    assert_true(hear(memory, 14, (Gatehouse__V1__WatchEventKind)99, "")); /* of a newer server */
    assert_false(has(memory, "b"));
    gatehouse_memory_free(memory);
}

static void an_answer_of_before_an_event_that_names_it_is_not_kept(void **state)
{
    (void)state;
    struct memory *memory = start(10);
    hear(memory, 11, TOKEN, "a");
    hear(memory, 12, CREDENTIAL, "two");
    keep(memory, "a", "one", 10, 1000);
    keep(memory, "b", "one", 10, 1000);
    keep(memory, "c", "two", 11, 1100);
    keep(memory, "d", "two", 12, 1200);
    assert_false(has(memory, "a") || has(memory, "c"));
    assert_true(has(memory, "b") && has(memory, "d"));
    hear(memory, 13, ALL, "");
    keep(memory, "e", "three", 12, 1200);
    assert_false(has(memory, "e"));
    gatehouse_memory_free(memory);
}

static void an_answer_of_another_history_is_not_kept(void **state)
{
    (void)state;
    struct memory *memory = start(10);
    hear(memory, 11, TOKEN, "x");
    keep(memory, "a", "one", 10, 1);    /* W1: the id differs */
    keep(memory, "b", "one", 11, 1000); /* or is another's */
    keep(memory, "c", "one", 9, 900);   /* before the window */
    assert_false(has(memory, "a") || has(memory, "b") || has(memory, "c"));
    gatehouse_memory_free(memory);
}

static void an_answer_from_ahead_waits_unserved_for_a_lease_at_most(void **state)
{
    (void)state;
    struct memory *memory = start(10);
    keep(memory, "a", "one", 12, 1200);
    keep(memory, "b", "two", 12, 1200);
    keep(memory, "c", "one", 12, 1);
    keep(memory, "d", "one", 13, 1300);
    assert_false(has(memory, "a"));
    hear(memory, 11, CREDENTIAL, "two"); /* drops b while it waits */
    assert_false(has(memory, "a"));
    hear(memory, 12, TOKEN, "x");
    assert_true(has(memory, "a"));
    assert_false(has(memory, "b") || has(memory, "c") || has(memory, "d"));
    now += LEASE + 1;
    trust(memory);
    gatehouse_memory_tidy(memory);
    hear(memory, 13, TOKEN, "x");
    assert_false(has(memory, "d"));
    gatehouse_memory_free(memory);
}

static void a_reset_ends_all_and_what_waits_but_not_trust(void **state)
{
    (void)state;
    struct memory *memory = start(10);
    keep(memory, "a", "one", 10, 1000);
    keep(memory, "b", "one", 12, 1200);
    gatehouse_memory_reset(memory, &(struct position){11, 1100});
    assert_false(has(memory, "a"));
    keep(memory, "a", "one", 10, 1000); /* the window begins at 11 */
    assert_false(has(memory, "a"));
    hear(memory, 12, TOKEN, "x");
    assert_false(has(memory, "b"));
    keep(memory, "c", "one", 11, 1100);
    assert_true(has(memory, "c"));
    gatehouse_memory_free(memory);
}

static void a_gap_or_another_position_forgets_all(void **state)
{
    (void)state;
    struct position position;
    struct memory *memory = start(10);
    keep(memory, "a", "one", 10, 1000);
    assert_true(gatehouse_memory_resumed(memory, &(struct position){10, 1000}));
    assert_true(has(memory, "a"));
    assert_false(hear(memory, 12, TOKEN, "x"));
    assert_false(has(memory, "a"));
    assert_false(gatehouse_memory_position(memory, &position));
    gatehouse_memory_reset(memory, &(struct position){12, 1200});
    keep(memory, "a", "one", 12, 1200);
    assert_false(gatehouse_memory_resumed(memory, &(struct position){12, 1}));
    assert_false(has(memory, "a"));
    gatehouse_memory_free(memory);
}

static void the_windows_old_end_is_cut_and_an_answer_from_before_it_is_not_kept(void **state)
{
    (void)state;
    struct memory *memory = start(10);
    keep(memory, "kept", "one", 10, 1000);
    for (int64_t revision = 11; revision < 11 + MEMORY_WINDOW; revision++)
        assert_true(hear(memory, revision, TOKEN, "x"));
    assert_true(has(memory, "kept")); /* what is kept needs no window */
    keep(memory, "a", "one", 10, 1000);
    assert_false(has(memory, "a"));
    keep(memory, "b", "one", 11, 1100);
    assert_true(has(memory, "b"));
    gatehouse_memory_free(memory);
}

static void min_position_is_a_hit_only_if_the_window_has_it(void **state)
{
    (void)state;
    struct memory *memory = start(10);
    Gatehouse__V1__Position position = GATEHOUSE__V1__POSITION__INIT;
    keep(memory, "a", "one", 10, 1000);
    hear(memory, 11, TOKEN, "x");
    position.revision = 11;
    position.change_id = 1100;
    assert_true(has_after(memory, "a", &position));
    position.change_id = 1;
    assert_false(has_after(memory, "a", &position));
    position.revision = 12;
    assert_false(has_after(memory, "a", &position));
    position.revision = 9;
    assert_false(has_after(memory, "a", &position));
    gatehouse_memory_free(memory);
}

static void a_revoked_token_is_not_brought_back_by_an_answer_under_way(void **state)
{
    (void)state;
    struct memory *memory = start(10);
    keep(memory, "a", "one", 10, 1000);
    keep(memory, "b", "one", 11, 1100); /* waits */
    struct memory_key a = gatehouse_memory_key(memory, "a"), b = gatehouse_memory_key(memory, "b");
    gatehouse_memory_remove(memory, &a, true);
    gatehouse_memory_remove(memory, &b, true);
    assert_false(has(memory, "a"));
    keep(memory, "a", "one", 10, 1000); /* its event has not come yet */
    hear(memory, 11, TOKEN, "x");
    assert_false(has(memory, "a") || has(memory, "b"));
    gatehouse_memory_free(memory);
}

static void there_are_no_hits_until_the_stream_has_reached_what_this_connection_has_changed(void **state)
{
    (void)state;
    struct memory *memory = start(10);
    keep(memory, "a", "x", 10, 1000);
    keep(memory, "b", "y", 10, 1000);
    assert_true(has(memory, "a") && has(memory, "b"));
    gatehouse_memory_require(memory, &(struct position){12, 1200});
    gatehouse_memory_require(memory, &(struct position){11, 1100}); /* an earlier one, answered later */
    assert_false(has(memory, "a") || has(memory, "b"));
    assert_true(hear(memory, 11, TOKEN, "c"));
    assert_false(has(memory, "b"));
    assert_true(hear(memory, 12, TOKEN, "a"));
    assert_true(has(memory, "b"));
    assert_false(has(memory, "a"));
    gatehouse_memory_require(memory, &(struct position){12, 1200}); /* which the stream told of first */
    assert_true(has(memory, "b"));
    gatehouse_memory_require(memory, &(struct position){1000, 1}); /* of a history that is lost */
    assert_false(has(memory, "b"));
    now += 74 * MEMORY_SECOND;
    trust(memory);
    assert_false(has(memory, "b"));
    now += MEMORY_SECOND;
    trust(memory);
    assert_true(has(memory, "b"));
    gatehouse_memory_free(memory);
}

static void entries_are_bounded_and_what_is_asked_for_stays(void **state)
{
    (void)state;
    struct memory *memory = start(3);
    keep(memory, "a", "one", 10, 1000);
    keep(memory, "b", "one", 10, 1000);
    keep(memory, "c", "two", 10, 1000);
    assert_true(has(memory, "a"));
    keep(memory, "d", "two", 10, 1000);
    assert_true(has(memory, "a"));
    assert_false(has(memory, "b"));
    assert_true(has(memory, "c") && has(memory, "d"));
    struct gatehouse_cache_stats stats;
    gatehouse_memory_stats(memory, &stats);
    assert_int_equal(stats.entries, 3);
    assert_int_equal(stats.evicted, 1);
    for (int i = 0; i < 2 * MEMORY_WAITING; i++) /* what waits is bounded as well */
        keep(memory, "e", "two", 12, 1200);
    hear(memory, 11, CREDENTIAL, "two");
    gatehouse_memory_stats(memory, &stats);
    assert_int_equal(stats.entries, 1);
    gatehouse_memory_free(memory);
}

/* Readers on many threads, while the answer that they find is ended and kept again. */
enum { READERS = 3, ROUNDS = 200 };

struct reading {
    struct memory *memory;
    struct uses *uses;
    atomic_bool is_over;
    _Atomic uint64_t noted;
    _Atomic unsigned char readers;
};

static void *read_and_note(void *data)
{
    struct reading *reading = data;
    struct memory_key key = gatehouse_memory_key(reading->memory, "a");
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    struct source peer = {.kind = SOURCE_ADDRESS};
    memset(&peer.address, atomic_fetch_add(&reading->readers, 1) + 1, sizeof peer.address);
    while (!atomic_load(&reading->is_over)) {
        struct hit hit;
        bool must_wake;
        epoch_enter();
        if (gatehouse_memory_find(reading->memory, &key, NULL, &hit)) {
            struct use_count *count = gatehouse_uses_find(&hit.entry->uses, &request);
            if (count == NULL)
                count = gatehouse_uses_add(reading->uses, &hit.entry->uses, &request, true);
            if (count != NULL &&
                gatehouse_uses_note(reading->uses, count, &(struct use_now){"a", &peer, hit.now}, &must_wake))
                atomic_fetch_add(&reading->noted, 1);
        }
        epoch_leave();
    }
    return NULL;
}

static uint64_t report_all(struct uses *uses)
{
    uint64_t reported = 0;
    struct use *taken;
    gatehouse_uses_flush(uses);
    while ((taken = gatehouse_uses_take(uses, now)) != NULL) {
        for (const struct use *each = taken; each != NULL; each = each->next) {
            for (size_t i = 1; each->peer.kind == SOURCE_ADDRESS && i < sizeof each->peer.address; i++)
                assert_int_equal(each->peer.address.bytes[i], each->peer.address.bytes[0]); /* it is not of two */
            reported += each->count;
        }
        gatehouse_uses_done(uses, taken, 0);
    }
    return reported;
}

static void no_use_is_lost_while_answers_come_and_go_under_readers(void **state)
{
    (void)state;
    now = 1000 * MEMORY_SECOND;
    pthread_t threads[READERS];
    struct uses *uses = gatehouse_uses_new(100);
    struct reading reading = {.memory = gatehouse_memory_new(10, LEASE, &secret, read_clock, uses), .uses = uses};
    uint64_t reported = 0, seen = 0;
    gatehouse_memory_reset(reading.memory, &(struct position){10, 1000});
    trust(reading.memory);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_and_note, &reading), 0);
    for (int64_t round = 0; round < ROUNDS; round++) {
        keep(reading.memory, "a", "one", 10 + round, (10 + round) * 100);
        while (atomic_load(&reading.noted) == seen) /* somebody has read it */
            sched_yield();
        seen = atomic_load(&reading.noted);
        if (round % 2 == 0)
            reported += report_all(uses);
        assert_true(hear(reading.memory, 11 + round, TOKEN, round % 3 == 0 ? "x" : "a"));
        gatehouse_memory_tidy(reading.memory);
    }
    atomic_store(&reading.is_over, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    reported += report_all(uses);
    assert_int_equal(reported, reading.noted);
    struct gatehouse_cache_stats stats;
    gatehouse_uses_stats(uses, &stats);
    assert_int_equal(stats.uses_unreported, 0);
    gatehouse_memory_free(reading.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_siphash_2_4_with_128_bits),
        cmocka_unit_test(an_answer_is_a_hit_while_trust_lasts_and_not_at_its_end),
        cmocka_unit_test(before_the_first_pong_nothing_is_a_hit),
        cmocka_unit_test(no_answer_outlives_its_valid_for_less_the_margin),
        cmocka_unit_test(an_event_ends_what_it_names_and_nothing_else),
        cmocka_unit_test(an_answer_of_before_an_event_that_names_it_is_not_kept),
        cmocka_unit_test(an_answer_of_another_history_is_not_kept),
        cmocka_unit_test(an_answer_from_ahead_waits_unserved_for_a_lease_at_most),
        cmocka_unit_test(a_reset_ends_all_and_what_waits_but_not_trust),
        cmocka_unit_test(a_gap_or_another_position_forgets_all),
        cmocka_unit_test(the_windows_old_end_is_cut_and_an_answer_from_before_it_is_not_kept),
        cmocka_unit_test(min_position_is_a_hit_only_if_the_window_has_it),
        cmocka_unit_test(a_revoked_token_is_not_brought_back_by_an_answer_under_way),
        cmocka_unit_test(there_are_no_hits_until_the_stream_has_reached_what_this_connection_has_changed),
        cmocka_unit_test(entries_are_bounded_and_what_is_asked_for_stays),
        cmocka_unit_test(no_use_is_lost_while_answers_come_and_go_under_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
