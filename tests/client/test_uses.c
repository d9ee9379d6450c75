/* SPDX-License-Identifier: Apache-2.0 */
/* The uses that a cache reports, by themselves: C9 of client/README.md. */
#include "uses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TOKENS = 450, REPORTS = 20 };

static int64_t now;
static int given_back;

static void note_given_back(struct use_counts *counts)
{
    (void)counts;
    given_back++;
}

static bool use_from(struct uses *uses, struct use_counts *counts, const char *api, const struct source *peer)
{
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    bool must_wake;
    request.api = (char *)(uintptr_t)api;
    struct use_count *count = gatehouse_uses_find(counts, &request);
    if (count == NULL)
        count = gatehouse_uses_add(uses, counts, &request, true);
    return count != NULL && gatehouse_uses_note(uses, count, &(struct use_now){"a", peer, now}, &must_wake);
}

static bool use(struct uses *uses, struct use_counts *counts, const char *token, const char *api, bool *must_wake)
{
    const struct source nowhere = {.kind = SOURCE_NOT_TOLD};
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    request.api = (char *)(uintptr_t)api;
    struct use_count *count = gatehouse_uses_find(counts, &request);
    if (count == NULL)
        count = gatehouse_uses_add(uses, counts, &request, true);
    return count != NULL && gatehouse_uses_note(uses, count, &(struct use_now){token, &nowhere, now}, must_wake);
}

static uint64_t unreported(struct uses *uses)
{
    struct gatehouse_cache_stats stats;
    gatehouse_uses_stats(uses, &stats);
    return stats.uses_unreported;
}

static uint64_t sum(const struct use *taken)
{
    uint64_t total = 0;
    for (; taken != NULL; taken = taken->next)
        total += taken->count;
    return total;
}

static void uses_are_due_an_interval_after_the_first_and_are_dated_by_the_last(void **state)
{
    (void)state;
    struct uses *uses = gatehouse_uses_new(100);
    struct use_counts counts = {.idle_timeout = 100 * USES_SECOND, .give_back = note_given_back};
    bool must_wake;
    now = 1000 * USES_SECOND;
    assert_int_equal(gatehouse_uses_plan(uses, now + 60 * USES_SECOND), now + 60 * USES_SECOND);
    assert_true(use(uses, &counts, "a", "x", &must_wake) && must_wake); /* the thread would sleep for too long */
    now += 9 * USES_SECOND;
    assert_true(use(uses, &counts, "a", "x", &must_wake) && !must_wake);
    assert_true(use(uses, &counts, "a", "y", &must_wake));
    assert_null(gatehouse_uses_take(uses, now));
    now += USES_SECOND;
    struct use *taken = gatehouse_uses_take(uses, now);
    assert_non_null(taken);
    assert_non_null(taken->next); /* all of them, once one is due */
    assert_null(taken->next->next);
    assert_int_equal(taken->last, now - USES_SECOND);
    assert_int_equal(taken->count + taken->next->count, 3);
    assert_true(use(uses, &counts, "a", "x", &must_wake)); /* while the report is under way */
    assert_int_equal(unreported(uses), 4);
    gatehouse_uses_return(uses, taken, now, now + USES_SECOND); /* it failed */
    assert_int_equal(unreported(uses), 4);
    assert_null(gatehouse_uses_take(uses, now));
    now += USES_SECOND;
    taken = gatehouse_uses_take(uses, now);
    assert_int_equal(sum(taken), 3);
    gatehouse_uses_done(uses, taken, 0);
    assert_null(gatehouse_uses_take(uses, now));
    now += 9 * USES_SECOND; /* what was counted meanwhile is due in its own time */
    taken = gatehouse_uses_take(uses, now);
    assert_int_equal(sum(taken), 1);
    gatehouse_uses_done(uses, taken, 0);
    assert_int_equal(unreported(uses), 0);
    assert_null(gatehouse_uses_take(uses, INT64_MAX - 1));
    gatehouse_uses_leave(uses, &counts);
    gatehouse_uses_free(uses);
}

/* Of a report with one use. */
static void assert_reported_from(struct uses *uses, uint64_t count, const struct source *peer)
{
    gatehouse_uses_flush(uses);
    struct use *taken = gatehouse_uses_take(uses, now);
    assert_non_null(taken);
    assert_null(taken->next);
    assert_int_equal(taken->count, count);
    assert_int_equal(taken->peer.kind, peer->kind);
    if (peer->kind == SOURCE_ADDRESS)
        assert_memory_equal(&taken->peer.address, &peer->address, sizeof peer->address);
    gatehouse_uses_done(uses, taken, 0);
}

