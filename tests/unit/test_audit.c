/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "records/audit.h"

static struct audit_event event_of(const char *action, const char *detail)
{
    return (struct audit_event){.at = START, .actor = "somebody", .action = action, .outcome = "OK", .detail = detail};
}

static enum status append(struct store_tx *tx, void *arg)
{
    struct audit_event event = event_of("Act", arg);
    return audit_row_append(tx, &event);
}

struct part {
    int64_t most;
    struct audit_place place;
    struct audit_verdict verdict;
};

static enum status verify(struct store_tx *tx, void *arg)
{
    struct part *part = arg;
    return audit_row_verify(tx, part->most, &part->place, &part->verdict);
}

/* By parts of so many events (0: of all), each of which goes on where the one before it has ended. */
static int64_t verify_by(struct fixture *fixture, int64_t most)
{
    struct part part = {.most = most};
    do {
        assert_int_equal(store_read_wait(fixture->store, verify, &part), STATUS_OK);
        assert_true(most == 0 || part.verdict.checked <= most);
    } while (!part.verdict.is_end && part.verdict.broken == 0);
    return part.verdict.broken;
}

static void expect_broken(struct fixture *fixture, int64_t want)
{
    for (int64_t most = 0; most <= 7; most++)
        assert_int_equal(verify_by(fixture, most), want);
}

static enum status shift_time(struct store_tx *tx, void *arg)
{
    return store_run(tx, "UPDATE audit SET at = at + $1 WHERE sequence = 3", NULL, NULL, store_int(*(int64_t *)arg));
}

/* The same bytes, but of other fields. */
static enum status move_text(struct store_tx *tx, void *arg)
{
    return store_run(tx, "UPDATE audit SET actor = $1, action = $2 WHERE sequence = 2", NULL, NULL,
                     store_text(arg == NULL ? "somebodyA" : "somebody"), store_text(arg == NULL ? "ct" : "Act"));
}

static enum status remove_last(struct store_tx *tx, void *arg)
{
    (void)arg;
    return store_run(tx, "DELETE FROM audit WHERE sequence = $1", NULL, NULL, store_int(5));
}

static void the_chain_shows_what_was_altered_or_removed(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "audit.db", NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(store_write_wait(fixture.store, append, (char[]){(char)('a' + i), '\0'}), STATUS_OK);
    expect_broken(&fixture, 0);
    int64_t by = 1;
    assert_int_equal(store_write_wait(fixture.store, shift_time, &by), STATUS_OK);
    expect_broken(&fixture, 3);
    by = -1;
    assert_int_equal(store_write_wait(fixture.store, shift_time, &by), STATUS_OK);
    expect_broken(&fixture, 0);
    assert_int_equal(store_write_wait(fixture.store, move_text, NULL), STATUS_OK);
    expect_broken(&fixture, 2);
    assert_int_equal(store_write_wait(fixture.store, move_text, &by), STATUS_OK);
    assert_int_equal(store_write_wait(fixture.store, remove_last, NULL), STATUS_OK);
    expect_broken(&fixture, 5);
    assert_int_equal(store_write_wait(fixture.store, append, "after it"), STATUS_OK);
    expect_broken(&fixture, 5);
    fixture_close(&fixture);
}

#define MINUTE (60 * CLOCK_SECOND)

static size_t gather(struct audit_queue *queue, struct arena *arena, int64_t now, struct audit_event **ret_events)
{
    return audit_queue_gather(queue, arena, now, false, ret_events);
}

static void equal_acts_are_one_row_with_a_count(void **state)
{
    (void)state;
    struct audit_queue *queue = audit_queue_new();
    struct arena arena = {0};
    struct audit_event *events = NULL;
    for (int i = 0; i < 500; i++) {
        struct audit_event stale = event_of("DeleteCredential", "stale"),
                           other = event_of("DeleteCredential", "last one");
        audit_queue_add(queue, &stale);
        if (i % 100 == 0)
            audit_queue_add(queue, &other);
    }
    assert_int_equal(gather(queue, &arena, 0, &events), 2);
    assert_string_equal(events[0].detail, "stale; 500 times");
    assert_string_equal(events[1].detail, "last one; 5 times");
    assert_int_equal(gather(queue, &arena, 0, &events), 0);
    arena_done(&arena);
    audit_queue_free(queue);
    audit_queue_free(NULL);
}

