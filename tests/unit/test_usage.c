/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "memory/usage_counter.h"
#include "records/usage.h"

static void api_names_are_normalised(void **state)
{
    (void)state;
    static const struct {
        const char *api, *normal;
    } cases[] = {
        {"", "unnamed"},
        {"   ", "unnamed"},
        {"?q=1", "unnamed"},
        {"GET /cases", "GET /cases"},
        {"GET /cases/", "GET /cases/"},
        {"GET /cases/4711", "GET /cases/{id}"},
        {"GET /cases/4711?x=y/5#z", "GET /cases/{id}"},
        {"GET /cases#4711", "GET /cases"},
        {"GET /cases/4711/notes/7", "GET /cases/{id}/notes/{id}"},
        {"GET /0b6e6e0e-3c1c-4a7e-9a53-6f1f4f3f2b11/x", "GET /{id}/x"},
        {"GET /0B6E6E0E-3C1C-4A7E-9A53-6F1F4F3F2B11", "GET /{id}"},
        {"GET /deadbeef1", "GET /{id}"},
        {"GET /deadbeef", "GET /deadbeef"}, /* a word, for all that is known */
        {"GET /v1/x", "GET /v1/x"},
        {"GET /1a2b3c", "GET /1a2b3c"}, /* short: it may be a name */
        {"GET /12-34", "GET /12-34"},
        {"4711", "4711"}, /* not of a path */
        {"/gatehouse.v1.AuthService/Introspect", "/gatehouse.v1.AuthService/Introspect"},
        {"POST //", "POST //"},
        {"GET /caf\xc3\xa9/1", "GET /caf\xc3\xa9/{id}"},
        {"GET /t/gate_at_1xXeybAbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKl/x", "GET /t/{token}/x"},
        {"GET /t/gate_sk_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStU?a", "GET /t/{token}"},
        {"x=gate_at_1xXeybAbCdEfGhIjKl;y=gate_sk_AbCdEfGhIjKlMnOpQr", "x={token};y={token}"}, /* cut off */
        {"GET /gate_at_night/gate_/gate_gate_sk_1", "GET /gate_at_night/gate_/gate_gate_sk_1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char normal[API_MAX + 1];
        usage_normalise(cases[i].api, normal);
        assert_string_equal(normal, cases[i].normal);
    }
}

static void the_longest_name_stays_within_its_bounds_and_whole_characters(void **state)
{
    (void)state;
    for (int start = 0; start < 8; start++) {
        char api[API_MAX + 1] = "", normal[API_MAX + 1];
        int len = snprintf(api, sizeof api, "%.*s", start, "GET/xxxx");
        while (len < 60) /* grows: two bytes become five */
            len += snprintf(api + len, sizeof api - (size_t)len, "/1");
        api[len++] = '/';
        while (len + 2 <= API_MAX)
            len += snprintf(api + len, sizeof api - (size_t)len, "\xc3\xa9");
        usage_normalise(api, normal);
        size_t out = strlen(normal);
        assert_in_range(out, API_MAX - 3, API_MAX);
        size_t last = out - 1;
        while (((unsigned char)normal[last] & 0xc0) == 0x80)
            last--;
        size_t want = (unsigned char)normal[last] < 0x80 ? 1 : 2;
        assert_int_equal(out - last, want);
    }
}

/* They are stored, for all that is known. */
static void let_go(struct usage *usage, struct usage_delta *deltas, size_t count)
{
    usage_stored(usage, deltas, count);
    free(deltas);
}

static void assert_api(struct usage *usage, uint32_t number, const char *text)
{
    char api[API_MAX + 1] = "";
    assert_true(usage_api(usage, number, api));
    assert_string_equal(api, text);
}

/* The delta of (credential, api, hour) among those gathered; they are freed. */
static struct usage_delta gather_one(struct usage *usage, int64_t now, size_t want_count)
{
    struct usage_delta *deltas = NULL, first = {0};
    size_t count = usage_gather(usage, now, &deltas);
    assert_int_equal(count, want_count);
    if (count > 0)
        first = deltas[0];
    let_go(usage, deltas, count);
    return first;
}

static void uses_are_summed_until_they_are_gathered(void **state)
{
    (void)state;
    struct usage *usage = usage_new();
    uint32_t api = usage_count(usage, 5, "GET /x/1", START + 10, true, 2);
    assert_int_equal(usage_count(usage, 5, "GET /x/2", START + 20, false, 1), api);
    assert_api(usage, api, "GET /x/{id}");
    assert_int_equal(usage_count(usage, 5, "GET /x/3", START + 5, true, 1), api); /* reported late */
    struct usage_delta delta = gather_one(usage, START + 30, 1);
    assert_int_equal(delta.credential_id, 5);
    assert_int_equal(delta.allowed, 3);
    assert_int_equal(delta.denied, 1);
    assert_int_equal(delta.hour, START - START % USAGE_HOUR);
    assert_int_equal(delta.first_used, START + 5);
    assert_int_equal(delta.last_used, START + 20);
    gather_one(usage, START + 40, 0);
    usage_free(usage);
    usage_free(NULL);
}

static void what_is_observed_is_counted_beside_uses_and_is_none(void **state)
{
    (void)state;
    struct usage *usage = usage_new();
    struct usage_delta *deltas = NULL;
    usage_count(usage, 5, "GET /x", START, true, 7);
    usage_count_observed(usage, 5, "GET /x", START, 2);
    size_t count = usage_gather(usage, START, &deltas);
    assert_int_equal(count, 1);
    usage_count_observed(usage, 5, "GET /x", START + 1, 3);
    usage_give_back(usage, deltas, count); /* the store did not take it: it is one row with what came meanwhile */
    free(deltas);
    assert_int_equal(usage_gather(usage, START + 1, &deltas), 2);
    usage_give_back(usage, deltas, 2);
    free(deltas);
    struct usage_delta delta = gather_one(usage, START + 1, 1);
    assert_int_equal(delta.allowed, 7);
    assert_int_equal(delta.observed, 5);
    usage_count_observed(usage, 5, "alone", START + 20, 4);
    usage_count_observed(usage, 5, "alone", START + 20 + USAGE_HOUR, 1); /* is of another row */
    assert_int_equal(usage_gather(usage, START + USAGE_HOUR + 20, &deltas), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(deltas[i].observed, deltas[i].hour > START ? 1 : 4);
        assert_int_equal(deltas[i].allowed + deltas[i].denied, 0);
        assert_int_equal(deltas[i].credential_used, 0); /* it is no use of the credential */
        assert_int_equal(deltas[i].first_used, deltas[i].last_used);
    }
    let_go(usage, deltas, 2);
    usage_free(usage);
}

static void an_api_is_named_the_same_whatever_was_called_before_it(void **state)
{
    (void)state;
    static const char *const asked[] = {"GET /x/12 ", "GET /x/12", "GET /x/{id}", "GET /x/12", "", "unnamed", "other"};
    struct usage *usage = usage_new();
    for (size_t before = 0; before < sizeof asked / sizeof *asked; before++) {
        for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
            char normal[API_MAX + 1];
            usage_normalise(asked[i], normal);
            usage_count(usage, 5, asked[before], START, true, 1);
            assert_api(usage, usage_count(usage, 5, asked[i], START, true, 1), normal);
        }
    }
    usage_free(usage);
}

