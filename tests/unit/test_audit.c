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
    return audit_append(tx, &event);
}

struct verdict {
    int64_t checked, broken;
};

static enum status verify(struct store_tx *tx, void *arg)
{
    struct verdict *verdict = arg;
    return audit_verify(tx, &verdict->checked, &verdict->broken);
}

static void expect_broken(struct fixture *fixture, int64_t want)
{
    struct verdict verdict = {0};
    assert_int_equal(store_read_wait(fixture->store, verify, &verdict), STATUS_OK);
    assert_int_equal(verdict.broken, want);
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

static void equal_events_are_one_row_with_a_count(void **state)
{
    (void)state;
    struct audit_queue *queue = audit_queue_new();
    struct arena arena = {0};
    struct audit_event *events = NULL;
    for (int i = 0; i < 500; i++) {
        struct audit_event refused = event_of("ClientRefused", "x"), other = event_of("CallerRefused", "y");
        audit_queue_add(queue, &refused);
        if (i % 100 == 0)
            audit_queue_add(queue, &other);
    }
    assert_int_equal(audit_queue_gather(queue, &arena, &events), 2);
    assert_string_equal(events[0].detail, "x; 500 times");
    assert_string_equal(events[1].detail, "y; 5 times");
    assert_int_equal(audit_queue_gather(queue, &arena, &events), 0);
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
    assert_int_equal(audit_queue_gather(queue, &arena, &events), 2);
    assert_string_equal(events[1].outcome, "FAILED_PRECONDITION");
    arena_done(&arena);
    audit_queue_free(queue);
}

static void the_queue_is_bounded_and_says_what_it_lost(void **state)
{
    (void)state;
    struct audit_queue *queue = audit_queue_new();
    struct arena arena = {0};
    struct audit_event *events = NULL;
    char subject[32];
    for (int i = 0; i < 1234; i++) {
        struct audit_event event = event_of("ClientRefused", "x");
        snprintf(subject, sizeof subject, "subject %d", i);
        event.subject = subject;
        audit_queue_add(queue, &event);
    }
    assert_int_equal(audit_queue_gather(queue, &arena, &events), 1000);
    assert_string_equal(events[0].subject, "subject 0");
    assert_non_null(strstr(events[999].detail, "234 events"));
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
    assert_int_equal(audit_queue_gather(queue, &arena, &events), 1);
    assert_int_equal(strlen(events[0].actor), 256);
    assert_true(strlen(events[0].detail) <= 256);
    arena_done(&arena);
    audit_queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chain_shows_what_was_altered_or_removed),
        cmocka_unit_test(equal_events_are_one_row_with_a_count),
        cmocka_unit_test(other_outcomes_are_other_events),
        cmocka_unit_test(the_queue_is_bounded_and_says_what_it_lost),
        cmocka_unit_test(long_fields_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