static void a_report_says_the_last_peer_that_was_told_since_the_one_before(void **state)
{
    (void)state;
    struct uses *uses = gatehouse_uses_new(100);
    struct use_counts counts = {.idle_timeout = 100 * USES_SECOND, .give_back = note_given_back};
    const struct source nowhere = {.kind = SOURCE_NOT_TOLD}, here = source_of("192.0.2.1"),
                        there = source_of("2001:db8::1"), zero = source_of("::");
    now = 1000 * USES_SECOND;
    assert_true(use_from(uses, &counts, "x", &here) && use_from(uses, &counts, "x", &there));
    assert_true(use_from(uses, &counts, "x", &nowhere) && use_from(uses, &counts, "x", &there));
    assert_reported_from(uses, 4, &there);
    assert_true(use_from(uses, &counts, "x", &nowhere));
    assert_reported_from(uses, 1, &nowhere);
    assert_true(use_from(uses, &counts, "x", &zero));
    assert_reported_from(uses, 1, &zero);
    assert_true(use_from(uses, &counts, "x", &here) && use_from(uses, &counts, "y", &there));
    gatehouse_uses_flush(uses);
    struct use *taken = gatehouse_uses_take(uses, now);
    for (const struct use *each = taken; each != NULL; each = each->next) /* each question its own */
        assert_memory_equal(&each->peer.address, strcmp(each->api, "x") == 0 ? &here.address : &there.address,
                            sizeof here.address);
    gatehouse_uses_done(uses, taken, 0);
    gatehouse_uses_leave(uses, &counts);
    gatehouse_uses_free(uses);
}

static void uses_are_bounded_and_a_half_full_table_is_reported_at_once(void **state)
{
    (void)state;
    struct uses *uses = gatehouse_uses_new(4);
    struct use_counts counts = {.idle_timeout = 100 * USES_SECOND, .give_back = note_given_back};
    char api[] = "a";
    bool must_wake;
    now = 1000 * USES_SECOND;
    for (int i = 0; i < 4; i++, api[0]++) {
        assert_true(use(uses, &counts, "a", api, &must_wake));
        struct use *taken = i < 2 ? gatehouse_uses_take(uses, now) : NULL;
        assert_null(taken);
    }
    assert_false(use(uses, &counts, "a", api, &must_wake)); /* a fifth: the server must be asked */
    assert_true(use(uses, &counts, "a", "a", &must_wake));
    struct use *taken = gatehouse_uses_take(uses, now);
    assert_non_null(taken);
    gatehouse_uses_return(uses, taken, now + 3601 * USES_SECOND, now); /* too old to mean anything */
    struct gatehouse_cache_stats stats;
    gatehouse_uses_stats(uses, &stats);
    assert_int_equal(stats.uses_unreported, 0);
    assert_int_equal(stats.uses_lost, 5);
    gatehouse_uses_leave(uses, &counts);
    gatehouse_uses_free(uses);
}

/* Reports are under way, and their tokens are used again at once. Returns how many reports there are. */
static size_t report_while_used(struct uses *uses, struct use_counts *counts, size_t tokens, struct use **under_way)
{
    size_t reports = 0;
    bool must_wake;
    for (struct use *taken; (taken = gatehouse_uses_take(uses, now)) != NULL; reports++) {
        assert_true(reports < REPORTS);
        under_way[reports] = taken;
        for (size_t i = 0; i < tokens; i++)
            assert_true(use(uses, &counts[i], "a", "x", &must_wake));
    }
    return reports;
}

static void end_reports(struct uses *uses, struct use **under_way, size_t reports, bool are_answered)
{
    for (size_t i = 0; i < reports; i++)
        if (are_answered)
            gatehouse_uses_done(uses, under_way[i], 0);
        else
            gatehouse_uses_return(uses, under_way[i], now, now + USES_SECOND);
}

static void busy_tokens_are_reported_once_an_interval_and_fill_no_table_however_slow_the_server_is(void **state)
{
    (void)state;
    static struct use_counts counts[TOKENS];
    struct uses *uses = gatehouse_uses_new(2 * TOKENS + 200);
    struct use *under_way[REPORTS];
    bool must_wake;
    now = 1000 * USES_SECOND;
    for (int i = 0; i < TOKENS; i++) {
        counts[i] = (struct use_counts){.idle_timeout = 100 * USES_SECOND, .give_back = note_given_back};
        assert_true(use(uses, &counts[i], "a", "x", &must_wake));
    }
    now += 10 * USES_SECOND;
    assert_int_equal(report_while_used(uses, counts, TOKENS, under_way), 5);
    end_reports(uses, under_way, 5, true);
    assert_int_equal(report_while_used(uses, counts, TOKENS, under_way), 0); /* none is due for an interval */
    now += 10 * USES_SECOND;
    for (int i = 0; i < 3; i++) { /* a server that does not answer is told the same again, and not more and more */
        assert_int_equal(report_while_used(uses, counts, TOKENS, under_way), i == 0 ? 5 : 6);
        end_reports(uses, under_way, i == 0 ? 5 : 6, false);
        now += 10 * USES_SECOND;
    }
    size_t reports = report_while_used(uses, counts, TOKENS, under_way);
    end_reports(uses, under_way, reports, true);
    while ((reports = report_while_used(uses, counts, 0, under_way)) > 0)
        end_reports(uses, under_way, reports, true);
    now += 10 * USES_SECOND;
    reports = report_while_used(uses, counts, 0, under_way);
    end_reports(uses, under_way, reports, true);
    assert_int_equal(unreported(uses), 0);
    gatehouse_uses_free(uses);
}