static void the_api_that_was_called_last_may_be_forgotten(void **state)
{
    (void)state;
    struct usage *usage = usage_new();
    usage_count(usage, 5, "GET /x", START + 4 * USAGE_HOUR, true, 1);
    usage_count(usage, 5, "GET /old", START, true, 1); /* reported late */
    gather_one(usage, START + 4 * USAGE_HOUR, 2);
    gather_one(usage, START + 4 * USAGE_HOUR, 0); /* forgets it */
    assert_api(usage, usage_count(usage, 5, "GET /old", START, true, 1), "GET /old");
    assert_int_equal(gather_one(usage, START + 4 * USAGE_HOUR, 1).allowed, 1);
    usage_free(usage);
}

static void hours_are_kept_apart_and_what_failed_is_given_back(void **state)
{
    (void)state;
    struct usage *usage = usage_new();
    struct usage_delta *deltas = NULL;
    usage_count(usage, 5, "GET /x", START, true, 1);
    usage_count(usage, 5, "GET /x", START + USAGE_HOUR, true, 1);
    usage_count(usage, 5, "GET /x", START, true, 1); /* reported late, of the hour before */
    size_t count = usage_gather(usage, START + USAGE_HOUR, &deltas);
    assert_int_equal(count, 3);
    int64_t early = 0, late = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(deltas[i].first_used >= deltas[i].hour && deltas[i].last_used < deltas[i].hour + USAGE_HOUR);
        *(deltas[i].hour > START ? &late : &early) += deltas[i].allowed;
    }
    assert_int_equal(early, 2);
    assert_int_equal(late, 1);
    usage_give_back(usage, deltas, count);
    free(deltas);
    usage_count(usage, 6, "GET /y", START, true, 1);
    assert_int_equal(usage_gather(usage, START, &deltas), 3); /* the two of one hour are one */
    let_go(usage, deltas, 3);
    usage_free(usage);
}