static void other_outcomes_are_other_events(void **state)
{
    (void)state;
    struct audit_queue *queue = audit_queue_new();
    struct arena arena = {0};
    struct audit_event *events = NULL, stale = event_of("DeleteCredential", "stale"), last = stale;
    stale.outcome = "ABORTED";
    last.outcome = "FAILED_PRECONDITION";
    audit_queue_add(queue, &stale);
    audit_queue_add(queue, &last);
    assert_int_equal(gather(queue, &arena, 0, &events), 2);
    assert_string_equal(events[1].outcome, "FAILED_PRECONDITION");
    arena_done(&arena);
    audit_queue_free(queue);
}

static struct audit_event refusal_of(const char *peer, const char *method, const char *subject)
{
    struct audit_event event = event_of("CallerRefused", method);
    event.peer = peer;
    event.subject = subject;
    event.request_id = "7";
    return event;
}

static void refuse(struct audit_queue *queue, const char *peer, const char *method, const char *subject, int64_t count)
{
    struct audit_event event = refusal_of(peer, method, subject);
    audit_queue_count(queue, &event, count);
}

static void refusals_are_one_event_a_minute_and_address_and_keep_their_methods(void **state)
{
    (void)state;
    struct audit_queue *queue = audit_queue_new();
    struct arena arena = {0};
    struct audit_event *events = NULL;
    refuse(queue, "2001:db8::1", "ListCredentials", "a", 1);
    assert_int_equal(gather(queue, &arena, 0, &events), 1); /* the first at once */
    assert_string_equal(events[0].detail, "ListCredentials");
    assert_string_equal(events[0].request_id, "7");
    refuse(queue, "2001:db8::1", "ListCredentials", "a", 1);
    refuse(queue, "2001:db8::2", "CreateCredential", "b", 1);
    refuse(queue, "2001:db8::2", "ListCredentials", "a", 143);
    refuse(queue, "192.0.2.1", "GetSettings", "c", 2);
    assert_int_equal(gather(queue, &arena, MINUTE - 1, &events), 1);
    assert_string_equal(events[0].peer, "192.0.2.1");
    assert_string_equal(events[0].subject, "c");
    assert_string_equal(events[0].detail, "GetSettings; 2 times");
    assert_int_equal(gather(queue, &arena, MINUTE, &events), 1);
    assert_string_equal(events[0].peer, "2001:db8::/64");
    assert_string_equal(events[0].subject, "several");
    assert_string_equal(events[0].request_id, "");
    assert_string_equal(events[0].detail, "ListCredentials; 144 times; CreateCredential; subjects: a, b");
    assert_int_equal(gather(queue, &arena, 5 * MINUTE, &events), 0);
    refuse(queue, "2001:db8::1", "ListCredentials", "a", 1);
    assert_int_equal(gather(queue, &arena, 5 * MINUTE, &events), 1);
    refuse(queue, "2001:db8::1", "ListCredentials", "a", 1);
    assert_int_equal(audit_queue_gather(queue, &arena, 5 * MINUTE, true, &events), 1); /* the last time */
    arena_done(&arena);
    audit_queue_free(queue);
}

static void a_refusal_of_many_kinds_tells_the_first_and_how_many_others(void **state)
{
    (void)state;
    struct audit_queue *queue = audit_queue_new();
    struct arena arena = {0};
    struct audit_event *events = NULL;
    char method[16];
    for (int i = 0; i < 10; i++) {
        snprintf(method, sizeof method, "m%d", i);
        refuse(queue, "192.0.2.1", method, "", 1);
    }
    assert_int_equal(gather(queue, &arena, 0, &events), 1);
    assert_string_equal(events[0].detail, "m0; m1; m2; m3; m4; m5; others; 4 times");
    arena_done(&arena);
    audit_queue_free(queue);
}

static int64_t number_before_times(const char *detail)
{
    const char *end = strstr(detail, " times");
    while (end > detail && end[-1] >= '0' && end[-1] <= '9')
        end--;
    return strtoll(end, NULL, 10);
}