static void a_count_is_never_so_high_that_it_goes_round(void **state)
{
    (void)state;
    struct uses *uses = gatehouse_uses_new(100);
    struct use_counts counts = {.idle_timeout = 100 * USES_SECOND, .give_back = note_given_back};
    bool must_wake;
    now = 1000 * USES_SECOND;
    assert_true(use(uses, &counts, "a", "x", &must_wake));
    counts.first.count = USES_UNREPORTED_MAX;
    assert_false(use(uses, &counts, "a", "x", &must_wake)); /* the server must be asked */
    counts.first.count = 1;
    assert_reported_from(uses, 1, &(struct source){.kind = SOURCE_NOT_TOLD});
    gatehouse_uses_leave(uses, &counts);
    gatehouse_uses_free(uses);
}

static void a_report_says_a_million_of_one_use_at_most(void **state)
{
    (void)state;
    struct uses *uses = gatehouse_uses_new(4);
    struct use_counts counts = {.idle_timeout = 100 * USES_SECOND, .give_back = note_given_back};
    bool must_wake;
    now = 1000 * USES_SECOND;
    for (int i = 0; i < USES_COUNT_MAX + 2; i++)
        (void)use(uses, &counts, "a", "x", &must_wake);
    gatehouse_uses_flush(uses);
    struct use *taken = gatehouse_uses_take(uses, now);
    assert_non_null(taken->next);
    assert_int_equal(taken->count + taken->next->count, USES_COUNT_MAX + 2);
    assert_in_range(taken->count, 2, USES_COUNT_MAX);
    gatehouse_uses_done(uses, taken, 0);
    assert_int_equal(unreported(uses), 0);
    gatehouse_uses_leave(uses, &counts);
    gatehouse_uses_free(uses);
}

static void what_was_counted_for_an_answer_that_is_gone_is_reported(void **state)
{
    (void)state;
    struct uses *uses = gatehouse_uses_new(4);
    struct use_counts counts = {.idle_timeout = 100 * USES_SECOND, .give_back = note_given_back};
    bool must_wake;
    now = 1000 * USES_SECOND;
    assert_true(use(uses, &counts, "a", "x", &must_wake) && use(uses, &counts, "a", "y", &must_wake));
    given_back = 0;
    gatehouse_uses_leave(uses, &counts);
    assert_int_equal(given_back, 0);
    gatehouse_uses_flush(uses);
    struct use *taken = gatehouse_uses_take(uses, now);
    assert_int_equal(given_back, 1); /* all that is reported has been copied */
    assert_string_equal(taken->token, "a");
    assert_int_equal(taken->count + taken->next->count, 2);
    gatehouse_uses_done(uses, taken, 0);
    assert_int_equal(unreported(uses), 0);
    gatehouse_uses_free(uses);
}

static void a_token_has_so_many_questions_and_each_its_own_answer(void **state)
{
    (void)state;
    struct uses *uses = gatehouse_uses_new(1000);
    struct use_counts counts = {.idle_timeout = 100 * USES_SECOND, .give_back = note_given_back};
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    char api[20], *roles[] = {"a", "b"};
    request.api = api;
    request.required_roles = roles;
    for (int i = 0; i < USES_OF_TOKEN_MAX; i++) {
        snprintf(api, sizeof api, "%d", i);
        request.n_required_roles = (size_t)i % 3;
        assert_null(gatehouse_uses_find(&counts, &request));
        struct use_count *count = gatehouse_uses_add(uses, &counts, &request, i % 2 == 0);
        assert_non_null(count);
        assert_ptr_equal(gatehouse_uses_find(&counts, &request), count);
        assert_ptr_equal(gatehouse_uses_add(uses, &counts, &request, true), count); /* two at once */
        assert_int_equal(count->is_allowed, i % 2 == 0);
    }
    request.n_required_roles = 1 - request.n_required_roles; /* the same api */
    assert_null(gatehouse_uses_find(&counts, &request));
    assert_null(gatehouse_uses_add(uses, &counts, &request, true)); /* no room */
    gatehouse_uses_leave(uses, &counts);
    gatehouse_uses_free(uses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uses_are_due_an_interval_after_the_first_and_are_dated_by_the_last),
        cmocka_unit_test(a_report_says_the_last_peer_that_was_told_since_the_one_before),
        cmocka_unit_test(uses_are_bounded_and_a_half_full_table_is_reported_at_once),
        cmocka_unit_test(busy_tokens_are_reported_once_an_interval_and_fill_no_table_however_slow_the_server_is),
        cmocka_unit_test(a_count_is_never_so_high_that_it_goes_round),
        cmocka_unit_test(a_report_says_a_million_of_one_use_at_most),
        cmocka_unit_test(what_was_counted_for_an_answer_that_is_gone_is_reported),
        cmocka_unit_test(a_token_has_so_many_questions_and_each_its_own_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