static void a_flood_of_names_is_bounded_for_its_credential_only(void **state)
{
    (void)state;
    struct usage *usage = usage_new();
    struct usage_delta *deltas = NULL;
    char api[32];
    uint32_t other = 0;
    for (int i = 0; i < 10000; i++) {
        snprintf(api, sizeof api, "GET /x%dy", i);
        other = usage_count(usage, 5, api, START, true, 1);
        if (i % 1000 == 999) { /* a flush does not make room for more */
            size_t count = usage_gather(usage, START, &deltas);
            assert_in_range(count, 1, USAGE_APIS_PER_CREDENTIAL + 1);
            let_go(usage, deltas, count);
        }
    }
    assert_api(usage, other, "other");
    uint32_t known = usage_count(usage, 5, "GET /x7y", START, true, 1);
    assert_api(usage, known, "GET /x7y");
    uint32_t anothers = usage_count(usage, 6, "GET /mine", START, true, 1);
    assert_api(usage, anothers, "GET /mine");
    struct usage_beyond beyond = usage_beyond(usage);
    assert_int_equal(beyond.credential, 10000 - USAGE_APIS_PER_CREDENTIAL);
    assert_int_equal(beyond.process + beyond.lost, 0);
    usage_free(usage);
}

static void a_flood_of_credentials_is_bounded(void **state)
{
    (void)state;
    struct usage *usage = usage_new();
    struct usage_delta *deltas = NULL;
    char api[32];
    enum { COUNT = 400000 };
    for (int i = 0; i < COUNT; i++) {
        snprintf(api, sizeof api, "GET /x%dy", i % 250);
        usage_count(usage, i / 250, api, START, true, 1);
    }
    size_t count = usage_gather(usage, START, &deltas);
    assert_in_range(count, 1, 16 * 16384 + COUNT / 250);
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += deltas[i].allowed;
    assert_int_equal(sum, COUNT);
    assert_int_equal(usage_beyond(usage).process, COUNT - 16 * 16384);
    let_go(usage, deltas, count);
    gather_one(usage, START + 3 * USAGE_HOUR, 0); /* what was not used for long is forgotten */
    usage_free(usage);
}

/* Once after 65,534 names in the life of a process every new one was "other", whoever called it. */
static void names_that_are_not_called_any_more_make_room_for_others(void **state)
{
    (void)state;
    enum { ROUNDS = 300 };
    struct usage *usage = usage_new();
    char api[32], text[API_MAX + 1] = "";
    uint32_t first = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t now = START + 3 * round * USAGE_HOUR;
        struct usage_delta *deltas = NULL;
        for (int i = 0; i < USAGE_APIS_PER_CREDENTIAL; i++) {
            snprintf(api, sizeof api, "GET /r%dx%dy", round, i);
            uint32_t number = usage_count(usage, 5, api, now, true, 1);
            assert_api(usage, number, api);
            first = first == 0 ? number : first;
        }
        size_t count = usage_gather(usage, now, &deltas);
        assert_int_equal(count, USAGE_APIS_PER_CREDENTIAL);
        let_go(usage, deltas, count);
        count = usage_gather(usage, now + 3 * USAGE_HOUR, &deltas); /* looks what was not called for long */
        let_go(usage, deltas, count);
    }
    assert_false(usage_api(usage, first, text)); /* and is no other's name now */
    assert_string_equal(text, "");
    assert_int_equal(usage_beyond(usage).credential + usage_beyond(usage).process, 0);
    usage_free(usage);
}