static void strangers_of_any_number_of_addresses_are_all_counted_and_cost_no_administrator_his_event(void **state)
{
    (void)state;
    enum { ADDRESSES = 5000 };
    struct audit_queue *queue = audit_queue_new();
    struct arena arena = {0};
    struct audit_event *events = NULL;
    char peer[32];
    for (int i = 0; i < ADDRESSES; i++) {
        struct audit_event act = event_of("DeleteCredential", "stale");
        snprintf(peer, sizeof peer, "10.0.%d.%d", i / 256, i % 256);
        refuse(queue, peer, "ListCredentials", peer, 1);
        act.subject = peer;
        if (i % 5 == 0)
            audit_queue_add(queue, &act);
    }
    size_t count = gather(queue, &arena, 0, &events), acts = 0;
    int64_t refused = 0;
    for (size_t i = 0; i < count; i++) {
        acts += strcmp(events[i].action, "DeleteCredential") == 0;
        if (strcmp(events[i].action, "CallerRefused") == 0)
            refused += strcmp(events[i].peer, "others") == 0 ? number_before_times(events[i].detail) : 1;
    }
    assert_int_equal(acts, ADDRESSES / 5);
    assert_int_equal(refused, ADDRESSES);
    assert_in_range(count, acts + 2, acts + 1001);
    arena_done(&arena);
    audit_queue_free(queue);
}

static void what_could_not_be_stored_comes_first_and_as_it_was(void **state)
{
    (void)state;
    struct audit_queue *queue = audit_queue_new();
    struct arena arena = {0};
    struct audit_event *events = NULL, *again = NULL, stale = event_of("DeleteCredential", "stale");
    for (int i = 0; i < 3; i++)
        audit_queue_add(queue, &stale);
    refuse(queue, "192.0.2.1", "ListCredentials", "a", 2);
    assert_int_equal(gather(queue, &arena, 0, &events), 2);
    audit_queue_add(queue, &stale);
    audit_queue_give_back(queue, events, 2);
    assert_int_equal(gather(queue, &arena, 0, &again), 3);
    for (int i = 0; i < 2; i++)
        assert_string_equal(again[i].detail, events[i].detail);
    assert_string_equal(again[2].detail, "stale");
    arena_done(&arena);
    audit_queue_free(queue);
}

static void acts_beyond_all_room_are_counted(void **state)
{
    (void)state;
    enum { ROOM = 100000, MORE = 234 };
    struct audit_queue *queue = audit_queue_new();
    struct arena arena = {0};
    struct audit_event *events = NULL;
    char subject[32];
    for (int i = 0; i < ROOM + MORE; i++) {
        struct audit_event act = event_of("DeleteCredential", "stale");
        snprintf(subject, sizeof subject, "subject %d", i);
        act.subject = subject;
        audit_queue_add(queue, &act);
    }
    assert_int_equal(audit_queue_gather(queue, &arena, 0, true, &events), ROOM + 1);
    assert_string_equal(events[0].subject, "subject 0");
    assert_string_equal(events[ROOM].subject, "several");
    assert_int_equal(number_before_times(events[ROOM].detail), MORE);
    arena_done(&arena);
    audit_queue_free(queue);
}

static void long_fields_fit(void **state)
{
    (void)state;
    struct audit_queue *queue = audit_queue_new();
    struct arena arena = {0};
    struct audit_event *events = NULL;
    char longest[1500];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    struct audit_event event = {.actor = longest,
                                .action = longest,
                                .subject = longest,
                                .peer = longest,
                                .request_id = longest,
                                .outcome = longest,
                                .detail = longest};
    audit_queue_add(queue, &event);
    assert_int_equal(gather(queue, &arena, 0, &events), 1);
    assert_int_equal(strlen(events[0].actor), 256);
    assert_true(strlen(events[0].detail) <= 256);
    arena_done(&arena);
    audit_queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chain_shows_what_was_altered_or_removed),
        cmocka_unit_test(equal_acts_are_one_row_with_a_count),
        cmocka_unit_test(other_outcomes_are_other_events),
        cmocka_unit_test(refusals_are_one_event_a_minute_and_address_and_keep_their_methods),
        cmocka_unit_test(a_refusal_of_many_kinds_tells_the_first_and_how_many_others),
        cmocka_unit_test(strangers_of_any_number_of_addresses_are_all_counted_and_cost_no_administrator_his_event),
        cmocka_unit_test(what_could_not_be_stored_comes_first_and_as_it_was),
        cmocka_unit_test(acts_beyond_all_room_are_counted),
        cmocka_unit_test(long_fields_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
