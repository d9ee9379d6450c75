/* SPDX-License-Identifier: Apache-2.0 */
/* services/base/log.c: lines on a pipe that is read now and then. */
#include "support.h"

#include "base/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int reader;

/* Standard error is a pipe of one page from here on; cmocka's own words go there too, so they are read as well. */
static int pipe_stderr(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_in_range(fcntl(ends[1], F_SETPIPE_SZ, 4096), 1, 65536);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    reader = ends[0];
    return dup2(ends[1], STDERR_FILENO) < 0;
}

static size_t read_all(char *text, size_t size)
{
    size_t len = 0;
    ssize_t got;
    while (len + 1 < size && (got = read(reader, text + len, size - 1 - len)) > 0)
        len += (size_t)got;
    text[len] = '\0';
    return len;
}

static void a_line_is_never_waited_for_and_what_is_dropped_is_counted(void **state)
{
    (void)state;
    char text[65536], expected[64];
    log_configure(LOG_LEVEL_INFO, false);
    for (int i = 0; i < 1000; i++)
        log_write(LOG_LEVEL_INFO, "flood", "number", log_number(i).text, NULL);
    uint64_t lost = log_dropped();
    assert_in_range(lost, 1, 999);
    size_t lines = 0;
    read_all(text, sizeof text);
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    assert_int_equal(lines + lost, 1000);
    log_write(LOG_LEVEL_INFO, "after", NULL);
    read_all(text, sizeof text);
    snprintf(expected, sizeof expected, "event=log_lines_dropped count=%llu\n", (unsigned long long)lost);
    const char *told = strstr(text, expected);
    assert_non_null(told);
    assert_non_null(strstr(told, "event=after\n"));
    log_write(LOG_LEVEL_INFO, "again", NULL);
    read_all(text, sizeof text);
    assert_null(strstr(text, "log_lines_dropped"));
}

static void a_line_that_is_too_long_is_cut_and_still_json(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "\"", "\\", "\n", "\xe2\x82\xac", "\xff", "\xf0\x9f\x98\x80"};
    static char value[12000], text[65536];
    log_configure(LOG_LEVEL_INFO, true);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        for (size_t shift = 0; shift < 14; shift++) {
            memset(value, 'x', shift);
            for (size_t len = shift; len + 4 < sizeof value; len += strlen(pieces[i]))
                memcpy(value + len, pieces[i], strlen(pieces[i]) + 1);
            log_write(LOG_LEVEL_INFO, "long", "before", "b", "value", value, "after", "c", NULL);
            size_t len = read_all(text, sizeof text);
            assert_in_range(len, 3900, 4096);
            json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
            if (json == NULL)
                fail_msg("no JSON: %s", text);
            assert_string_equal(json_string_value(json_object_get(json, "before")), "b");
            assert_non_null(json_object_get(json, "value"));
            assert_null(json_object_get(json, "after"));
            json_decref(json);
        }
    log_write(LOG_LEVEL_INFO, "short", "value", "\xff\x01\"\\", NULL);
    read_all(text, sizeof text);
    assert_non_null(strstr(text, "\"value\":\"\\ufffd\\u0001\\\"\\\\\"}\n"));
}

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* A line's time in milliseconds since 1970. */
static long long line_ms(const char *line)
{
    struct tm parts = {0};
    const char *rest = strptime(line, "time=%Y-%m-%dT%H:%M:%S.", &parts);
    assert_non_null(rest);
    assert_string_equal(rest + strspn(rest, "0123456789"), "Z level=info event=now\n");
    assert_int_equal(strspn(rest, "0123456789"), 3);
    return timegm(&parts) * 1000LL + atoi(rest);
}

static void each_line_has_its_own_time(void **state)
{
    (void)state;
    char text[4096];
    log_configure(LOG_LEVEL_INFO, false);
    read_all(text, sizeof text);
    for (long long first = now_ms() / 1000, before = 0; before / 1000 <= first;) { /* and in the next second */
        before = now_ms();
        log_write(LOG_LEVEL_INFO, "now", NULL);
        long long after = now_ms();
        read_all(text, sizeof text);
        assert_in_range(line_ms(text), before, after);
    }
}

static void numbers_are_said_in_full(void **state)
{
    (void)state;
    static const struct {
        long long number;
        const char *text;
    } cases[] = {{0, "0"},
                 {7, "7"},
                 {-1, "-1"},
                 {10, "10"},
                 {1234567890123, "1234567890123"},
                 {-900, "-900"},
                 {LLONG_MAX, "9223372036854775807"},
                 {LLONG_MIN, "-9223372036854775808"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(log_number(cases[i].number).text, cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_never_waited_for_and_what_is_dropped_is_counted),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_and_still_json),
        cmocka_unit_test(each_line_has_its_own_time),
        cmocka_unit_test(numbers_are_said_in_full),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP); /* to standard output */
    return cmocka_run_group_tests(tests, pipe_stderr, NULL);
}