static void what_is_given_back_again_and_again_does_not_grow(void **state)
{
    (void)state;
    struct usage *usage = usage_new();
    struct usage_delta *deltas = NULL;
    for (int i = 0; i < 1000; i++) {
        usage_count(usage, 5, "GET /x", START + i, true, 1);
        usage_count(usage, 5, "GET /y", START + i, false, 1);
        size_t count = usage_gather(usage, START, &deltas);
        assert_in_range(count, 2, 4); /* of each, what was given back and what is new */
        usage_give_back(usage, deltas, count);
        free(deltas);
    }
    size_t count = usage_gather(usage, START + 2000, &deltas);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(deltas[i].allowed + deltas[i].denied, 1000);
        assert_int_equal(deltas[i].first_used, START);
        assert_int_equal(deltas[i].last_used, START + 999);
    }
    let_go(usage, deltas, count);
    usage_free(usage);
}

static void past_the_bound_the_oldest_is_lost_and_counted(void **state)
{
    (void)state;
    enum { HELD = 16384, MORE = 10 };
    struct usage *usage = usage_new();
    struct usage_delta *deltas = NULL;
    for (int hour = 0; hour < HELD + MORE; hour++) /* of one credential: one part */
        usage_count(usage, 5, "GET /x", START + hour * USAGE_HOUR, true, 7);
    assert_int_equal(usage_beyond(usage).lost, 7 * (MORE - 1)); /* the last hour is counted still */
    size_t count = usage_gather(usage, START, &deltas);
    assert_int_equal(count, HELD + 1);
    for (size_t i = 0; i < count; i++)
        assert_true(deltas[i].hour >= START - START % USAGE_HOUR + (MORE - 1) * USAGE_HOUR);
    let_go(usage, deltas, count);
    usage_free(usage);
}

static void *count_many(void *arg)
{
    char api[32];
    for (int i = 0; i < 20000; i++) {
        snprintf(api, sizeof api, "GET /x%dy", i % 300);
        usage_count(arg, i % 7, api, START, i % 2 == 0, 1);
    }
    return NULL;
}

static void no_use_is_lost_between_threads(void **state)
{
    (void)state;
    struct usage *usage = usage_new();
    pthread_t threads[4];
    int64_t sum = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, usage), 0);
    for (int round = 0; round < 5; round++) {
        struct usage_delta *deltas = NULL;
        if (round == 4)
            for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        size_t count = usage_gather(usage, START, &deltas);
        for (size_t i = 0; i < count; i++)
            sum += deltas[i].allowed + deltas[i].denied;
        if (round % 2 == 0) {
            let_go(usage, deltas, count);
            continue;
        }
        for (size_t i = 0; i < count; i++) /* they will come again */
            sum -= deltas[i].allowed + deltas[i].denied;
        usage_give_back(usage, deltas, count);
        free(deltas);
    }
    assert_int_equal(sum, 80000);
    usage_free(usage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(api_names_are_normalised),
        cmocka_unit_test(the_longest_name_stays_within_its_bounds_and_whole_characters),
        cmocka_unit_test(uses_are_summed_until_they_are_gathered),
        cmocka_unit_test(what_is_observed_is_counted_beside_uses_and_is_none),
        cmocka_unit_test(an_api_is_named_the_same_whatever_was_called_before_it),
        cmocka_unit_test(the_api_that_was_called_last_may_be_forgotten),
        cmocka_unit_test(hours_are_kept_apart_and_what_failed_is_given_back),
        cmocka_unit_test(a_flood_of_names_is_bounded_for_its_credential_only),
        cmocka_unit_test(a_flood_of_credentials_is_bounded),
        cmocka_unit_test(names_that_are_not_called_any_more_make_room_for_others),
        cmocka_unit_test(what_is_given_back_again_and_again_does_not_grow),
        cmocka_unit_test(past_the_bound_the_oldest_is_lost_and_counted),
        cmocka_unit_test(no_use_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
