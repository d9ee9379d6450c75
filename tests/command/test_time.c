/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <time.h>

#include "cmocka_all.h"
#include "time_format.h"

static const int64_t now = 1789997600; /* 2026-09-21T13:33:20Z */

static void a_duration_is_read_in_its_units(void **)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {{"20m", 1200},         {"1h30m", 5400}, {"3d", 259200}, {"90d", 7776000}, {"12h", 43200},
                 {"45s", 45},           {"2w", 1209600}, {"0", 0},       {"0s", 0},        {"1w1d1h1m1s", 694861},
                 {"36525d", 3155760000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t seconds = -1;
        assert_true(duration_parse(cases[i].text, &seconds));
        assert_int_equal(seconds, cases[i].seconds);
    }
}

static void what_is_no_duration_is_refused(void **)
{
    static const char *const cases[] = {"",
                                        "m",
                                        "20",
                                        "20 m",
                                        "-20m",
                                        "20m ",
                                        "1.5h",
                                        "1m1h",
                                        "1h1h",
                                        "20M",
                                        "20mm",
                                        "never",
                                        "36526d",
                                        "99999999999999999999s",
                                        "3155760001s",
                                        "36525d1s",
                                        "1h30",
                                        "1d\n"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t seconds = -1;
        assert_false(duration_parse(cases[i], &seconds));
        assert_int_equal(seconds, -1);
    }
}

static void a_duration_is_written_as_it_is_read(void **)
{
    static const char *const cases[] = {"20m", "1h30m", "30d", "400d", "1d1h1m1s", "45s", "0s", "36525d"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t seconds;
        char text[TIME_TEXT_MAX];
        assert_true(duration_parse(cases[i], &seconds));
        duration_format(seconds, text);
        assert_string_equal(text, cases[i]);
    }
}

static void an_instant_is_read_as_rfc_3339_says(void **)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {{"2026-09-21T13:33:20Z", now},
                 {"2026-09-21T15:33:20+02:00", now},
                 {"2026-09-21t13:33:20z", now},
                 {"2026-09-21 13:33:20Z", now},
                 {"2026-09-21T13:33:20.987654321Z", now},
                 {"2026-09-21T08:03:20-05:30", now},
                 {"1970-01-01T00:00:00Z", 0},
                 {"1969-12-31T23:59:59Z", -1},
                 {"2024-02-29T00:00:00Z", 1709164800},
                 {"2016-12-31T23:59:60Z", 1483228800}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t seconds = 0;
        assert_true(instant_parse(cases[i].text, now, TIME_AHEAD, &seconds));
        assert_int_equal(seconds, cases[i].seconds);
    }
}

static void what_is_no_instant_is_refused(void **)
{
    static const char *const cases[] = {"",
                                        "now",
                                        "2026-09-21T13:33:20",
                                        "2026-09-21T13:33Z",
                                        "2026-13-01T00:00:00Z",
                                        "2026-02-30T00:00:00Z",
                                        "2025-02-29",
                                        "2026-00-10",
                                        "2026-9-21",
                                        "21.09.2026",
                                        "2026-09-21T24:00:00Z",
                                        "2026-09-21T13:60:00Z",
                                        "2026-09-21T13:33:61Z",
                                        "2026-09-21T13:33:20.Z",
                                        "2026-09-21T13:33:20+2:00",
                                        "2026-09-21T13:33:20+24:00",
                                        "2026-09-21T13:33:20ZZ",
                                        "2026-09-21x",
                                        "2026-09-21 ",
                                        "2026-09-21T"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t seconds;
        assert_false(instant_parse(cases[i], now, TIME_AHEAD, &seconds));
    }
}

static void a_duration_counts_ahead_or_back_from_now(void **)
{
    int64_t seconds;
    assert_true(instant_parse("90d", now, TIME_AHEAD, &seconds));
    assert_int_equal(seconds, now + 90 * 86400);
    assert_true(instant_parse("12h", now, TIME_BACK, &seconds));
    assert_int_equal(seconds, now - 12 * 3600);
}

static void a_date_is_the_end_of_its_day_ahead_and_its_start_back(void **)
{
    int64_t seconds;
    assert_true(instant_parse("2026-09-21", now, TIME_AHEAD, &seconds));
    assert_int_equal(seconds, 1790035199); /* 23:59:59 */
    assert_true(instant_parse("2026-09-21", now, TIME_BACK, &seconds));
    assert_int_equal(seconds, 1789948800);
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    assert_true(instant_parse("2026-09-21", now, TIME_BACK, &seconds));
    assert_int_equal(seconds, 1789948800 - 2 * 3600);
    setenv("TZ", "UTC", 1);
    tzset();
}

static void an_instant_is_written_in_utc_with_its_fraction(void **)
{
    static const struct {
        int64_t seconds;
        int32_t nanos;
        const char *text;
    } cases[] = {{now, 0, "2026-09-21T13:33:20Z"},
                 {now, 120000000, "2026-09-21T13:33:20.120Z"},
                 {now, 1000, "2026-09-21T13:33:20.000001Z"},
                 {now, 1, "2026-09-21T13:33:20.000000001Z"},
                 {-62135596800, 0, "0001-01-01T00:00:00Z"},
                 {253402300799, 0, "9999-12-31T23:59:59Z"},
                 {253402300800, 0, ""},
                 {-62135596801, 0, ""},
                 {INT64_MAX, 0, ""},
                 {INT64_MIN, 0, ""},
                 {now, -5, "2026-09-21T13:33:20Z"},
                 {now, INT32_MAX, "2026-09-21T13:33:20Z"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TIME_TEXT_MAX];
        instant_format(cases[i].seconds, cases[i].nanos, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void a_time_is_told_from_now(void **)
{
    static const struct {
        int64_t distance;
        const char *text;
    } cases[] = {{0, "just now"},
                 {1, "just now"},
                 {-4, "just now"},
                 {-5, "5 s ago"},
                 {-99, "99 s ago"},
                 {-180, "3 min ago"},
                 {-5400, "90 min ago"},
                 {-7200, "2 h ago"},
                 {-2 * 86400, "2 days ago"},
                 {-90 * 86400, "90 days ago"},
                 {-91 * 86400, "2026-06-22"},
                 {2, "in 2 s"},
                 {1199, "in 20 min"},
                 {29 * 86400 - 120, "in 29 days"},
                 {91 * 86400, "2026-12-21"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TIME_TEXT_MAX];
        instant_format_relative(now + cases[i].distance, now, text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_is_read_in_its_units),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(a_duration_is_written_as_it_is_read),
        cmocka_unit_test(an_instant_is_read_as_rfc_3339_says),
        cmocka_unit_test(what_is_no_instant_is_refused),
        cmocka_unit_test(a_duration_counts_ahead_or_back_from_now),
        cmocka_unit_test(a_date_is_the_end_of_its_day_ahead_and_its_start_back),
        cmocka_unit_test(an_instant_is_written_in_utc_with_its_fraction),
        cmocka_unit_test(a_time_is_told_from_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
